"""From a list's query string to its envelope."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from tradeoff.api.wire.base import Answer
from tradeoff.api.wire.pagination import Pagination, Paging
from tradeoff.api.wire.queries import Listing
from tradeoff.store import paging

if TYPE_CHECKING:
    from tradeoff.store.database import Session

Row = TypeVar("Row")
Element = TypeVar("Element", bound=Answer)


def fetch(
    session: Session,
    select: Any,
    query: Listing,
    *,
    id_column: Any,
    key: Any = None,
    count: int | None = None,
) -> paging.Page[Any]:
    """The page of `select` that `query` asks for.

    Args:
        session: to ask with.
        select: what `tradeoff.store` lists.
        query: limit, markers and direction.
        id_column: of the listed table.
        key: what to order by; `None` orders by id.
        count: how many rows match, where that is known.
    """
    return paging.fetch(
        session,
        select,
        id_column=id_column,
        key=key,
        limit=query.limit,
        before=query.before,
        after=query.after,
        ascending=query.ascending,
        count=count,
    )


def envelope(page: paging.Page[Row], render: Callable[[Row], Element]) -> Pagination[Element]:
    """A page as the wire has it."""
    return Pagination(
        count=page.count,
        data=[render(row) for row in page.rows],
        paging=Paging(before=page.before, after=page.after),
    )


def whole(data: Sequence[Element]) -> Pagination[Element]:
    """A list that is always shown as a whole."""
    return Pagination(count=len(data), data=list(data), paging=Paging(before=None, after=None))

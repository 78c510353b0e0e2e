"""Cursor paging of any query, with SigOpt's markers.

Rows are ordered by (key, id), nulls last. A marker is that pair of one row, as JSON in URL-safe
base64: opaque to clients, and good after the row is gone.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    DateTime,
    Select,
    and_,
    cast,
    func,
    literal,
    or_,
    tuple_,
)

from tradeoff.errors import BadInput
from tradeoff.spec.values import check_text
from tradeoff.store.database import Session

Row = TypeVar("Row")
Position = tuple[Any, int]


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows of a list, and where to go on.

    Attributes:
        rows: in the direction that was asked for.
        count: how many rows match in all.
        before: marker to get the smaller rows next, or `None`.
        after: marker to get the larger rows next, or `None`.
    """

    rows: Sequence[Row]
    count: int
    before: str | None
    after: str | None


def fetch(
    session: Session,
    query: Select[Row],
    *,
    id_column: ColumnElement[int],
    key: ColumnElement[Any] | None = None,
    limit: int,
    before: str | None = None,
    after: str | None = None,
    ascending: bool = False,
    count: int | None = None,
) -> Page[Row]:
    """One page of `query`.

    A page ordered by a column of an index, with the marker inside it, costs the same wherever it
    lies; ordered by anything else it costs as much as all the rows that match.

    Args:
        session: to ask with.
        query: filtered, not ordered.
        id_column: breaks ties, and is the key when there is none.
        key: what to order by.
        limit: rows at most.
        before: rows strictly smaller than this marker.
        after: rows strictly larger than this marker.
        ascending: smallest first; otherwise largest first.
        count: how many rows match, where that is known; counting them reads them all.

    Raises:
        BadInput: when a marker is not one of ours.
    """
    sort_key = id_column if key is None else key
    upper = _read(before, "before", sort_key)
    lower = _read(after, "after", sort_key)
    if count is None:
        # Of no column, so that an index alone can answer where the rows are of no interest.
        counting = query.with_only_columns(func.count(), maintain_column_froms=True)
        count = session.execute(counting).scalar_one()

    bounded = query.add_columns(sort_key.label("page_key"), id_column.label("page_id"))
    if upper is not None:
        bounded = bounded.where(_smaller(sort_key, id_column, upper))
    if lower is not None:
        bounded = bounded.where(_larger(sort_key, id_column, lower))
    # With one marker the rows closest to it are wanted, whatever the direction shown.
    upward = ascending if (upper is None) == (lower is None) else lower is not None
    order = (
        (sort_key.asc().nulls_last(), id_column.asc())
        if upward
        else (sort_key.desc().nulls_first(), id_column.desc())
    )
    found = session.execute(bounded.order_by(*order).limit(limit + 1)).all()
    more = len(found) > limit
    page = found[:limit]
    if upward != ascending:
        page = page[::-1]
    positions = [(row.page_key, row.page_id) for row in page]
    smaller_first = positions if ascending else positions[::-1]
    markers = _markers(smaller_first, more, upward=upward, given=(upper, lower))
    return Page([row[0] for row in page], count, *markers)


def _markers(
    positions: list[Position],
    more: bool,
    *,
    upward: bool,
    given: tuple[Position | None, Position | None],
) -> tuple[str | None, str | None]:
    """The markers `before` and `after` of a page whose `positions` are ascending."""
    if not positions:
        upper, lower = given
        # Nothing between: echo what was given, and point back at the marker's own row.
        before = upper or (None if lower is None else (lower[0], lower[1] + 1))
        after = lower or (None if upper is None else (upper[0], upper[1] - 1))
        return _write(before), _write(after)
    if upward:
        return _write(positions[0]), _write(positions[-1]) if more else None
    return _write(positions[0]) if more else None, _write(positions[-1])


def _smaller(
    key: ColumnElement[Any], id_column: ColumnElement[int], position: Position
) -> ColumnElement[bool]:
    value, row_id = position
    if value is None:  # null is larger than everything
        return or_(key.is_not(None), id_column < row_id)
    bound = _bound(key, value)
    if key is id_column:
        return id_column < row_id
    if _is_never_null(key):
        return tuple_(key, id_column) < tuple_(bound, row_id)
    return or_(key < bound, and_(key == bound, id_column < row_id))


def _larger(
    key: ColumnElement[Any], id_column: ColumnElement[int], position: Position
) -> ColumnElement[bool]:
    value, row_id = position
    if value is None:
        return and_(key.is_(None), id_column > row_id)
    bound = _bound(key, value)
    if key is id_column:
        return id_column > row_id
    if _is_never_null(key):
        return tuple_(key, id_column) > tuple_(bound, row_id)
    return or_(key > bound, key.is_(None), and_(key == bound, id_column > row_id))


def _is_never_null(key: ColumnElement[Any]) -> bool:
    """Whether `key` is a column that is never null: rows are then compared as an index does it.

    An `or` would have Postgres walk the index from its end to the marker.
    """
    return isinstance(key, Column) and not key.nullable


def _bound(key: ColumnElement[Any], value: Any) -> ColumnElement[Any]:
    return cast(literal(value), key.type)


def _write(position: Position | None) -> str | None:
    if position is None:
        return None
    value, row_id = position
    if isinstance(value, datetime.datetime):
        value = value.isoformat()
    text = json.dumps([value, row_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(marker: str | None, name: str, key: ColumnElement[Any]) -> Position | None:
    if marker is None:
        return None
    refusal = BadInput(f"{name}: not a marker that this service gave out for this list")
    try:
        padded = marker + "=" * (-len(marker) % 4)
        value, row_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise refusal from error
    if not isinstance(row_id, int) or isinstance(row_id, bool) or abs(row_id) >= 2**62:
        raise refusal
    if value is None:
        return None, row_id
    if isinstance(key.type, DateTime):
        try:
            return datetime.datetime.fromisoformat(value), row_id
        except (TypeError, ValueError) as error:
            raise refusal from error
    expected = key.type.python_type
    if expected in (int, float):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not abs(value) <= 1e300:  # NaN is not, either
            raise refusal
        if expected is int and (not isinstance(value, int) or abs(value) >= 2**62):
            raise refusal
    else:
        try:
            check_text(value)
        except ValueError as error:
            raise refusal from error
    return value, row_id

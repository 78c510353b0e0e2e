"""The envelope of every list."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from pydantic import ConfigDict, Field

from tradeoff.api.wire.base import Answer

Element = TypeVar("Element", bound=Answer)


class Paging(Answer):
    """Where to go on in a list."""

    before: str | None
    """Give it back as `before` to get the smaller rows next to this page."""
    after: str | None
    """Give it back as `after` to get the larger rows next to this page."""


class Pagination(Answer, Generic[Element]):
    """A page of a list."""

    # A generic model loses its docstring when its element is filled in. Then, too, Pydantic would
    # look for its fields' docstrings in every frame of the stack, a quarter of the API's start.
    model_config = ConfigDict(
        json_schema_extra={"description": "A page of a list."}, use_attribute_docstrings=False
    )

    object: Literal["pagination"] = "pagination"
    count: int = Field(description="How many rows match in all, on this page or not.")
    data: list[Element]
    paging: Paging

"""Tags on the wire."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from tradeoff.api.wire.base import Answer, Create
from tradeoff.api.wire.queries import ListingById
from tradeoff.spec.values import Name, shown

COLOR = re.compile(r"#[0-9A-Fa-f]{6}")


def check_color(value: Any) -> str:
    """A colour, with its letters made large.

    Raises:
        ValueError: for anything else.
    """
    if not isinstance(value, str) or not COLOR.fullmatch(value):
        raise ValueError(f"must be # and six hexadecimal digits, as '#0B57D0', not {shown(value)}")
    return value.upper()


class TagCreate(Create):
    """A new tag."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "baseline", "color": "#0B57D0"}]}
    )

    name: Name
    """1 to 100 characters; no other tag of the client may have it."""
    color: Annotated[
        str,
        BeforeValidator(check_color),
        Field(json_schema_extra={"pattern": f"^{COLOR.pattern}$"}),
    ]
    """`#` and six hexadecimal digits."""


class TagList(ListingById):
    """Which tags are listed."""


class Tag(Answer):
    """A coloured word to mark training runs with."""

    object: Literal["tag"] = "tag"
    id: str
    client: str
    name: str
    color: str
    """`#RRGGBB`."""

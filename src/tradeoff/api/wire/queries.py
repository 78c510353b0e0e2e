"""Query strings, as SigOpt's client writes them: `True`, `1` and `true` are the same."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tradeoff.api.wire.base import check_id
from tradeoff.spec.values import shown

MAX_LIMIT = 1_000
TRUE_WORDS = ("true", "1")
FALSE_WORDS = ("false", "0")
#: No query ever carries a secret: it would stand in every log on the way.
SECRET_KEYS = frozenset({"token", "api_token", "access_token", "client_token", "apikey", "api_key"})
#: Unix seconds up to the year 9999.
MAX_UNIX_SECONDS = 253_402_300_799


def check_flag(value: Any) -> bool:
    """A boolean of a query string.

    Raises:
        ValueError: for any other word.
    """
    word = str(value).lower()
    if word not in TRUE_WORDS + FALSE_WORDS:
        raise ValueError(f"must be true or false, not {shown(value)}")
    return word in TRUE_WORDS


def check_limit(value: Any) -> int:
    """How many rows a page holds at most.

    Raises:
        ValueError: outside 0 to 1000.
    """
    text = str(value)
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > MAX_LIMIT:
        raise ValueError(f"must be an integer from 0 to {MAX_LIMIT}, not {shown(value)}")
    return int(text)


def check_unix_seconds(value: Any) -> int:
    """A moment.

    Raises:
        ValueError: when it is no moment between 1970 and 9999.
    """
    text = str(value)
    if not re.fullmatch(r"[0-9]{1,12}", text) or int(text) > MAX_UNIX_SECONDS:
        raise ValueError(f"must be Unix seconds, not {shown(value)}")
    return int(text)


def to_moment(unix_seconds: int | None) -> datetime.datetime | None:
    """A moment that a query string named, if it did."""
    if unix_seconds is None:
        return None
    return datetime.datetime.fromtimestamp(unix_seconds, tz=datetime.UTC)


def check_ids(value: Any) -> tuple[int, ...]:
    """Numbers of objects, separated by commas or in a JSON array, as SigOpt's client writes lists.

    Raises:
        ValueError: when one of them is no number.
    """
    text = str(value)
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1].replace('"', "")
    return tuple(check_id(part.strip()) for part in text.split(","))


def check_marker(value: Any) -> str:
    """A place in a list, as an earlier answer gave it.

    Raises:
        ValueError: when it is empty.
    """
    if not value:
        raise ValueError("must be a marker from an earlier answer, not empty")
    return str(value)


Limit = Annotated[
    int,
    BeforeValidator(check_limit),
    Field(json_schema_extra={"minimum": 0, "maximum": MAX_LIMIT}),
]
QueryFlag = Annotated[bool, BeforeValidator(check_flag)]
QueryId = Annotated[int, BeforeValidator(check_id, json_schema_input_type=str)]
UnixSeconds = Annotated[int, BeforeValidator(check_unix_seconds)]
Marker = Annotated[str, BeforeValidator(check_marker)]


class Query(BaseModel):
    """A query string that is closed: a mistyped filter must not widen what is deleted."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_secrets(cls, data: Any) -> Any:
        if isinstance(data, dict) and any(key.lower() in SECRET_KEYS for key in data):
            raise ValueError("send the API token in the Authorization header, never in the URL")
        return data


class Fetch(Query):
    """A query that reads one object."""

    fields: str | None = None
    """Only these fields of the answer, separated by commas; all of them when absent."""


class Listing(Fetch):
    """A query that reads a page of a list."""

    limit: Limit = MAX_LIMIT
    """Rows on the page at most, 0 to 1000."""
    before: Marker | None = None
    """Only rows smaller than this marker of an earlier page."""
    after: Marker | None = None
    """Only rows larger than this marker of an earlier page."""
    ascending: QueryFlag = False
    """Smallest first; otherwise the largest or newest come first."""


class ListingById(Listing):
    """A list that is ordered by id only."""

    sort: Literal["id"] = "id"
    """What to order by."""

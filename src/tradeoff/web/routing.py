"""What a page is, and what it may answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tradeoff.web.visit import Visit


@dataclass(frozen=True, slots=True)
class Html:
    """A template and what it shows.

    Attributes:
        template: its name.
        context: its variables, beside those that every page has.
        status: of HTTP.
    """

    template: str
    context: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Redirect:
    """Another page.

    Attributes:
        location: its path.
        signed_in: the secret of a session that begins now.
        signed_out: the session ends now.
    """

    location: str
    signed_in: str | None = None
    signed_out: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    """Something that is no page.

    Attributes:
        body: as it is sent.
        media_type: of the body.
        filename: under which a browser keeps it; `None` to show it.
        status: of HTTP.
    """

    body: bytes
    media_type: str
    filename: str | None = None
    status: int = 200


Answer: TypeAlias = Html | Redirect | Data
Handler: TypeAlias = Callable[[Visit], Answer]


@dataclass(frozen=True, slots=True)
class Page:
    """One method of one path.

    Attributes:
        method: of HTTP.
        path: with placeholders in braces; `{experiment}` is found and permitted already.
        handler: what is done.
        whose: `anyone`, signed in or not; `reader`, whoever is signed in; `writer`, whose token
            may write as well; `admin`, whose token may do everything.
        whole_client: not for tokens that are bound to one experiment or run.
        most_bytes: of a form that is sent.
    """

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    whose: Literal["anyone", "reader", "writer", "admin"] = "reader"
    whole_client: bool = False
    most_bytes: int = 256 * 1024

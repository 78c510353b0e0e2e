"""What a route is: a path, a permission, and a function that speaks of rows and wire models.

The function says by the names of its arguments what it needs, and by their types what its body,
query and answer look like:

    session, principal, secret     who asks, and the transaction to work in
    origin                         scheme and host, as the caller knows us
    client, project, experiment,   rows named by the path, found and permitted already; see `rows`
    suggestion, …                  for all of them
    body, query                    wire models, validated after the rows were found
    keyless                        whether the request came without an `Idempotency-Key`
    accept_stale                   the function may give `None` while this is false: not yet
    waited_seconds                 for how long the request has been here

A route without a permission, or whose function needs something else, does not start.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel

from tradeoff.api import bodies, rows
from tradeoff.api.wire.base import Answer
from tradeoff.api.wire.pagination import Pagination
from tradeoff.api.wire.queries import Query

ARGUMENTS = frozenset(
    {
        *rows.FINDERS,
        "session",
        "principal",
        "secret",
        "origin",
        "body",
        "query",
        "keyless",
        "accept_stale",
        "waited_seconds",
    }
)
PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Permission(StrEnum):
    """What a token must be allowed for a route."""

    READ = "read"
    WRITE = "write"
    #: Of the clients, users and tokens of the organization; the reading of them as well.
    ADMIN = "admin"


@dataclass(frozen=True, eq=False)
class Route:
    """One method of one path.

    Attributes:
        method: of HTTP.
        path: with placeholders in braces, each one of `rows.FINDERS`.
        handler: what is done.
        permission: what the token must be allowed.
        max_bytes: size limit of the body.
        max_members: how many values the body may hold.
        production_only: not for development tokens.
        classical_only: not on an experiment that is made of training runs.
        described: it is in the description for machines.
        moves: the answer may be that the thing is at another address.
        shared: it is short and often asked for, and several of one caller share a transaction.
        placeholders: the rows that the path names, in its order.
        body_model: of the request's body; `None` when it takes none.
        query_model: of the query string.
        answer_model: of the answer; of a list, the envelope.
        element_model: what `fields` selects from: the answer, or the elements of a list.
        waits: the handler may have nothing to give yet.
    """

    method: str
    path: str
    handler: Callable[..., Any]
    permission: Permission
    max_bytes: int = bodies.MAX_BYTES
    max_members: int = bodies.MAX_MEMBERS
    production_only: bool = False
    classical_only: bool = False
    moves: bool = False
    shared: bool = False
    described: bool = True
    placeholders: tuple[str, ...] = field(init=False)
    arguments: frozenset[str] = field(init=False)
    body_model: type[BaseModel] | None = field(init=False)
    query_model: type[Query] = field(init=False)
    answer_model: type[Answer] = field(init=False)
    element_model: type[Answer] = field(init=False)
    waits: bool = field(init=False)

    def __post_init__(self) -> None:
        """Read the handler's signature.

        Raises:
            TypeError: when the route is not complete or asks for what there is not.
        """
        hints = get_type_hints(self.handler)
        arguments = frozenset(inspect.signature(self.handler).parameters)
        placeholders = tuple(PLACEHOLDER.findall(self.path))
        if not isinstance(self.permission, Permission):
            raise TypeError(f"{self.method} {self.path} states no permission")
        unknown = (arguments - ARGUMENTS) | (set(placeholders) - set(rows.FINDERS))
        missing = (arguments & set(rows.FINDERS)) - set(placeholders)
        if unknown or missing:
            raise TypeError(f"{self.method} {self.path}: what are {unknown | missing}?")
        answer = hints["return"]
        answer = next((a for a in get_args(answer) if isinstance(a, type)), answer)
        self._set("placeholders", placeholders)
        self._set("arguments", arguments)
        self._set("body_model", hints.get("body"))
        self._set("query_model", hints.get("query", Query))
        self._set("answer_model", answer)
        self._set("element_model", _element_of(answer))
        self._set("waits", "accept_stale" in arguments)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def writes(self) -> bool:
        """Whether the route changes something."""
        return self.permission is Permission.WRITE or (self.administers and self.method != "GET")

    @property
    def administers(self) -> bool:
        """Whether it takes a token with the role admin."""
        return self.permission is Permission.ADMIN

    @property
    def name(self) -> str:
        """A name that no other route has: the resource and the act."""
        module = self.handler.__module__.rpartition(".")[2]
        return f"{module}.{self.handler.__name__}"


def _element_of(answer: type[Answer]) -> type[Answer]:
    """What the elements of a list are; the answer itself when it is none."""
    if issubclass(answer, Pagination):
        element = answer.__pydantic_generic_metadata__["args"][0]
        assert isinstance(element, type)
        return element
    return answer

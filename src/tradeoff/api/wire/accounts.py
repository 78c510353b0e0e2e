"""Tokens and clients on the wire."""

from __future__ import annotations

from typing import Literal

from tradeoff.api.wire.base import Answer


class Token(Answer):
    """A key to this API."""

    object: Literal["token"] = "token"
    token: str
    """The secret that the request carried."""
    token_type: Literal["client-api", "client-dev", "guest"]
    client: str
    organization: str | None
    user: str | None = None
    experiment: str | None
    """The one experiment that the token reaches, if it is bound to one."""
    training_run: str | None = None
    all_experiments: bool
    development: bool
    permissions: Literal["read", "write"]
    scope: Literal["all_endpoints", "shared_experiment"]
    expires: int | None
    lease_length: int | None = None


class ClientSecurity(Answer):
    """Who sees what inside a client."""

    object: Literal["client_security"] = "client_security"
    allow_users_to_see_experiments_by_others: bool = True


class Client(Answer):
    """A team; what belongs to one does not exist for another."""

    object: Literal["client"] = "client"
    id: str
    organization: str
    name: str
    created: int
    client_security: ClientSecurity = ClientSecurity()

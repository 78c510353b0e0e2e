"""Tokens and clients on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from tradeoff.api.wire.base import Answer, Create


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
    training_run: str | None
    """The one training run that the token reaches, if it is bound to one."""
    all_experiments: bool
    development: bool
    permissions: Literal["read", "write"]
    scope: Literal["all_endpoints", "shared_experiment"]
    expires: int | None
    lease_length: int | None = None


class GuestTokenCreate(Create):
    """Nothing is to be said about a guest token."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})


class Organization(Answer):
    """Those who share an installation."""

    object: Literal["organization"] = "organization"
    id: str
    name: str
    created: int
    academic: bool = False
    email_domains: list[str] = Field(default_factory=list)
    client_for_email_signup: str | None = None
    allow_signup_from_email_domains: bool = False
    optimized_runs_in_billing_cycle: int
    """Training runs of this month that a suggestion was drawn for."""
    total_runs_in_billing_cycle: int
    """Training runs of this month."""
    data_storage_bytes: int
    """How much room the files of training runs take."""


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


class Session(Answer):
    """Who is asking: the token that the request carries, and its client."""

    object: Literal["session"] = "session"
    api_token: Token
    client: Client
    user: None = None
    code: None = None
    needs_password_reset: bool = False

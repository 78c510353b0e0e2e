"""Tokens, clients and organizations on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from tradeoff.api.wire.base import Answer, Create, Flag, Id, Request
from tradeoff.api.wire.queries import Fetch, ListingById, QueryFlag
from tradeoff.service import access, quotas
from tradeoff.spec.values import Name, shown

Role = Literal["read", "write", "admin"]
#: So many characters of a token are no secret.
SHOWN_LENGTH = len(access.TOKEN_PREFIX) + access.SHOWN_LENGTH
#: A year; a token for longer has no end at all.
MAX_LEASE_SECONDS = 366 * 86_400


def check_lease(value: Any) -> int:
    """How long a token lives, in seconds.

    Raises:
        ValueError: outside one minute to a year.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or value != int(value) or not 60 <= value <= MAX_LEASE_SECONDS:
        raise ValueError(
            f"must be a whole number of seconds from 60 to {MAX_LEASE_SECONDS}, not {shown(value)}"
        )
    return int(value)


def check_count(value: Any) -> float:
    """How many of something there may be.

    Raises:
        ValueError: when it is no whole number from 0 to 10^15.
    """
    return quotas.check("experiments", _number(value))


def check_rate(value: Any) -> float:
    """How often something may be.

    Raises:
        ValueError: when it is no number from 0.01 to 100,000.
    """
    return quotas.check("requests_per_second", _number(value))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number, not {shown(value)}")
    return float(value)


Count = Annotated[int, BeforeValidator(check_count)]
Rate = Annotated[float, BeforeValidator(check_rate)]


class Token(Answer):
    """A key to this API."""

    object: Literal["token"] = "token"
    id: str
    """Its number, to name it without its secret."""
    token: str
    """The secret: of the token that the request carries, and of a new one, this once. Of any other
    only the first characters are known; they name it in addresses as well as its number does."""
    token_type: Literal["client-api", "client-dev", "guest"]
    """`client-api` for production, `client-dev` for development, `guest` for one object."""
    client: str
    organization: str | None
    user: str | None = None
    """Whose it is, if it was made for somebody."""
    experiment: str | None
    """The one experiment that the token reaches, if it is bound to one."""
    training_run: str | None
    """The one training run that the token reaches, if it is bound to one."""
    all_experiments: bool
    """Whether it reaches everything of its client."""
    development: bool
    """It makes and reaches development experiments only."""
    permissions: Literal["read", "write"]
    """Whether it may change things, or read alone."""
    role: Role
    """`admin` may also administer the organization's clients, users and tokens."""
    name: str | None
    """What it was called, to tell tokens apart."""
    scope: Literal["all_endpoints", "shared_experiment"]
    """`shared_experiment` when it is bound to one experiment or training run."""
    created: int
    """When it was made, in Unix seconds."""
    expires: int | None
    """When it stops working, in Unix seconds; `null`: never."""
    lease_length: int | None = None
    """For so many seconds it is renewed, if it may be."""

    def without_secrets(self) -> Token:
        """The same, with the first characters of the secret alone."""
        return self.model_copy(update={"token": self.token[:SHOWN_LENGTH]})


class GuestTokenCreate(Create):
    """Nothing is to be said about a guest token."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})


class TokenCreate(Create):
    """A new token of a client."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"role": "write", "name": "gpu fleet"}]}
    )

    role: Role = "write"
    """What it may do: `read`; `write`, which is the default; `admin`."""
    name: Name | None = None
    """To tell tokens apart."""
    experiment: Id | None = None
    """The one experiment that it shall reach."""
    user: Id | None = None
    """Whose it shall be; their role in the client must be as much."""
    development: Flag = False
    """It makes and reaches development experiments only, whose suggestions are random."""
    lease_length: Annotated[int, BeforeValidator(check_lease)] | None = None
    """It ends after so many seconds, unless it is renewed; without, it has no end."""


class TokenUpdate(Request):
    """What to do with a token."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"token": "rotate"}]})

    token: Literal["rotate"] | None = None
    """`rotate` gives a new token in its place; this one ends in 24 hours."""
    expires: Literal["renew"] | None = None
    """`renew` lets it live for its lease from now on."""
    lasts_forever: Flag | None = None
    """`true` takes its end away, `false` gives it back to one that has a lease."""


class TokenList(ListingById):
    """Which tokens are listed."""


class Organization(Answer):
    """Those who share an installation."""

    object: Literal["organization"] = "organization"
    id: str
    name: str
    created: int
    academic: bool = False
    """Always `false`."""
    email_domains: list[str] = Field(default_factory=list)
    """Always empty."""
    client_for_email_signup: str | None = None
    """Always `null`."""
    allow_signup_from_email_domains: bool = False
    """Always `false`."""
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
    """Always `true`: what a client has, all its tokens see."""


class Client(Answer):
    """A team; what belongs to one does not exist for another."""

    object: Literal["client"] = "client"
    id: str
    organization: str
    name: str
    created: int
    client_security: ClientSecurity = ClientSecurity()
    """Who sees what."""


def check_security(value: Any) -> dict[str, Any]:
    """Who sees what inside a client: everybody everything, for now.

    Raises:
        ValueError: for anything else.
    """
    if not isinstance(value, dict):
        raise ValueError(f"must be an object, not {shown(value)}")
    allowed = value.get("allow_users_to_see_experiments_by_others", True)
    if allowed is not True:
        raise ValueError(
            "allow_users_to_see_experiments_by_others: must be true: what belongs to a client is "
            f"seen with each of its tokens, not {shown(allowed)}"
        )
    unknown = set(value) - {"allow_users_to_see_experiments_by_others", "object"}
    if unknown:
        raise ValueError(f"unknown key {shown(min(unknown))}")
    return value


Security = Annotated[
    dict[str, Any], BeforeValidator(check_security, json_schema_input_type=dict[str, bool])
]


class ClientCreate(Create):
    """A new client of your organization."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "robotics"}]})

    name: Name
    """What to call the team, 1 to 100 characters."""
    client_security: Security | None = None
    """`allow_users_to_see_experiments_by_others`, which is `true`."""


class ClientUpdate(Request):
    """What to change; a key that is absent leaves its part as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "robotics and vision"}]})

    name: Name = ""
    """What to call the team."""
    client_security: Security | None = None
    """`allow_users_to_see_experiments_by_others`, which is `true`."""


class Allowance(Answer):
    """Of one thing: how much there may be, and how much there is."""

    limit: int | None
    """`null`: as much as there is room for."""
    used: int
    """How much there is now."""


class Quotas(Answer):
    """What a client may have at most, and what it has."""

    object: Literal["quotas"] = "quotas"
    client: str
    experiments: Allowance
    """Experiments that are not deleted."""
    observations: Allowance
    """Observations of all experiments together."""
    file_bytes: Allowance
    """Bytes of all files of training runs together."""
    requests_per_second: float | None
    """Requests of all tokens together that one API process answers; `null`: any number."""


class QuotasUpdate(Request):
    """What to change; a key that is absent leaves its part as it is.

    `null` gives the client what the installation grants everybody.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"experiments": 1000}]})

    experiments: Count | None = None
    """Experiments that are not deleted."""
    observations: Count | None = None
    """Observations of all experiments together."""
    file_bytes: Count | None = None
    """Bytes of all files of training runs together."""
    requests_per_second: Rate | None = None
    """Requests of all tokens together that one API process answers."""


class ClientDelete(Fetch):
    """How a client is deleted."""

    erase: QueryFlag = False
    """Take everything away that it has, for good, and not only out of sight."""


class ClientList(ListingById):
    """Which clients are listed."""


def check_email(value: Any) -> str:
    """An address, as far as can be told by looking at it.

    Raises:
        ValueError: when it can be none.
    """
    text = value.strip() if isinstance(value, str) else ""
    name, _, host = text.partition("@")
    if not name or not host or "@" in host or len(text) > 254 or not text.isprintable():
        raise ValueError(f"must be an address such as 'ada@example.com', not {shown(value)}")
    if " " in text:
        raise ValueError(f"must not contain spaces: {shown(value)}")
    return text


class User(Answer):
    """A person of an organization."""

    object: Literal["user"] = "user"
    id: str
    name: str
    email: str
    """Once in an organization; no mail is ever sent to it."""
    created: int
    deleted: bool = False
    has_verified_email: bool = False
    """Always `false`: nothing is verified by mail."""
    show_welcome: bool = False
    """Always `false`."""
    planned_usage: str | None = None
    """Always `null`."""


class Session(Answer):
    """Who is asking: the token that the request carries, its client, and whose it is."""

    object: Literal["session"] = "session"
    api_token: Token
    """The token that the request carries."""
    client: Client
    user: User | None = None
    code: None = None
    """Always `null`."""
    needs_password_reset: bool = False
    """Always `false`."""


class UserCreate(Create):
    """A new user of your organization."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Ada", "email": "ada@example.com", "role": "write"}]
        }
    )

    name: Name
    """1 to 100 characters."""
    email: Annotated[str, BeforeValidator(check_email)]
    """Once in an organization; no mail is ever sent to it."""
    role: Role = "write"
    """What the user may do in your client: `read`; `write`, which is the default; `admin`."""
    password: str | None = None
    """Refused: nobody signs in with a password here."""

    @model_validator(mode="after")
    def _refuse_password(self) -> UserCreate:
        if self.password is not None:
            raise ValueError(
                "password: there are no passwords here; leave it out, and create a token for the "
                "user"
            )
        return self


class UserUpdate(Request):
    """What to change; a key that is absent leaves its part as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Ada L."}]})

    name: Name = ""
    """1 to 100 characters."""
    email: Annotated[str, BeforeValidator(check_email)] = ""
    """Once in an organization."""


class UserList(ListingById):
    """Which users are listed."""


class PermissionCreate(Request):
    """What a user may do in a client of your organization."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"client": "12", "role": "read"}]})

    client: Id
    """Where."""
    role: Role | None
    """`read`, `write`, `admin`, or `null` for nothing. Less than before ends the tokens that the
    user has there."""


class UserPermission(Answer):
    """What a user may do in a client."""

    object: Literal["permission"] = "permission"
    client: Client
    user: User
    role: Role
    """What they may do, in one word."""
    can_read: bool
    """See everything of the client."""
    can_write: bool
    """Change it too."""
    can_admin: bool
    """Administer the organization's clients, users and tokens as well."""
    can_see_experiments_by_others: bool = True
    """Always `true`."""
    is_owner: bool = False
    """Always `false`."""


class Membership(Answer):
    """That a user belongs to an organization."""

    object: Literal["membership"] = "membership"
    organization: str
    user: User
    type: Literal["member"] = "member"
    """Always `member`: roles are a user's in a client."""

"""Who is asking, and how far they may reach.

A thing that a token may not see does not exist for it: the answer is the same 404 as for an id
that was never given.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from tradeoff.errors import BadInput, NotAllowed, NotAuthenticated, NotFound
from tradeoff.store import accounts, experiments, files, idempotency, tables, training_runs
from tradeoff.store.database import Session

TOKEN_PREFIX = "tdo_"
#: 43 characters of 62 hold 256 bits.
TOKEN_LENGTH = 43
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
#: So much of a secret is kept readable, for people to tell tokens apart.
SHOWN_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request comes from.

    Attributes:
        token_id: the token that was shown.
        client_id: whose it is.
        organization_id: whose client that is.
        role: `read`, `write` or `admin`.
        development: the token makes and reaches development experiments only.
        experiment_id: the one experiment that the token reaches; `None` for all of the client.
        training_run_id: the one training run that the token reaches; `None` likewise.
        is_full: the client has as many observations as it may.
        requests_per_second: that the client may ask at most, if it has a rate of its own.
    """

    token_id: int
    client_id: int
    organization_id: int
    role: str
    development: bool
    experiment_id: int | None
    training_run_id: int | None
    is_full: bool = False
    requests_per_second: float | None = None


def make_secret() -> str:
    """A new token: 256 random bits with a checksum, so that scanners recognise a leaked one."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(TOKEN_LENGTH))
    return f"{TOKEN_PREFIX}{body}{zlib.crc32(body.encode()):08x}"


def hash_secret(secret: str) -> bytes:
    """What is kept of a token; a slow hash adds nothing to 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()


def authenticate(session: Session, secret: str | None) -> Principal:
    """The principal behind a token.

    Raises:
        NotAuthenticated: without a token.
        NotAllowed: when it is unknown, revoked or expired.
    """
    return recognise(session, secret).principal


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a request comes from, and what was read along with that.

    Attributes:
        principal: who it is.
        kept: what their request of the same key was answered before.
        experiment: the one that was to come along. Nothing says that they may see it: as long as
            it is held, `get_experiment` needs no query for it.
    """

    principal: Principal
    kept: idempotency.Kept | None
    experiment: tables.Experiment | None


def recognise(
    session: Session,
    secret: str | None,
    *,
    key: str | None = None,
    experiment_id: int | None = None,
) -> Caller:
    """The principal behind a token, with what every request asks next.

    Args:
        session: to ask with.
        secret: the token.
        key: of the request.
        experiment_id: the experiment that it is about.

    Raises:
        NotAuthenticated: without a token.
        NotAllowed: when it is unknown, revoked or expired.
    """
    return recognise_all(session, secret, [accounts.Asked(key, experiment_id)])[0]


def recognise_all(
    session: Session, secret: str | None, asked: Sequence[accounts.Asked]
) -> list[Caller]:
    """As `recognise`, for several requests with the same token, in their order."""
    if not secret:
        raise NotAuthenticated
    digest = hash_secret(secret)
    token = accounts.find_token(session, digest, asked)
    if token is None or not hmac.compare_digest(token.hash, digest):
        raise NotAllowed("This API token is not known.", token_status="revoked")
    principal = principal_of(token)
    return [Caller(principal, each.kept, each.experiment) for each in token.along]


def principal_of(token: accounts.Known) -> Principal:
    """Whom a token stands for, while it works.

    Raises:
        NotAllowed: when it is revoked or expired.
    """
    if token.revoked is not None:
        raise NotAllowed("This API token was revoked.", token_status="revoked")
    if token.expired:
        raise NotAllowed("This API token has expired.", token_status="expired")
    if token.client_deleted:
        raise NotAllowed("The client of this API token was deleted.", token_status="revoked")
    return Principal(
        token_id=token.token_id,
        client_id=token.client_id,
        organization_id=token.organization_id,
        role=token.role,
        development=token.development,
        experiment_id=token.experiment_id,
        training_run_id=token.training_run_id,
        is_full=token.client_is_full,
        requests_per_second=token.requests_per_second,
    )


def require_write(principal: Principal) -> None:
    """Stop a token that may only read.

    Raises:
        NotAllowed: then.
    """
    if principal.role == "read":
        raise NotAllowed(
            "This API token may read and not write.", token_status="invalid_permissions"
        )


def require_admin(principal: Principal) -> None:
    """Stop a token that may not administer its client.

    Raises:
        NotAllowed: then.
    """
    if principal.role != "admin":
        raise NotAllowed(
            "This is for tokens of the role admin.", token_status="invalid_permissions"
        )


def is_bound(principal: Principal) -> bool:
    """Whether a token reaches one experiment or one training run alone."""
    return principal.experiment_id is not None or principal.training_run_id is not None


def get_experiment(
    session: Session, principal: Principal, experiment_id: int, *, write: bool = False
) -> tables.Experiment:
    """An experiment that the principal may see, and with `write` change; deleted ones included.

    Raises:
        NotFound: when there is none for this principal.
        NotAllowed: when it may be seen and not changed, or belongs to the other kind of token.
    """
    missing = NotFound(f"There is no experiment {experiment_id}")
    try:
        row = experiments.get(session, experiment_id)
    except NotFound:
        raise missing from None
    bound_elsewhere = (
        principal.experiment_id not in (None, experiment_id)
        or principal.training_run_id is not None
    )
    if row.client_id != principal.client_id or bound_elsewhere:
        raise missing
    if row.development != principal.development:
        kind = "a development" if row.development else "a production"
        raise NotAllowed(
            f"Experiment {experiment_id} is {kind} experiment, and this token is not for those.",
            token_status="invalid_permissions",
        )
    if write:
        require_write(principal)
    return row


def require_active(experiment: tables.Experiment) -> None:
    """Stop work on a deleted experiment.

    Raises:
        BadInput: then.
    """
    if experiment.state != "active":
        raise BadInput(
            f"Experiment {experiment.id} is deleted; set its state to 'active' to go on with it"
        )


def require_production(principal: Principal) -> None:
    """Stop a development token.

    Raises:
        NotAllowed: then.
    """
    if principal.development:
        raise NotAllowed(
            "A development token is not for this; use a production one.",
            token_status="invalid_permissions",
        )


def get_organization(
    session: Session, principal: Principal, organization_id: int
) -> tables.Organization:
    """The organization that the principal belongs to.

    Raises:
        NotFound: when there is none for this principal.
        NotAllowed: when the token is bound to one experiment.
    """
    if organization_id != principal.organization_id:
        raise NotFound(f"There is no organization {organization_id}")
    require_whole_client(principal)
    return accounts.get_organization(session, organization_id)


def get_aiexperiment(
    session: Session, principal: Principal, experiment_id: int, *, write: bool = False
) -> tables.Experiment:
    """As `get_experiment`, of those that are made of training runs.

    Raises:
        NotFound: when there is none for this principal, or it is of the other kind.
        NotAllowed: when it may be seen and not changed.
    """
    missing = NotFound(f"There is no AIExperiment {experiment_id}")
    try:
        row = get_experiment(session, principal, experiment_id, write=write)
    except NotFound:
        raise missing from None
    if not row.runs_only:
        raise missing
    return row


def get_training_run(
    session: Session, principal: Principal, run_id: int, *, write: bool = False
) -> tables.TrainingRun:
    """A training run that the principal may see, and with `write` change; deleted ones included.

    Raises:
        NotFound: when there is none for this principal.
        NotAllowed: when it may be seen and not changed.
    """
    missing = NotFound(f"There is no training run {run_id}")
    try:
        row = training_runs.get(session, run_id)
    except NotFound:
        raise missing from None
    bound_elsewhere = principal.experiment_id not in (None, row.experiment_id) or (
        principal.training_run_id not in (None, run_id)
    )
    if row.client_id != principal.client_id or bound_elsewhere:
        raise missing
    if write:
        require_write(principal)
    return row


def get_file(session: Session, principal: Principal, file_id: int) -> tables.File:
    """A file of a training run that the principal may see.

    Raises:
        NotFound: when there is none for this principal.
    """
    missing = NotFound(f"There is no file {file_id}")
    try:
        row = files.get(session, file_id)
        get_training_run(session, principal, row.training_run_id)
    except NotFound:
        raise missing from None
    return row


def require_classical(experiment: tables.Experiment) -> None:
    """Stop what only training runs do in an experiment that is made of them.

    Raises:
        NotAllowed: then.
    """
    if experiment.runs_only:
        raise NotAllowed(
            f"Experiment {experiment.id} is an AIExperiment: create a training run in it, and let "
            "the run report",
            token_status="invalid_permissions",
        )


def get_client(
    session: Session, principal: Principal, client_id: int, *, write: bool = False
) -> tables.Client:
    """A client that the principal belongs to.

    Raises:
        NotFound: when there is none for this principal.
        NotAllowed: when the token may not do that here.
    """
    if client_id != principal.client_id:
        raise NotFound(f"There is no client {client_id}")
    require_whole_client(principal)
    if write:
        require_write(principal)
    return accounts.get_client(session, client_id)


def require_whole_client(principal: Principal) -> None:
    """Stop a token that is bound to one experiment or one training run.

    Raises:
        NotAllowed: then.
    """
    if principal.experiment_id is not None:
        reach = f"experiment {principal.experiment_id}"
    elif principal.training_run_id is not None:
        reach = f"training run {principal.training_run_id}"
    else:
        return
    raise NotAllowed(f"This API token reaches {reach} alone.", token_status="invalid_permissions")

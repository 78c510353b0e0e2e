"""Clients and their tokens."""

from __future__ import annotations

import datetime
from typing import Any

from tradeoff.errors import BadInput, NotFound
from tradeoff.service import audit
from tradeoff.service.access import SHOWN_LENGTH, TOKEN_PREFIX, hash_secret, make_secret
from tradeoff.spec.values import check_name
from tradeoff.store import accounts, experiments, tables
from tradeoff.store.database import Session

ROLES = ("read", "write", "admin")
#: How long a guest token works.
GUESTS_STAY = datetime.timedelta(days=30)
LONGEST_STAY = datetime.timedelta(days=366)


def create_client(
    session: Session, *, name: str, role: str = "write", organization_id: int | None = None
) -> tuple[tables.Client, dict[str, str]]:
    """A new client with its first two tokens.

    Args:
        session: to work with.
        name: what to call it.
        role: of its `api` token.
        organization_id: where it belongs; `None` makes one of the same name.

    Returns:
        The client, and the secrets of its `api` and its `development` token: to be shown now,
        since they are not kept.

    Raises:
        BadInput: when the name is not one.
    """
    try:
        client = accounts.insert_client(
            session, name=check_name(name), organization_id=organization_id
        )
    except ValueError as error:
        raise BadInput(f"name: {error}") from error
    _note(session, "client.create", client, name=client.name)
    _, api = create_token(session, client_id=client.id, role=role, name="api")
    _, development = create_token(
        session, client_id=client.id, role="write", name="development", development=True
    )
    return client, {"api": api, "development": development}


def add_client(session: Session, *, organization_id: int, name: str) -> tables.Client:
    """A further client of an organization, without tokens: those are made by an administrator."""
    client = accounts.insert_client(session, name=name, organization_id=organization_id)
    _note(session, "client.create", client, name=name)
    return client


def rename_client(session: Session, client: tables.Client, name: str) -> None:
    """Call a client something else."""
    _note(session, "client.update", client, **audit.changed({"name": client.name}, {"name": name}))
    client.name = name


def delete_client(session: Session, client: tables.Client) -> None:
    """Put a client away: its tokens end at once, and nothing of it is shown any more."""
    client.deleted = True
    _note(session, "client.delete", client)


def _note(session: Session, action: str, client: tables.Client, **details: Any) -> None:
    audit.note(session, action, client=client, kind="client", object_id=client.id, details=details)


def create_token(
    session: Session,
    *,
    client_id: int,
    role: str = "write",
    name: str | None = None,
    experiment_id: int | None = None,
    training_run_id: int | None = None,
    development: bool = False,
    expires: datetime.datetime | None = None,
    user_id: int | None = None,
    issued_by: int | None = None,
    lease_seconds: int | None = None,
) -> tuple[tables.Token, str]:
    """A new token of a client.

    Args:
        session: to work in.
        client_id: whose.
        role: `read`, `write` or `admin`.
        name: to tell tokens apart.
        experiment_id: the one experiment that it reaches.
        training_run_id: the one training run that it reaches.
        development: it makes and reaches development experiments only.
        expires: when it ends.
        user_id: the person that it is for.
        issued_by: the token that it is made with; `None` when the operator makes it.
        lease_seconds: for how long it may be renewed.

    Returns:
        The token and its secret: to be shown now, since only its hash is kept.

    Raises:
        BadInput: when there is no such role.
        NotFound: when there is no such client, or the experiment is not the client's.
    """
    if role not in ROLES:
        raise BadInput(f"role: must be one of {', '.join(ROLES)}, not {role!r}")
    accounts.get_client(session, client_id)
    if experiment_id is not None:
        experiment = experiments.get(session, experiment_id)
        if experiment.client_id != client_id:
            raise NotFound(f"There is no experiment {experiment_id}")
    secret = make_secret()
    token = accounts.insert_token(
        session,
        client_id=client_id,
        hash=hash_secret(secret),
        prefix=secret[: len(TOKEN_PREFIX) + SHOWN_LENGTH],
        role=role,
        name=name,
        development=development,
        experiment_id=experiment_id,
        training_run_id=training_run_id,
        expires=expires,
        user_id=user_id,
        issued_by=issued_by,
        lease_seconds=lease_seconds,
    )
    note_token(
        session,
        "token.create",
        token,
        role=role,
        name=name,
        development=development,
        experiment=experiment_id,
        training_run=training_run_id,
        user=user_id,
        expires=None if expires is None else int(expires.timestamp()),
    )
    return token, secret


def note_token(session: Session, action: str, token: tables.Token, **details: Any) -> None:
    """Keep that something was done to a token."""
    audit.note(
        session,
        action,
        client=token.client_id,
        kind="token",
        object_id=token.id,
        details={key: value for key, value in details.items() if value not in (None, False)},
    )


def create_guest_token(
    session: Session,
    shared: tables.Experiment | tables.TrainingRun,
    *,
    issued_by: int,
    stay: datetime.timedelta = GUESTS_STAY,
) -> tuple[tables.Token, str]:
    """A token with which a guest reads one experiment or one training run for a while.

    Returns:
        The token and its secret, as `create_token` does.

    Raises:
        BadInput: when the guest would stay for less than no time, or for longer than a year.
    """
    if not datetime.timedelta(0) < stay <= LONGEST_STAY:
        raise BadInput(f"days: must be above 0 and at most {LONGEST_STAY.days}")
    of_run = isinstance(shared, tables.TrainingRun)
    return create_token(
        session,
        client_id=shared.client_id,
        role="read",
        name="guest",
        experiment_id=None if of_run else shared.id,
        training_run_id=shared.id if of_run else None,
        expires=accounts.now(session) + stay,
        issued_by=issued_by,
        lease_seconds=int(stay.total_seconds()),
    )


def revoke_guest_token(session: Session, experiment: tables.Experiment, token_id: int) -> None:
    """End a guest's reading of an experiment at once.

    Raises:
        NotFound: when the experiment has no such guest.
    """
    guests = accounts.list_guest_tokens(session, experiment.id)
    if token_id not in {guest.id for guest in guests}:
        raise NotFound(f"There is no guest token {token_id} of this experiment")
    revoke_token(session, token_id)


def revoke_token(session: Session, token_id: int) -> None:
    """End a token at once, in every process.

    Raises:
        NotFound: when there is none with this id that still works.
    """
    if not accounts.update_revoked(session, token_id):
        raise NotFound(f"There is no active token {token_id}")
    note_token(session, "token.revoke", accounts.get_token(session, token_id))

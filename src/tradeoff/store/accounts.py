"""Organizations, clients and tokens."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select, update

from tradeoff.errors import NotFound
from tradeoff.store.database import Session
from tradeoff.store.entities import Form
from tradeoff.store.idempotency import Kept
from tradeoff.store.prepared import Query
from tradeoff.store.tables import Client, Experiment, Organization, Token, User


def insert_client(session: Session, *, name: str, organization_id: int | None = None) -> Client:
    """A new client, in a new organization of the same name unless one is given."""
    if organization_id is None:
        organization = Organization(name=name)
        session.add(organization)
        session.flush()
        organization_id = organization.id
    client = Client(name=name, organization_id=organization_id)
    session.add(client)
    session.flush()
    session.refresh(client)
    return client


def get_client(session: Session, client_id: int) -> Client:
    """The client with this id.

    Raises:
        NotFound: when there is none, or it was deleted.
    """
    client = session.get(Client, client_id)
    if client is None or client.deleted:
        raise NotFound(f"There is no client {client_id}")
    return client


def get_organization(session: Session, organization_id: int) -> Organization:
    """The organization with this id."""
    return session.get_one(Organization, organization_id)


def list_clients(session: Session) -> Sequence[Client]:
    """Every client that is not deleted, oldest first."""
    return session.scalars(select(Client).where(~Client.deleted).order_by(Client.id)).all()


def list_clients_of(session: Session, organization_id: int) -> Sequence[Client]:
    """The clients of an organization that are not deleted, oldest first."""
    # ix_clients_organization_id
    query = select(Client).where(Client.organization_id == organization_id, ~Client.deleted)
    return session.scalars(query.order_by(Client.id)).all()


def list_working_tokens(session: Session, client_id: int) -> Sequence[Token]:
    """The tokens of a client that work, but for guests'; oldest first."""
    query = (
        select(Token)
        .where(
            Token.client_id == client_id,
            Token.experiment_id.is_(None),
            Token.training_run_id.is_(None),
            Token.revoked.is_(None),
            func.coalesce(Token.expires > func.now(), True),
        )
        .order_by(Token.id)
    )
    return session.scalars(query).all()


def insert_token(
    session: Session,
    *,
    client_id: int,
    hash: bytes,
    prefix: str,
    role: str,
    name: str | None = None,
    development: bool = False,
    experiment_id: int | None = None,
    training_run_id: int | None = None,
    expires: datetime.datetime | None = None,
    user_id: int | None = None,
    issued_by: int | None = None,
    lease_seconds: int | None = None,
) -> Token:
    """A new token, of which only the hash is kept."""
    token = Token(
        client_id=client_id,
        hash=hash,
        prefix=prefix,
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
    session.add(token)
    session.flush()
    session.refresh(token)
    return token


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request wants to know along with its token.

    Attributes:
        key: of the request: what it was answered before.
        experiment_id: an experiment, whether or not the token may reach it.
    """

    key: str | None = None
    experiment_id: int | None = None


@dataclass(frozen=True, slots=True)
class Along:
    """What is known of a request; see `Asked`.

    Attributes:
        kept: what it was answered before.
        experiment: the one that was asked for, if there is one.
    """

    kept: Kept | None
    experiment: Experiment | None


@dataclass(frozen=True, slots=True)
class Known:
    """A token that exists, and what is known of its holder; it may be of no more use.

    Attributes:
        token_id: of the token.
        client_id: whose it is.
        organization_id: whose client that is.
        hash: SHA-256 of its secret.
        role: `read`, `write` or `admin`.
        development: it makes and reaches development experiments only.
        experiment_id: the one experiment that it reaches; `None` for all of the client.
        training_run_id: the one training run that it reaches; `None` likewise.
        revoked: when it was revoked.
        expired: it is past its time.
        client_deleted: its client is no more.
        client_is_full: its client has as many observations as it may.
        requests_per_second: that its client may ask at most, if it has a rate of its own.
        along: what was asked along with it.
    """

    token_id: int
    client_id: int
    organization_id: int
    hash: bytes
    role: str
    development: bool
    experiment_id: int | None
    training_run_id: int | None
    revoked: datetime.datetime | None
    expired: bool
    client_deleted: bool
    client_is_full: bool
    requests_per_second: float | None
    along: Sequence[Along] = ()


#: Of an experiment what asking and reporting look at: a column costs as much as a look at one.
_EXPERIMENT = Form(
    Experiment,
    {
        "id",
        "client_id",
        "state",
        "development",
        "runs_only",
        "spec",
        "revision",
        "observation_count",
        "failure_count",
        "transient_count",
        "rewrites",
        "seed",
        "rung",
        "rung_until",
        "paused",
    },
)
_KNOWN = """
    tokens.id, tokens.client_id, clients.organization_id, tokens.hash, tokens.role,
    tokens.development, tokens.experiment_id, tokens.training_run_id, tokens.revoked,
    coalesce(tokens.expires <= now(), false), clients.deleted,
    clients.is_full, cast(clients.quotas ->> 'requests_per_second' as double precision)
"""
# Every request asks this. ix_tokens_unique_hash, pk_clients, pk_idempotency_keys, pk_experiments:
# a look for each request; a join would be planned to read small tables whole, and they grow.
_FIND_TOKEN = Query(
    f"""
    select {_EXPERIMENT.select("experiments")}, {_KNOWN},
           keys.request_hash, keys.status, keys.answer
    from tokens
    join clients on clients.id = tokens.client_id
    cross join unnest(%(keys)s, %(experiment_ids)s)
        with ordinality as asked(key, experiment_id, position)
    left join lateral (
        select request_hash, status, answer from idempotency_keys
        where token_id = tokens.id and key = asked.key
        limit 1
    ) keys on true
    left join lateral (
        select * from experiments where id = asked.experiment_id limit 1
    ) experiments on true
    where tokens.hash = %(hash)s
    order by asked.position
    """,
    {"hash": "bytea", "keys": "text[]", "experiment_ids": "bigint[]"},
)
# Every page asks this. pk_browser_sessions
_FIND_SIGNED_IN = Query(
    f"""
    select {_KNOWN}
    from browser_sessions
    join tokens on tokens.id = browser_sessions.token_id
    join clients on clients.id = tokens.client_id
    where browser_sessions.hash = %(hash)s and browser_sessions.expires > now()
    """,
    {"hash": "bytea"},
)


def now(session: Session) -> datetime.datetime:
    """The time, by the database's clock."""
    return session.execute(select(func.now())).scalar_one()


def later(session: Session, seconds: int) -> datetime.datetime:
    """The time in so many seconds, by the database's clock."""
    return now(session) + datetime.timedelta(seconds=seconds)


def find_token(session: Session, hash: bytes, asked: Sequence[Asked] = (Asked(),)) -> Known | None:
    """The token with this hash.

    Args:
        session: to ask with.
        hash: SHA-256 of a secret.
        asked: what its requests want to know along with it, in their order.
    """
    ids: list[int | None] = []
    for each in asked:  # an experiment is long, and comes once
        ids.append(None if each.experiment_id in ids else each.experiment_id)
    rows = _FIND_TOKEN.run(
        session, hash=hash, keys=[each.key for each in asked], experiment_ids=ids
    )
    if not rows:
        return None
    experiments: dict[int, Experiment] = {}
    along = []
    for each, row in zip(asked, rows, strict=True):
        request_hash, status, answer = row[-3:]
        if row[0] is not None:
            experiments[row[0]] = _EXPERIMENT.load(session, row[: len(_EXPERIMENT)])
        kept = None if status is None else Kept(bytes(request_hash), status, bytes(answer))
        along.append(Along(kept, experiments.get(each.experiment_id or 0)))
    return _known(rows[0][len(_EXPERIMENT) : -3], along)


def find_signed_in(session: Session, hash: bytes) -> Known | None:
    """The token of the browser session with this hash, while that lasts."""
    rows = _FIND_SIGNED_IN.run(session, hash=hash)
    return _known(rows[0]) if rows else None


def _known(row: Sequence[Any], along: Sequence[Along] = ()) -> Known:
    """What the columns of `_KNOWN` tell."""
    columns = list(row)
    columns[3] = bytes(columns[3])
    return Known(*columns, along=along)  # type: ignore[misc]  # rows have no types


def get_token(session: Session, token_id: int) -> Token:
    """The token with this id.

    Raises:
        NotFound: when there is none.
    """
    token = session.get(Token, token_id)
    if token is None:
        raise NotFound(f"There is no token {token_id}")
    return token


def find_tokens(session: Session, organization_id: int, name: str) -> Sequence[Token]:
    """The tokens of an organization that `name` may mean: a number, or the characters shown."""
    # ix_clients_organization_id, ix_tokens_client_id
    query = (
        select(Token)
        .join(Client, Client.id == Token.client_id)
        .where(Client.organization_id == organization_id)
    )
    if name.isascii() and name.isdigit() and len(name) < 19:
        return session.scalars(query.where(Token.id == int(name))).all()
    return session.scalars(query.where(Token.prefix == name).limit(2)).all()


def listing_of_tokens(client_id: int, reached_by: int | None) -> Select[Token]:
    """The tokens of a client that still work.

    Args:
        client_id: whose.
        reached_by: only this token and those that it made.
    """
    query = select(Token).where(
        Token.client_id == client_id,
        Token.revoked.is_(None),
        func.coalesce(Token.expires > func.now(), True),
    )
    if reached_by is not None:
        query = query.where((Token.id == reached_by) | (Token.issued_by == reached_by))
    return query


def listing_of_clients(organization_id: int) -> Select[Client]:
    """The clients of an organization that are not deleted."""
    return select(Client).where(Client.organization_id == organization_id, ~Client.deleted)


def lock_token(session: Session, token: Token) -> None:
    """Let nobody else change the token meanwhile, and read it again."""
    session.refresh(token, with_for_update=True)


def update_issuer(session: Session, before: int, after: int) -> None:
    """Let what one token made count as made by another."""
    session.execute(update(Token).where(Token.issued_by == before).values(issued_by=after))


def revoke_of_user(session: Session, user_id: int, client_id: int | None = None) -> None:
    """Revoke the tokens of a user: all, or those of one client."""
    query = update(Token).where(Token.user_id == user_id, Token.revoked.is_(None))
    if client_id is not None:
        query = query.where(Token.client_id == client_id)
    session.execute(query.values(revoked=func.now()))


def list_tokens(session: Session, client_id: int | None = None) -> Sequence[Token]:
    """The tokens of a client, or all of them, revoked ones included; oldest first."""
    query = select(Token).order_by(Token.id)
    if client_id is not None:
        query = query.where(Token.client_id == client_id)
    return session.scalars(query).all()


def list_token_names(session: Session, ids: Collection[int]) -> dict[int, str]:
    """Who is behind these tokens: the people whose they are, else what the tokens are called."""
    # pk_tokens, pk_users
    name = func.coalesce(User.name, Token.name, Token.prefix)
    query = select(Token.id, name).outerjoin(User, User.id == Token.user_id)
    return {row[0]: row[1] for row in session.execute(query.where(Token.id.in_(ids)))}


def list_guest_tokens(session: Session, experiment_id: int) -> Sequence[Token]:
    """The tokens that read this experiment and nothing else, and still work; oldest first."""
    # ix_tokens_experiment_id
    query = (
        select(Token)
        .where(
            Token.experiment_id == experiment_id,
            Token.role == "read",
            Token.revoked.is_(None),
            func.coalesce(Token.expires > func.now(), True),
        )
        .order_by(Token.id)
    )
    return session.scalars(query).all()


def update_revoked(session: Session, token_id: int) -> bool:
    """Revoke a token; `False` when it was revoked already or does not exist."""
    result = session.execute(
        update(Token)
        .where(Token.id == token_id, Token.revoked.is_(None))
        .values(revoked=func.now())
        .returning(Token.id)
    )
    return result.first() is not None

"""Organizations, clients and tokens."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, func, null, select, update

from tradeoff.errors import NotFound
from tradeoff.store.database import Session
from tradeoff.store.idempotency import Kept
from tradeoff.store.prepared import prepare
from tradeoff.store.tables import BrowserSession, Client, IdempotencyKey, Organization, Token


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
    )
    session.add(token)
    session.flush()
    session.refresh(token)
    return token


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
        kept: what a request of its was answered; see `find_token`.
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
    kept: Kept | None


# Every request asks this, so it is put together once. ix_tokens_unique_hash, pk_idempotency_keys
_tokens, _clients, _keys = Token.__table__.c, Client.__table__.c, IdempotencyKey.__table__.c
_sessions = BrowserSession.__table__.c
_KNOWN = (
    _tokens.id,
    _tokens.client_id,
    _clients.organization_id,
    _tokens.hash,
    _tokens.role,
    _tokens.development,
    _tokens.experiment_id,
    _tokens.training_run_id,
    _tokens.revoked,
    func.coalesce(_tokens.expires <= func.now(), False).label("expired"),
    _clients.deleted,
)
_FIND_TOKEN = prepare(
    select(*_KNOWN, _keys.request_hash, _keys.status, _keys.answer)
    .join_from(Token.__table__, Client.__table__, _clients.id == _tokens.client_id)
    .outerjoin(
        IdempotencyKey.__table__,
        and_(_keys.token_id == _tokens.id, _keys.key == bindparam("key")),
    )
    .where(_tokens.hash == bindparam("hash"))
)
# Every page asks this. pk_browser_sessions
_FIND_SIGNED_IN = prepare(
    select(*_KNOWN, null().label("status"))
    .join_from(BrowserSession.__table__, Token.__table__, _tokens.id == _sessions.token_id)
    .join(Client.__table__, _clients.id == _tokens.client_id)
    .where(_sessions.hash == bindparam("session"), _sessions.expires > func.now())
)


def now(session: Session) -> datetime.datetime:
    """The time, by the database's clock."""
    return session.execute(select(func.now())).scalar_one()


def find_token(session: Session, hash: bytes, key: str | None = None) -> Known | None:
    """The token with this hash.

    Args:
        session: to ask with.
        hash: SHA-256 of a secret.
        key: of a request; what it was answered before comes along.
    """
    row = session.connection().execute(_FIND_TOKEN, {"hash": hash, "key": key}).one_or_none()
    return None if row is None else _known(row)


def find_signed_in(session: Session, hash: bytes) -> Known | None:
    """The token of the browser session with this hash, while that lasts."""
    row = session.connection().execute(_FIND_SIGNED_IN, {"session": hash}).one_or_none()
    return None if row is None else _known(row)


def _known(row: Any) -> Known:
    kept = None if row.status is None else Kept(row.request_hash, row.status, row.answer)
    return Known(
        token_id=row.id,
        client_id=row.client_id,
        organization_id=row.organization_id,
        hash=row.hash,
        role=row.role,
        development=row.development,
        experiment_id=row.experiment_id,
        training_run_id=row.training_run_id,
        revoked=row.revoked,
        expired=row.expired,
        client_deleted=row.deleted,
        kept=kept,
    )


def get_token(session: Session, token_id: int) -> Token:
    """The token with this id.

    Raises:
        NotFound: when there is none.
    """
    token = session.get(Token, token_id)
    if token is None:
        raise NotFound(f"There is no token {token_id}")
    return token


def list_tokens(session: Session, client_id: int | None = None) -> Sequence[Token]:
    """The tokens of a client, or all of them, revoked ones included; oldest first."""
    query = select(Token).order_by(Token.id)
    if client_id is not None:
        query = query.where(Token.client_id == client_id)
    return session.scalars(query).all()


def list_token_names(session: Session, ids: Collection[int]) -> dict[int, str]:
    """What people call these tokens: their names, else how they begin."""
    query = select(Token.id, func.coalesce(Token.name, Token.prefix)).where(Token.id.in_(ids))
    return {row[0]: row[1] for row in session.execute(query)}


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

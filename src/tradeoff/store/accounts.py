"""Organizations, clients and tokens."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from sqlalchemy import func, select, update

from tradeoff.errors import NotFound
from tradeoff.store.database import Session
from tradeoff.store.tables import Client, Organization, Token


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


def list_clients(session: Session) -> Sequence[Client]:
    """Every client that is not deleted, oldest first."""
    return session.scalars(select(Client).where(~Client.deleted).order_by(Client.id)).all()


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
        expires=expires,
    )
    session.add(token)
    session.flush()
    session.refresh(token)
    return token


def find_token(session: Session, hash: bytes) -> tuple[Token, Client, bool] | None:
    """The token with this hash, its client, and whether it is past its time."""
    # ix_tokens_unique_hash
    row = session.execute(
        select(Token, Client, func.coalesce(Token.expires <= func.now(), False))
        .join(Client, Client.id == Token.client_id)
        .where(Token.hash == hash)
    ).one_or_none()
    return None if row is None else (row[0], row[1], row[2])


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


def update_revoked(session: Session, token_id: int) -> bool:
    """Revoke a token; `False` when it was revoked already or does not exist."""
    result = session.execute(
        update(Token)
        .where(Token.id == token_id, Token.revoked.is_(None))
        .values(revoked=func.now())
        .returning(Token.id)
    )
    return result.first() is not None

"""Queries of tags."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError

from tradeoff.errors import Conflict, NotFound
from tradeoff.spec.values import shown
from tradeoff.store.database import Session
from tradeoff.store.tables import UNIQUE_TAG, Tag


def insert(session: Session, *, client_id: int, name: str, color: str) -> Tag:
    """A new tag.

    Raises:
        Conflict: when the client has one of this name.
    """
    row = Tag(client_id=client_id, name=name, color=color)
    try:
        with session.begin_nested():
            session.add(row)
            session.flush()
    except IntegrityError as error:
        if UNIQUE_TAG not in str(error.orig):
            raise
        raise Conflict(f"There is a tag {shown(name)} in this client already") from error
    return row


def get(session: Session, client_id: int, tag_id: int) -> Tag:
    """The tag of this client.

    Raises:
        NotFound: when there is none.
    """
    row = session.get(Tag, tag_id)
    if row is None or row.client_id != client_id:
        raise NotFound(f"There is no tag {tag_id}")
    return row


def list_by_name(session: Session, client_id: int, names: Sequence[str]) -> dict[str, Tag]:
    """The tags of a client with these names."""
    # ix_tags_unique_name
    query = select(Tag).where(Tag.client_id == client_id, Tag.name.in_(names))
    return {row.name: row for row in session.scalars(query)}


def list_all(session: Session, client_id: int) -> Sequence[Tag]:
    """The tags of a client, by name."""
    return session.scalars(listing(client_id).order_by(Tag.name)).all()


def listing(client_id: int) -> Select[Tag]:
    """The tags of a client."""
    # ix_tags_unique_name
    return select(Tag).where(Tag.client_id == client_id)

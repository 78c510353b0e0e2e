"""Queries of tags."""

from __future__ import annotations

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


def listing(client_id: int) -> Select[Tag]:
    """The tags of a client."""
    # ix_tags_unique_name
    return select(Tag).where(Tag.client_id == client_id)

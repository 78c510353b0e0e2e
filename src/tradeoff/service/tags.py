"""Create tags."""

from __future__ import annotations

from tradeoff.store import tables, tags
from tradeoff.store.database import Session


def create(session: Session, *, client_id: int, name: str, color: str) -> tables.Tag:
    """A new tag.

    Raises:
        Conflict: when the client has one of this name.
    """
    return tags.insert(session, client_id=client_id, name=name, color=color)

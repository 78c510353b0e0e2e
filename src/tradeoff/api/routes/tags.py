"""Tags: coloured words to mark training runs with."""

from __future__ import annotations

from tradeoff.api import paging, render
from tradeoff.api.wire.pagination import Pagination
from tradeoff.api.wire.tags import Tag, TagCreate, TagList
from tradeoff.service import tags
from tradeoff.store import tables
from tradeoff.store import tags as stored
from tradeoff.store.database import Session


def create(session: Session, client: tables.Client, body: TagCreate) -> Tag:
    """Create a tag.

    Its name is there once in a client: 409 says that there is one already.
    """
    return render.tag(tags.create(session, client_id=client.id, name=body.name, color=body.color))


def fetch_list(session: Session, client: tables.Client, query: TagList) -> Pagination[Tag]:
    """List tags."""
    page = paging.fetch(
        session, stored.listing(client.id), query, id_column=tables.Tag.id.expression
    )
    return paging.envelope(page, render.tag)

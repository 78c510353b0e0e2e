"""Erase a client: everything that it has, for good.

Its tokens end at once. The rest is taken away in the background, batch by batch, by whichever
process is alive; what remains is that it was done, in an audit log without content.
"""

from __future__ import annotations

import logging
import time

from tradeoff.errors import BadInput
from tradeoff.service import audit
from tradeoff.service.access import Principal
from tradeoff.store import erasure, tables
from tradeoff.store.database import Database, Session

logger = logging.getLogger(__name__)

#: Upkeep has other things to do as well.
TURN_SECONDS = 5.0
#: Another process is at it.
PAUSE_SECONDS = 0.2


def erase(session: Session, principal: Principal | None, client: tables.Client) -> None:
    """Let a client, and all that it has, be taken away.

    Args:
        session: to work in.
        principal: who asks for it; `None` for the operator.
        client: deleted or not.

    Raises:
        BadInput: when it is the client that the token itself belongs to.
    """
    if principal is not None and principal.client_id == client.id:
        raise BadInput(
            "erase: this token belongs to the client that is to be erased; use an administrator's "
            "of another client, or let the operator do it (`tradeoff client erase`)"
        )
    client.deleted = client.erase = True
    audit.note(session, "client.erase", client=client, kind="client", object_id=client.id)


def go_on(database: Database, *, seconds: float = TURN_SECONDS) -> None:
    """Take away more of what is to go, for about so long; nothing when another process does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with database.transaction() as session:
            client_id = erasure.find_marked(session)
            if client_id is None:
                return
            if erasure.erase_batch(session, client_id):
                logger.info("a client was erased", extra={"client": client_id})


def finish(database: Database, client_id: int) -> None:
    """Take away all that a marked client has, here or wherever it is being done."""
    while True:
        go_on(database)
        with database.transaction() as session:
            if not erasure.is_marked(session, client_id):
                return
        time.sleep(PAUSE_SECONDS)

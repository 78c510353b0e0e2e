"""Requests that took effect, so that a retry takes effect once.

The row is written by the last statement of the effect's transaction: the two are there together
or not at all. A twin that comes meanwhile does the work too, waits for the first one at this very
row, and then undoes its own. That is rare; looking before each request for what comes back comes
free with its token (`accounts.find_token`), and the row goes along with the commit: a key costs
no trip to the database.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from sqlalchemy import delete, func, select

from tradeoff.errors import Unprocessable
from tradeoff.store.database import Session
from tradeoff.store.prepared import Query
from tradeoff.store.tables import IdempotencyKey

#: A client that retries after this long is no longer recognised, unless `purge` is told otherwise.
KEPT_FOR = datetime.timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class Kept:
    """A request that took effect, and what it was told."""

    request_hash: bytes
    status: int
    body: bytes

    def check(self, request_hash: bytes) -> None:
        """Stop a request that is not the one whose answer this is.

        Raises:
            Unprocessable: then.
        """
        if self.request_hash != request_hash:
            raise Unprocessable(
                "Idempotency-Key: was used for a different request; take a new key for each request"
            )


_KEEP = Query(
    """
    insert into idempotency_keys (token_id, key, request_hash, status, answer)
    values (%(token_id)s, %(key)s, %(request_hash)s, %(status)s, %(answer)s)
    """,
    {
        "token_id": "bigint",
        "key": "text",
        "request_hash": "bytea",
        "status": "integer",
        "answer": "bytea",
    },
)


def keep(
    session: Session, token_id: int, key: str, request_hash: bytes, status: int, body: bytes
) -> None:
    """Remember the answer to a request; it goes along with the commit.

    There it waits for a twin that is about to commit, and if that one does the transaction ends
    with `database.Twin`, and nothing of it is kept.
    """
    _KEEP.post(
        session, token_id=token_id, key=key, request_hash=request_hash, status=status, answer=body
    )


def purge(session: Session, *, kept_for: datetime.timedelta = KEPT_FOR, limit: int = 10_000) -> int:
    """Delete keys older than `kept_for`, at most `limit`; gives how many."""
    old = (
        select(IdempotencyKey.token_id, IdempotencyKey.key)
        .where(IdempotencyKey.created < func.now() - kept_for)
        .limit(limit)
        # Several processes may purge at once; each takes what the others leave.
        .with_for_update(skip_locked=True)
        .subquery()
    )
    result = session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.token_id == old.c.token_id, IdempotencyKey.key == old.c.key
        )
    )
    return int(result.rowcount)  # type: ignore[attr-defined]  # a DELETE's result has it

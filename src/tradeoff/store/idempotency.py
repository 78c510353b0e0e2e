"""Requests that took effect, so that a retry takes effect once.

The row is written by the last statement of the effect's transaction: the two are there together
or not at all. A twin that comes meanwhile does the work too, waits for the first one at this very
row, and then undoes its own. That is rare; looking before each request for what comes back comes
free with its token (`accounts.find_token`), and so a key costs one statement.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from tradeoff.errors import Unprocessable
from tradeoff.store.database import Session
from tradeoff.store.prepared import prepare
from tradeoff.store.tables import IdempotencyKey

#: A client that retries after this long is no longer recognised.
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


_KEEP = prepare(
    insert(IdempotencyKey.__table__)  # type: ignore[arg-type]  # a table, in all but its type
    .values(
        {name: bindparam(name) for name in ("token_id", "key", "request_hash", "status", "answer")}
    )
    .on_conflict_do_nothing()
    .returning(IdempotencyKey.__table__.c.token_id)
)


def keep(
    session: Session, token_id: int, key: str, request_hash: bytes, status: int, body: bytes
) -> bool:
    """Remember the answer to a request; `False` when a twin of it has one: undo everything then.

    Waits for a twin that is about to commit.
    """
    kept = {
        "token_id": token_id,
        "key": key,
        "request_hash": request_hash,
        "status": status,
        "answer": body,
    }
    return session.connection().execute(_KEEP, kept).first() is not None


def purge(session: Session, *, limit: int = 10_000) -> int:
    """Delete keys past their time, at most `limit`; gives how many."""
    old = (
        select(IdempotencyKey.token_id, IdempotencyKey.key)
        .where(IdempotencyKey.created < func.now() - KEPT_FOR)
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

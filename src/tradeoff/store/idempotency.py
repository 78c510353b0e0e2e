"""Requests that took effect, so that a retry takes effect once.

The row is written in the transaction of the effect: the two are there together or not at all. A
twin that arrives while the first still works waits for it on the primary key.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from tradeoff.errors import Unprocessable
from tradeoff.store.database import Session
from tradeoff.store.tables import IdempotencyKey

#: A client that retries after this long is no longer recognised.
KEPT_FOR = datetime.timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the first request was told."""

    status: int
    body: bytes


def claim(session: Session, token_id: int, key: str, request_hash: bytes) -> Answer | None:
    """Take `key` for this request, or give the answer that it got before.

    Raises:
        Unprocessable: when the key was used for another request.
    """
    taken = session.execute(
        insert(IdempotencyKey)
        .values(token_id=token_id, key=key, request_hash=request_hash, status=0, answer=b"")
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    ).scalar_one_or_none()
    if taken is not None:
        return None
    row = session.execute(
        select(IdempotencyKey).where(IdempotencyKey.token_id == token_id, IdempotencyKey.key == key)
    ).scalar_one()
    if row.request_hash != request_hash:
        raise Unprocessable(
            "Idempotency-Key: was used for a different request; take a new key for each request"
        )
    return Answer(row.status, row.answer)


def keep(session: Session, token_id: int, key: str, status: int, body: bytes) -> None:
    """Remember the answer to the request that claimed `key` in this transaction."""
    session.execute(
        update(IdempotencyKey)
        .where(IdempotencyKey.token_id == token_id, IdempotencyKey.key == key)
        .values(status=status, answer=body)
    )


def release(session: Session, token_id: int, key: str) -> None:
    """Give back a key that this transaction claimed, since its request has no answer yet."""
    session.execute(
        delete(IdempotencyKey).where(IdempotencyKey.token_id == token_id, IdempotencyKey.key == key)
    )


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

"""The log of who changed what: added to and read, and cleared of what is past its time."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import Select, delete, func, or_, select, text

from tradeoff.store.database import Session
from tradeoff.store.tables import AuditEntry

#: Entries that one statement deletes.
FORGET_BATCH = 5_000


def insert(session: Session, **columns: Any) -> None:
    """A further entry, along with whatever the transaction does."""
    session.add(AuditEntry(**columns))


def listing(
    organization_id: int | None,
    *,
    kinds_of_work: tuple[str, ...] = (),
    sees_work_of: int | None = None,
    client_id: int | None = None,
    action: str | None = None,
    kind: str | None = None,
    object_id: int | None = None,
    since: datetime.datetime | None = None,
    until: datetime.datetime | None = None,
) -> Select[AuditEntry]:
    """Entries of an organization, with `None` of all.

    Args:
        organization_id: whose.
        kinds_of_work: what only their own client sees entries of.
        sees_work_of: that client.
        client_id: only what concerns this client.
        action: only this action.
        kind: only what was done to things of this kind.
        object_id: only what was done to the one of this number.
        since: not before.
        until: before.
    """
    # ix_audit_entries_organization_id_id
    query = select(AuditEntry)
    if organization_id is not None:
        query = query.where(AuditEntry.organization_id == organization_id)
    if kinds_of_work:
        is_own = AuditEntry.client_id == sees_work_of
        query = query.where(or_(AuditEntry.kind.not_in(kinds_of_work), is_own))
    for column, wanted in (
        (AuditEntry.client_id, client_id),
        (AuditEntry.action, action),
        (AuditEntry.kind, kind),
        (AuditEntry.object_id, object_id),
    ):
        if wanted is not None:
            query = query.where(column == wanted)
    if since is not None:
        query = query.where(AuditEntry.created >= since)
    if until is not None:
        query = query.where(AuditEntry.created < until)
    return query


def forget(session: Session, *, age: datetime.timedelta) -> int:
    """Delete a batch of the entries that are older than that; gives how many there were."""
    # ix_audit_entries_created
    before = func.now() - age
    old = select(AuditEntry.id).where(AuditEntry.created < before).limit(FORGET_BATCH)
    session.execute(text("set local tradeoff.forget_audit = 'on'"))
    gone = session.execute(
        delete(AuditEntry).where(AuditEntry.id.in_(old)).returning(AuditEntry.id)
    )
    return len(gone.all())

"""Queries about who holds which suggestion, and for how long.

A lease runs by the database's clock alone. One that has run out is lapsed from that moment on,
whether its row says so yet or not; see `lapse`.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, case, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from tradeoff.store.awaited import is_awaited, is_overdue
from tradeoff.store.database import Session
from tradeoff.store.tables import UNIQUE_OPEN, Suggestion

#: First half of the keys of the locks that let a worker's requests take turns.
WORKER_LOCKS = 7_236_153
#: Of what a worker let lapse, so many are looked at to give one back.
MOST_GIVEN_BACK = 5
#: Leases lapsed by one statement.
LAPSE_BATCH = 1_000


def expiry(seconds: Any) -> ColumnElement[datetime.datetime]:
    """When a lease of so many seconds ends that begins now."""
    # seven arguments: years, months, weeks, days, hours, minutes, seconds
    return func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def lock_worker(session: Session, experiment_id: int, worker_id: str) -> None:
    """Let the requests of one worker take turns: two at once would both find nothing held."""
    name = func.hashtext(f"{experiment_id} {worker_id}")
    session.execute(select(func.pg_advisory_xact_lock(WORKER_LOCKS, name)))


def list_held(session: Session, experiment_id: int, worker_id: str) -> Sequence[Suggestion]:
    """What a worker holds, or held when its lease ran out, and is still waited for.

    What is open comes first, then the newest.
    """
    # ix_suggestions_worker
    query = (
        select(Suggestion)
        .where(
            Suggestion.experiment_id == experiment_id,
            Suggestion.worker_id == worker_id,
            Suggestion.state.in_(("open", "lapsed")),
            ~Suggestion.deleted,
            is_awaited(experiment_id),
        )
        .order_by(case((Suggestion.state == "open", 0), else_=1), Suggestion.id.desc())
        .limit(MOST_GIVEN_BACK)
    )
    return session.scalars(query).all()


def update_held(session: Session, suggestion: Suggestion, changes: Mapping[str, Any]) -> bool:
    """Change an open suggestion, and let its lease begin anew.

    One that lapsed is opened again, unless an equal one is open by now, or something is known of
    its configuration.

    Args:
        session: to work with.
        suggestion: to be changed.
        changes: any of the columns `lease_seconds` and `metadata_`.

    Returns:
        Whether it is open now.
    """
    values = _begun(changes)
    open_row = update(Suggestion).where(
        Suggestion.id == suggestion.id, Suggestion.state == "open", ~Suggestion.deleted
    )
    if _changed(session, open_row.values(values)):
        return True
    # An equal one whose own lease ran out must not stand in the way.
    lapse(session, experiment_id=suggestion.experiment_id)
    twin = aliased(Suggestion)
    lapsed_row = update(Suggestion).where(
        Suggestion.id == suggestion.id,
        Suggestion.state == "lapsed",
        ~Suggestion.deleted,
        is_awaited(suggestion.experiment_id),
        # ix_suggestions_unique_open
        ~exists().where(
            twin.experiment_id == Suggestion.experiment_id,
            twin.assignments_hash == Suggestion.assignments_hash,
            twin.state == "open",
            ~twin.deleted,
        ),
    )
    try:
        with session.begin_nested():
            return _changed(session, lapsed_row.values({**values, "state": "open"}))
    except IntegrityError as error:
        if UNIQUE_OPEN not in str(error.orig):
            raise
        return False  # an equal one was opened at this very moment


def _begun(changes: Mapping[str, Any]) -> dict[str, Any]:
    seconds = changes.get("lease_seconds", Suggestion.lease_seconds)
    expires = None if seconds is None else expiry(seconds)
    return {**changes, "lease_expires": expires}


def _changed(session: Session, statement: Any) -> bool:
    returned = statement.returning(Suggestion).execution_options(
        populate_existing=True, synchronize_session=False
    )
    return session.scalars(returned).one_or_none() is not None


def renew_all(session: Session, experiment_id: int, worker_id: str) -> int | None:
    """Let every open lease of a worker begin anew.

    Rows that another transaction works on are left out, since nobody may wait here: the caller
    may hold what that one waits for.

    Returns:
        The newest suggestion that lapsed in the hands of this worker and is still waited for.
    """
    # ix_suggestions_worker
    held = (
        select(Suggestion.id, Suggestion.state)
        .where(
            Suggestion.experiment_id == experiment_id,
            Suggestion.worker_id == worker_id,
            Suggestion.state.in_(("open", "lapsed")),
            Suggestion.lease_seconds.is_not(None),
            ~Suggestion.deleted,
            or_(Suggestion.state == "open", is_awaited(experiment_id)),
        )
        .with_for_update(skip_locked=True, of=Suggestion)
        .cte("held")
    )
    renewed = (
        update(Suggestion)
        .where(Suggestion.id.in_(select(held.c.id).where(held.c.state == "open")))
        .values(lease_expires=expiry(Suggestion.lease_seconds))
        .returning(Suggestion.id)
        .cte("renewed")
    )
    lapsed = select(func.max(held.c.id)).where(held.c.state == "lapsed").add_cte(renewed)
    newest: int | None = session.scalar(lapsed)
    return newest


def lapse(session: Session, *, experiment_id: int | None = None, limit: int = LAPSE_BATCH) -> int:
    """Note that leases have run out, at most `limit` of them; gives how many.

    Args:
        session: to work with.
        experiment_id: of this experiment alone.
        limit: at most so many.
    """
    # ix_suggestions_lease_expires
    overdue = (
        select(Suggestion.id)
        .where(
            Suggestion.state == "open",
            Suggestion.lease_expires.is_not(None),
            Suggestion.lease_expires < func.now(),
        )
        .order_by(Suggestion.lease_expires)
        .limit(limit)
        # Several may do it at once; each takes what the others leave.
        .with_for_update(skip_locked=True)
    )
    if experiment_id is not None:
        overdue = overdue.where(Suggestion.experiment_id == experiment_id)
    lapsed = session.scalars(
        update(Suggestion)
        .where(Suggestion.id.in_(overdue.scalar_subquery()))
        .values(state="lapsed")
        .returning(Suggestion.id)
    )
    return len(lapsed.all())


def list_overdue(session: Session, rows: Collection[Suggestion]) -> set[int]:
    """The ids of those among `rows` whose lease has run out without a note of it yet."""
    leased = [row.id for row in rows if row.state == "open" and row.lease_expires is not None]
    if not leased:
        return set()
    query = select(Suggestion.id).where(
        Suggestion.id.in_(leased), Suggestion.state == "open", is_overdue(Suggestion)
    )
    return set(session.scalars(query))

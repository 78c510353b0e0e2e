"""The buffer: what is ready, best first, and what is to be served again after a failure.

`store.taking` takes from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import and_, delete, exists, literal, or_, select, text
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import aliased

from tradeoff.store.awaited import is_held, is_observed, is_queued
from tradeoff.store.database import Session
from tradeoff.store.drafts import Draft, tried_columns
from tradeoff.store.opening import OWN
from tradeoff.store.tables import WAITING, Suggestion

#: How often a configuration is served again after transient failures.
MAX_ATTEMPTS = 2
#: Postgres' channel for `notify_ready`; `store.listening` listens to it.
READY_CHANNEL = "tradeoff_ready"
#: What a suggestion keeps when it is handed out, or served again.
KEPT = (*OWN, "rank", "computed")


def put_ready(
    session: Session,
    experiment_id: int,
    drafts: Iterable[Draft],
    *,
    revision: int,
    observations_seen: int,
    first_rank: int = 0,
) -> None:
    """Put `drafts` into the buffer, best first; those of rank 0 on replace what was in it."""
    if first_rank == 0:
        delete_ready(session, experiment_id)
    rows = [
        {
            "experiment_id": experiment_id,
            "state": "ready",
            **tried_columns(draft),
            "source": draft.source,
            "explanation": dict(draft.explanation),
            "rank": rank,
            "revision": revision,
            "observations_seen": observations_seen,
        }
        for rank, draft in enumerate(drafts, start=first_rank)
    ]
    if rows:
        session.execute(insert(Suggestion), rows)


def put_again(session: Session, suggestion_ids: Collection[int]) -> bool:
    """Let the configurations of these suggestions be served again; whether any will be.

    Each at most `MAX_ATTEMPTS` times, and none that something is known of, or that another one
    is going to be known of.
    """
    twin = aliased(Suggestion)
    # ix_suggestions_unique_open, ix_suggestions_ready
    equal = and_(
        twin.experiment_id == Suggestion.experiment_id,
        twin.assignments_hash == Suggestion.assignments_hash,
    )
    open_already = exists().where(equal, is_held(twin))
    queued_already = exists().where(equal, is_queued(twin))
    failed = (
        select(
            *(getattr(Suggestion, name) for name in KEPT),
            (Suggestion.attempt + 1).label("attempt"),
            literal("queued").label("state"),
        )
        .where(
            Suggestion.id.in_(suggestion_ids),
            Suggestion.attempt < MAX_ATTEMPTS,
            ~Suggestion.deleted,
            ~open_already,
            ~queued_already,
            ~is_observed(),
        )
        .ext(distinct_on(Suggestion.assignments_hash))
    )
    statement = insert(Suggestion).from_select([*KEPT, "attempt", "state"], failed)
    return bool(session.scalars(statement.returning(Suggestion.id)).all())


def delete_ready(session: Session, experiment_id: int) -> None:
    """Empty the buffer; what is handed out at this moment stays handed out.

    What is served again after a transient failure stays too, until it is measured otherwise.
    """
    # ix_suggestions_ready
    session.execute(
        delete(Suggestion)
        .where(
            Suggestion.experiment_id == experiment_id,
            Suggestion.state.in_(WAITING),
            or_(Suggestion.state == "ready", is_observed()),
        )
        .execution_options(synchronize_session=False)
    )


def delete_queued(session: Session, experiment_id: int) -> None:
    """Serve nothing again: what failed belongs to another space, or to a past that is gone."""
    session.execute(
        delete(Suggestion)
        .where(Suggestion.experiment_id == experiment_id, Suggestion.state == "queued")
        .execution_options(synchronize_session=False)
    )


def notify_ready(session: Session, experiment_id: int) -> None:
    """Tell every waiting request, at the commit, that the buffer has something new."""
    session.execute(
        text("select pg_notify(:channel, :payload)"),
        {"channel": READY_CHANNEL, "payload": str(experiment_id)},
    )

"""Queries of the suggestions that users queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, bindparam, delete, select

from tradeoff.errors import NotFound
from tradeoff.spec import tasks
from tradeoff.spec.values import Value
from tradeoff.store.database import Session
from tradeoff.store.prepared import prepare
from tradeoff.store.tables import QueuedSuggestion


def insert(session: Session, experiment_id: int, point: Mapping[str, Value]) -> QueuedSuggestion:
    """Put a point at the end of the queue."""
    assignments, cost = tasks.split(point)
    row = QueuedSuggestion(experiment_id=experiment_id, assignments=assignments, task_cost=cost)
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def get(session: Session, experiment_id: int, queued_id: int) -> QueuedSuggestion:
    """One that is still in the queue.

    Raises:
        NotFound: when there is none, it was served, or belongs to another experiment.
    """
    row = session.get(QueuedSuggestion, queued_id)
    if row is None or row.experiment_id != experiment_id:
        raise NotFound(f"There is no queued suggestion {queued_id} in this experiment")
    return row


def listing(experiment_id: int) -> Select[QueuedSuggestion]:
    """The queue of an experiment."""
    # ix_queued_suggestions_experiment_id_id
    return select(QueuedSuggestion).where(QueuedSuggestion.experiment_id == experiment_id)


def remove(session: Session, queued: QueuedSuggestion) -> None:
    """Take one out of the queue, unless another request did so just now."""
    session.execute(delete(QueuedSuggestion).where(QueuedSuggestion.id == queued.id))


def take_oldest(session: Session, experiment_id: int) -> dict[str, Any] | None:
    """The point that is the oldest in the queue, given to one caller only; `None` when empty."""
    taken = session.connection().execute(_TAKE_OLDEST, {"experiment_id": experiment_id})
    row = taken.one_or_none()
    return None if row is None else tasks.join(row.assignments, row.task_cost)


# Every asker looks here first. ix_queued_suggestions_experiment_id_id
_columns = QueuedSuggestion.__table__.c
_TAKE_OLDEST = prepare(
    delete(QueuedSuggestion.__table__)  # type: ignore[arg-type]  # a table, in all but its type
    .where(
        _columns.id
        == select(_columns.id)
        .where(_columns.experiment_id == bindparam("experiment_id"))
        .order_by(_columns.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    .returning(_columns.assignments, _columns.task_cost)
)

"""Queries of checkpoints: the learning curves of trainings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Float, Select, cast, func, select, true

from tradeoff.errors import NotFound
from tradeoff.store.database import Session
from tradeoff.store.tables import Checkpoint, Observation, Suggestion


def lock_training(session: Session, suggestion: Suggestion) -> None:
    """Read a suggestion anew, and let this transaction alone add to its curve.

    Raises:
        NotFound: when it was deleted since it was read.
    """
    session.refresh(suggestion, with_for_update={"key_share": True})
    if suggestion.deleted:
        raise NotFound(f"There is no suggestion {suggestion.id} in this experiment")


def insert(session: Session, **columns: Any) -> Checkpoint:
    """Keep a checkpoint."""
    row = Checkpoint(**columns)
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def get(session: Session, suggestion_id: int, checkpoint_id: int) -> Checkpoint:
    """One checkpoint.

    Raises:
        NotFound: when there is none, or it belongs to another suggestion.
    """
    row = session.get(Checkpoint, checkpoint_id)
    if row is None or row.suggestion_id != suggestion_id:
        raise NotFound(f"There is no checkpoint {checkpoint_id} of this suggestion")
    return row


def find(session: Session, suggestion_id: int, step: int) -> Checkpoint | None:
    """The checkpoint of a training at one step."""
    # ix_checkpoints_unique_step
    query = select(Checkpoint).where(
        Checkpoint.suggestion_id == suggestion_id, Checkpoint.step == step
    )
    return session.scalars(query).one_or_none()


def listing(suggestion_id: int) -> Select[Checkpoint]:
    """The checkpoints of a training."""
    # ix_checkpoints_unique_step
    return select(Checkpoint).where(Checkpoint.suggestion_id == suggestion_id)


def measure(session: Session, suggestion_id: int) -> tuple[int, int | None]:
    """How many checkpoints a training has, and the largest step among them."""
    # ix_checkpoints_unique_step, without a look at the rows
    query = select(func.count(), func.max(Checkpoint.step)).where(
        Checkpoint.suggestion_id == suggestion_id
    )
    row = session.execute(query).one()
    return row[0], row[1]


def list_extremes(session: Session, suggestion_id: int) -> Sequence[Any]:
    """Columns `key`, `step`, `lowest`, `highest` of each metric that a training measured.

    `step` is the last at which it was measured; the values are over all steps.
    """
    measured = func.jsonb_each_text(Checkpoint.values).table_valued("key", "value").lateral()
    value = cast(measured.c.value, Float)
    # ix_checkpoints_unique_step
    query = (
        select(
            measured.c.key,
            func.max(Checkpoint.step).label("step"),
            func.min(value).label("lowest"),
            func.max(value).label("highest"),
        )
        .select_from(Checkpoint)
        .join(measured, true())
        .where(Checkpoint.suggestion_id == suggestion_id)
        .group_by(measured.c.key)
    )
    return session.execute(query).all()


def list_finished(
    session: Session, experiment_id: int, *, step: int, limit: int
) -> Sequence[tuple[dict[str, float], dict[str, Any]]]:
    """What trainings that went to their end had measured at a step, and what they came to.

    Args:
        session: to ask with.
        experiment_id: whose.
        step: the newest checkpoint at or before it counts; trainings without one are left out.
        limit: so many of the newest observations are looked at. What was told to stop shows
            nothing of how values go on, and is left out.

    Returns:
        Value by metric key at the step, and the values of the observation.
    """
    # ix_observations_experiment_id_id
    newest = (
        select(Observation.id, Observation.suggestion_id, Observation.values)
        .where(
            Observation.experiment_id == experiment_id,
            Observation.suggestion_id.is_not(None),
            ~Observation.deleted,
            ~Observation.failed,
        )
        .order_by(Observation.id.desc())
        .limit(limit)
        .subquery()
    )
    # ix_checkpoints_unique_step; a condition on the values instead would read whole curves.
    reached = (
        select(Checkpoint.values)
        .where(Checkpoint.suggestion_id == newest.c.suggestion_id, Checkpoint.step <= step)
        .order_by(Checkpoint.step.desc())
        .limit(1)
        .lateral()
    )
    query = (
        select(reached.c["values"], newest.c["values"])
        .select_from(newest)
        .join(Suggestion, Suggestion.id == newest.c.suggestion_id)
        .join(reached, true())
        .where(~Suggestion.stopped)
    )
    return [(row[0], row[1]) for row in session.execute(query)]

"""The observations of an experiment as columns, for figures: all of them, and cheaply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Float, Select, cast, func, select

from tradeoff.store.awaited import is_held
from tradeoff.store.database import Session
from tradeoff.store.tables import Observation, Suggestion


def list_columns(
    session: Session, experiment_id: int, keys: Sequence[str], *, assignments: bool
) -> Sequence[Any]:
    """Every observation that is not deleted, oldest first.

    Args:
        session: to ask with.
        experiment_id: whose.
        keys: of the metrics.
        assignments: whether they are needed as well; they take longest.

    Returns:
        Rows of id, unix seconds, failed, transient, then value and standard deviation of each
        metric (`None` where there is none), then the assignments if they were asked for.
    """
    # ix_observations_experiment_id_id. Numbers alone: whole observations take three times as long.
    measured = [
        cast(Observation.values[key][part].astext, Float)
        for key in keys
        for part in ("value", "value_stddev")
    ]
    query: Select[Any] = select(
        Observation.id,
        cast(func.extract("epoch", Observation.created), Float),
        Observation.failed,
        Observation.transient,
        *measured,
        *([Observation.assignments] if assignments else []),
    )
    query = query.where(Observation.experiment_id == experiment_id, ~Observation.deleted)
    return session.execute(query.order_by(Observation.id)).all()


def count_by_source(session: Session, experiment_id: int) -> dict[str, tuple[int, int]]:
    """How many observations tell something of their configuration, and how many of them failed.

    Returns:
        Both numbers, by how the suggestion was made; `user` for reports without a suggestion.
    """
    # ix_observations_experiment_id_id, then the suggestions by their ids.
    source = func.coalesce(Suggestion.source, "user")
    query = (
        select(source, func.count(), func.count().filter(Observation.failed))
        .select_from(Observation)
        .outerjoin(Suggestion, Suggestion.id == Observation.suggestion_id)
        .where(
            Observation.experiment_id == experiment_id,
            ~Observation.deleted,
            ~Observation.transient,
        )
        .group_by(source)
    )
    return {row[0]: (row[1], row[2]) for row in session.execute(query)}


def list_open(session: Session, experiment_id: int, *, limit: int) -> Sequence[Any]:
    """What is being tried now, newest first: rows of id, assignments and explanation."""
    # ix_suggestions_unique_open
    query = (
        select(Suggestion.id, Suggestion.assignments, Suggestion.explanation)
        .where(
            Suggestion.experiment_id == experiment_id,
            is_held(Suggestion),
        )
        .order_by(Suggestion.id.desc())
        .limit(limit)
    )
    return session.execute(query).all()

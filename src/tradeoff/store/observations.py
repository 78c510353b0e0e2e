"""Queries of observations."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    Select,
    cast,
    func,
    select,
    update,
)

from tradeoff.errors import BadInput, NotFound
from tradeoff.spec import tasks
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.store.database import Session
from tradeoff.store.sorting import parameter_key
from tradeoff.store.tables import Experiment, Observation

#: A client that keeps no key of its requests is believed to retry for so long.
RETRIED_WITHIN = datetime.timedelta(minutes=10)


def list_recent(
    session: Session, experiment_id: int, suggestion_ids: Collection[int]
) -> Sequence[Observation]:
    """What was reported on these suggestions within `RETRIED_WITHIN`, oldest first."""
    if not suggestion_ids:
        return []
    # ix_observations_suggestion_id
    query = (
        select(Observation)
        .where(
            Observation.suggestion_id.in_(suggestion_ids),
            Observation.experiment_id == experiment_id,
            ~Observation.deleted,
            Observation.created > func.now() - RETRIED_WITHIN,
        )
        .order_by(Observation.id)
    )
    return session.scalars(query).all()


def get(session: Session, experiment_id: int, observation_id: int) -> Observation:
    """One observation.

    Raises:
        NotFound: when there is none, it was deleted, or belongs to another experiment.
    """
    row = session.get(Observation, observation_id)
    if row is None or row.deleted or row.experiment_id != experiment_id:
        raise NotFound(f"There is no observation {observation_id} in this experiment")
    return row


def lock(session: Session, observation: Observation) -> None:
    """Read an observation anew and let this transaction alone change it.

    Raises:
        NotFound: when it was deleted since it was read.
    """
    session.refresh(observation, with_for_update={"key_share": True})
    if observation.deleted:
        raise NotFound(f"There is no observation {observation.id} in this experiment")


def listing(experiment_id: int, *, deleted: bool | None = False) -> Select[Observation]:
    """The observations of an experiment; `deleted` of `None` gives both kinds."""
    # ix_observations_experiment_id_id
    query = select(Observation).where(Observation.experiment_id == experiment_id)
    return query if deleted is None else query.where(Observation.deleted == deleted)


def sort_key(spec: ExperimentSpec, name: str) -> ColumnElement[Any]:
    """What a client's `sort` orders observations by.

    Args:
        spec: of the experiment.
        name: `id`, `timestamp`, `value`, `value-METRIC`, `value_stddev`, `value_stddev-METRIC`,
            `parameter-NAME`, or `task`, which is by cost.

    Raises:
        BadInput: for any other name.
    """
    if name == "id":
        return Observation.id.expression
    if name == "timestamp":
        return Observation.created.expression
    if name == "task":
        return Observation.task_cost.expression
    field, dash, rest = name.partition("-")
    if field in ("value", "value_stddev"):
        keys = [metric.key for metric in spec.metrics]
        if not dash:
            rest = keys[0]
        elif rest not in keys:
            raise BadInput(f"sort: there is no metric {rest!r}; name one, as {field}-METRIC")
        return cast(Observation.values[rest][field].astext, Float)
    if field == "parameter" and dash:
        return parameter_key(Observation.assignments, spec, rest)
    raise BadInput(
        "sort: must be id, timestamp, task, value, value-METRIC, value_stddev, "
        f"value_stddev-METRIC or parameter-NAME, not {name!r}"
    )


def list_by_id(session: Session, ids: Collection[int]) -> dict[int, Observation]:
    """The observations with these ids."""
    rows = session.scalars(select(Observation).where(Observation.id.in_(ids)))
    return {row.id: row for row in rows}


def list_ends(session: Session, experiment_ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """The first and the last observation id of each experiment that has one."""
    # ix_observations_experiment_id_id, from either end; min() with GROUP BY would read all of it
    end = (
        select(Observation.id)
        .where(Observation.experiment_id == Experiment.id, ~Observation.deleted)
        .limit(1)
    )
    query = select(
        Experiment.id,
        end.order_by(Observation.id).scalar_subquery(),
        end.order_by(Observation.id.desc()).scalar_subquery(),
    ).where(Experiment.id.in_(experiment_ids))
    return {row[0]: (row[1], row[2]) for row in session.execute(query) if row[1] is not None}


def update_deleted(session: Session, experiment_id: int) -> int:
    """Delete all observations of an experiment; gives how many there were."""
    result = session.execute(
        update(Observation)
        .where(Observation.experiment_id == experiment_id, ~Observation.deleted)
        .values(deleted=True)
        .returning(Observation.id)
    )
    return len(result.all())


def list_outcomes(session: Session, experiment_id: int) -> Sequence[Any]:
    """Columns `values`, `failed` of every observation that tells something, oldest first.

    Of multitask experiments only the full task counts.
    """
    # ix_observations_experiment_id_id
    query = (
        select(Observation.values, Observation.failed)
        .where(
            Observation.experiment_id == experiment_id,
            ~Observation.deleted,
            ~Observation.transient,
            func.coalesce(Observation.task_cost, tasks.FULL_COST) == tasks.FULL_COST,
        )
        .order_by(Observation.id)
    )
    return session.execute(query).all()


def sum_costs(session: Session, experiment_ids: Collection[int]) -> dict[int, float]:
    """What the tasks of these multitask experiments cost that something was learnt of."""
    if not experiment_ids:
        return {}
    # ix_observations_experiment_id_id
    query = (
        select(Observation.experiment_id, func.sum(Observation.task_cost))
        .where(
            Observation.experiment_id.in_(experiment_ids),
            ~Observation.deleted,
            ~Observation.transient,
        )
        .group_by(Observation.experiment_id)
    )
    return {row[0]: float(row[1] or 0) for row in session.execute(query)}


def list_last_successes(session: Session, experiment_id: int, *, limit: int) -> Sequence[Any]:
    """Columns `assignments`, `values`, `task_cost` of the newest successes, newest first."""
    # ix_observations_experiment_id_id, from its end
    query = (
        select(Observation.assignments, Observation.values, Observation.task_cost)
        .where(
            Observation.experiment_id == experiment_id,
            ~Observation.deleted,
            ~Observation.failed,
        )
        .order_by(Observation.id.desc())
        .limit(limit)
    )
    return session.execute(query).all()

"""Queries of training runs and their checkpoints."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Select, func, insert, select, update

from tradeoff.errors import NotFound
from tradeoff.store.database import Session
from tradeoff.store.tables import (
    Client,
    Experiment,
    Observation,
    RunCheckpoint,
    Suggestion,
    TrainingRun,
)


def insert_many(session: Session, rows: Sequence[dict[str, Any]]) -> list[TrainingRun]:
    """Keep runs; the answer has the order of `rows`."""
    statement = insert(TrainingRun).returning(TrainingRun, sort_by_parameter_order=True)
    return list(session.scalars(statement, rows))


def get(session: Session, run_id: int) -> TrainingRun:
    """The run with this id, deleted or not.

    Raises:
        NotFound: when there is none.
    """
    row = session.get(TrainingRun, run_id)
    if row is None:
        raise NotFound(f"There is no training run {run_id}")
    return row


def lock(session: Session, run: TrainingRun) -> None:
    """Read a run anew and let this transaction alone change it."""
    session.refresh(run, with_for_update={"key_share": True})


def touch(session: Session, run: TrainingRun) -> None:
    """Note that a run changed now, and its experiment with it."""
    run.updated = func.now()
    session.flush()
    if run.experiment_id is None:
        return
    # Times are shown in seconds, so one of the many runs is enough in each; and who holds the
    # experiment at this moment notes the time as well.
    outdated = (
        select(Experiment.id)
        .where(
            Experiment.id == run.experiment_id,
            Experiment.updated < func.date_trunc("second", func.now()),
        )
        .with_for_update(key_share=True, skip_locked=True)
        .scalar_subquery()
    )
    session.execute(
        update(Experiment)
        .where(Experiment.id == outdated)
        .values(updated=func.now())
        .execution_options(synchronize_session=False)
    )


def listing(
    client_id: int, *, project: str | None = None, search: str | None = None
) -> Select[TrainingRun]:
    """The runs of a client, deleted ones included.

    Args:
        client_id: whose.
        project: only those of the project of this slug.
        search: part of the name, in any case.
    """
    # ix_training_runs_client_id_id, ix_training_runs_project
    query = select(TrainingRun).where(TrainingRun.client_id == client_id)
    if project is not None:
        query = query.where(TrainingRun.project == project)
    if search:
        query = query.where(TrainingRun.name.icontains(search, autoescape=True))
    return query


def of_observations(observation_ids: Collection[int]) -> Select[TrainingRun]:
    """The runs that reported these observations, without deleted ones."""
    # ix_training_runs_observation_id
    return select(TrainingRun).where(
        TrainingRun.observation_id.in_(observation_ids), ~TrainingRun.deleted
    )


def count_by_state(session: Session, experiment_ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """How many runs of each experiment are finished and how many active; no deleted ones."""
    # ix_training_runs_experiment_id
    finished = func.count().filter(TrainingRun.state != "active")
    query = (
        select(TrainingRun.experiment_id, finished, func.count())
        .where(TrainingRun.experiment_id.in_(experiment_ids), ~TrainingRun.deleted)
        .group_by(TrainingRun.experiment_id)
    )
    found: dict[int, tuple[int, int]] = {}
    for experiment_id, over, count in session.execute(query):
        assert experiment_id is not None, "as was asked"
        found[experiment_id] = (over, count - over)
    return found


def count_of_month(session: Session, organization_id: int) -> tuple[int, int]:
    """How many runs were created this month, and how many of them were drawn a suggestion for."""
    # ix_training_runs_client_id_id
    query = (
        select(func.count(), func.count().filter(TrainingRun.optimized))
        .join(Client, Client.id == TrainingRun.client_id)
        .where(
            Client.organization_id == organization_id,
            TrainingRun.created >= func.date_trunc("month", func.now()),
        )
    )
    row = session.execute(query).one()
    return row[0], row[1]


def update_deleted(session: Session, experiment_id: int) -> None:
    """Delete all runs of an experiment."""
    session.execute(
        update(TrainingRun)
        .where(TrainingRun.experiment_id == experiment_id, ~TrainingRun.deleted)
        .values(deleted=True, updated=func.now())
    )


def find_suggestion(session: Session, run: TrainingRun) -> Suggestion | None:
    """The suggestion of a run, deleted or not."""
    return None if run.suggestion_id is None else session.get_one(Suggestion, run.suggestion_id)


def find_observation(session: Session, run: TrainingRun) -> Observation | None:
    """The observation of a run, deleted or not."""
    return None if run.observation_id is None else session.get_one(Observation, run.observation_id)


def insert_checkpoint(
    session: Session,
    run: TrainingRun,
    *,
    values: dict[str, Any],
    metadata: dict[str, Any] | None,
) -> RunCheckpoint:
    """A new checkpoint of a locked run, which counts it."""
    row = RunCheckpoint(training_run_id=run.id, values=values, metadata_=metadata)
    session.add(row)
    run.checkpoint_count += 1
    touch(session, run)
    session.refresh(row)
    return row


def get_checkpoint(session: Session, run_id: int, checkpoint_id: int) -> RunCheckpoint:
    """One checkpoint.

    Raises:
        NotFound: when there is none, or it belongs to another run.
    """
    row = session.get(RunCheckpoint, checkpoint_id)
    if row is None or row.training_run_id != run_id:
        raise NotFound(f"There is no checkpoint {checkpoint_id} in this training run")
    return row


def list_checkpoints(run_id: int) -> Select[RunCheckpoint]:
    """The checkpoints of a run."""
    # ix_run_checkpoints_training_run_id_id
    return select(RunCheckpoint).where(RunCheckpoint.training_run_id == run_id)

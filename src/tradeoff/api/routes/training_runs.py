"""Training runs: single trainings, as they log themselves."""

from __future__ import annotations

from typing import Any

from tradeoff.api import paging, render
from tradeoff.api.wire.base import Empty
from tradeoff.api.wire.pagination import Pagination
from tradeoff.api.wire.queries import Fetch, Query
from tradeoff.api.wire.tags import Tag
from tradeoff.api.wire.training_runs import (
    BestRunList,
    RunCheckpoint,
    RunCheckpointCreate,
    RunCheckpointList,
    RunPagination,
    RunTagAdd,
    TrainingRun,
    TrainingRunBatch,
    TrainingRunCreate,
    TrainingRunList,
    TrainingRunUpdate,
)
from tradeoff.errors import BadInput
from tradeoff.service import progress, training_runs
from tradeoff.store import run_fields, tables
from tradeoff.store import training_runs as stored
from tradeoff.store.database import Session
from tradeoff.store.opening import Asker


def create(
    session: Session, client: tables.Client, project: tables.Project, body: TrainingRunCreate
) -> TrainingRun:
    """Create a training run.

    It belongs to a project and to no experiment.
    """
    return render.training_run(training_runs.create(session, project, body.sent()))


def create_batch(
    session: Session, client: tables.Client, project: tables.Project, body: TrainingRunBatch
) -> Pagination[TrainingRun]:
    """Create many training runs at once.

    All of them are stored, or none. They are answered in the order given.
    """
    rows = training_runs.create_many(session, project, [each.sent() for each in body.runs])
    return paging.whole([render.training_run(row) for row in rows])


def create_in_experiment(
    session: Session,
    aiexperiment: tables.Experiment,
    body: TrainingRunCreate,
    accept_stale: bool,
    waited_seconds: float,
) -> TrainingRun | None:
    """Create a training run of an AIExperiment.

    Its `assignments` are what to train with: the next suggestion, which is drawn for it. With
    assignments of your own for the experiment's parameters nothing is drawn.
    """
    row = training_runs.create_in_experiment(
        session,
        aiexperiment,
        body.sent(),
        accept_stale=accept_stale,
        asker=Asker(waited_seconds=waited_seconds),
    )
    return None if row is None else render.training_run(row)


def fetch(session: Session, training_run: tables.TrainingRun, query: Fetch) -> TrainingRun:
    """Fetch a training run.

    Deleted ones can be fetched too.
    """
    return render.training_run(training_run)


def fetch_list(
    session: Session,
    client: tables.Client,
    project: tables.Project,
    query: TrainingRunList,
) -> RunPagination[TrainingRun]:
    """List the training runs of a project.

    The newest come first, deleted ones included, unless `filters` leave them out.
    """
    return _list(session, client, query, project=project.slug)


def fetch_list_of_client(
    session: Session, client: tables.Client, query: TrainingRunList
) -> RunPagination[TrainingRun]:
    """List the training runs of a client."""
    return _list(session, client, query)


def _list(
    session: Session, client: tables.Client, query: TrainingRunList, *, project: str | None = None
) -> RunPagination[TrainingRun]:
    select = stored.listing(client.id, project=project, search=query.search)
    select = select.where(*_conditions(query))
    key: Any = None
    if query.sort != "id":
        try:
            key = run_fields.sort_key(session, select, query.sort)
        except BadInput as error:
            raise BadInput(f"sort: {error.message}") from error
        select = select.where(key.is_not(None))
    page = paging.fetch(session, select, query, id_column=tables.TrainingRun.id.expression, key=key)
    envelope = paging.envelope(page, render.training_run)
    return RunPagination(
        count=envelope.count,
        data=envelope.data,
        paging=envelope.paging,
        defined_fields=[
            render.defined_field(*each) for each in run_fields.describe(session, select)
        ],
    )


def _conditions(query: TrainingRunList) -> list[Any]:
    try:
        filters = query.conditions()
    except ValueError as error:
        raise BadInput(f"filters: {error}") from error
    conditions = []
    for index, (field, operator, value) in enumerate(filters):
        try:
            conditions.append(run_fields.condition(field, operator, value))
        except BadInput as error:
            raise BadInput(f"filters[{index}]: {error.message}") from error
    return conditions


def fetch_best(
    session: Session, aiexperiment: tables.Experiment, query: BestRunList
) -> Pagination[TrainingRun]:
    """List the best training runs of an AIExperiment.

    Those whose observations are the best assignments: the efficient frontier.
    """
    best = [row.id for row in progress.best(session, aiexperiment)]
    by_change = query.sort == "updated"
    page = paging.fetch(
        session,
        stored.of_observations(best),
        query,
        id_column=tables.TrainingRun.id.expression,
        key=(tables.TrainingRun.updated if by_change else tables.TrainingRun.created).expression,
    )
    return paging.envelope(page, render.training_run)


def fetch_best_of_experiment(
    session: Session, experiment: tables.Experiment, query: BestRunList
) -> Pagination[TrainingRun]:
    """List the best training runs of an experiment of either kind.

    Those whose observations are the best assignments; what was reported without a run has none.
    """
    return fetch_best(session, experiment, query)


def update(
    session: Session, training_run: tables.TrainingRun, body: TrainingRunUpdate
) -> TrainingRun:
    """Change a training run.

    Each key that is given is replaced as a whole; `null` empties it. The method MERGE at the same
    address lays objects over objects instead, and removes what is `null` in them.
    """
    training_runs.change(session, training_run, body.sent(), merge=False)
    return render.training_run(training_run)


def merge(
    session: Session, training_run: tables.TrainingRun, body: TrainingRunUpdate
) -> TrainingRun:
    """Log something to a training run.

    Objects are laid over objects, level by level; what is `null` is removed.
    """
    training_runs.change(session, training_run, body.sent(), merge=True)
    return render.training_run(training_run)


def delete(session: Session, training_run: tables.TrainingRun, query: Query) -> TrainingRun:
    """Delete a training run.

    Its suggestion and its observation are put away with it; `deleted: false` brings all back.
    """
    training_runs.delete(session, training_run)
    return render.training_run(training_run)


def create_checkpoint(
    session: Session, training_run: tables.TrainingRun, body: RunCheckpointCreate
) -> RunCheckpoint:
    """Report a checkpoint of a training run.

    At most 200, and none after the run has reported its observation.
    """
    metadata = {k: v for k, v in (body.metadata or {}).items() if v is not None}
    row = training_runs.add_checkpoint(
        session, training_run, values=body.values, metadata=metadata or None
    )
    return render.run_checkpoint(row)


def fetch_checkpoint(
    session: Session,
    training_run: tables.TrainingRun,
    run_checkpoint: tables.RunCheckpoint,
    query: Fetch,
) -> RunCheckpoint:
    """Fetch a checkpoint of a training run."""
    return render.run_checkpoint(run_checkpoint)


def fetch_checkpoints(
    session: Session, training_run: tables.TrainingRun, query: RunCheckpointList
) -> Pagination[RunCheckpoint]:
    """List the checkpoints of a training run.

    The newest come first.
    """
    page = paging.fetch(
        session,
        stored.list_checkpoints(training_run.id),
        query,
        id_column=tables.RunCheckpoint.id.expression,
    )
    return paging.envelope(page, render.run_checkpoint)


def add_tag(session: Session, training_run: tables.TrainingRun, body: RunTagAdd) -> Tag:
    """Put a tag on a training run."""
    return render.tag(training_runs.add_tag(session, training_run, body.id))


def remove_tag(
    session: Session, training_run: tables.TrainingRun, tag: tables.Tag, query: Query
) -> Empty:
    """Take a tag off a training run."""
    training_runs.remove_tag(session, training_run, tag)
    return Empty()

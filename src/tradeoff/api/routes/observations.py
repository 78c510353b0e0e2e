"""Observations: what trainings reported."""

from __future__ import annotations

from typing import Any

from tradeoff.api import paging, render
from tradeoff.api.wire.base import Empty
from tradeoff.api.wire.observations import (
    Observation,
    ObservationBatch,
    ObservationCreate,
    ObservationDelete,
    ObservationList,
    ObservationUpdate,
    check_task,
)
from tradeoff.api.wire.pagination import Pagination
from tradeoff.api.wire.queries import Fetch
from tradeoff.errors import BadInput
from tradeoff.service import observations
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.store import observations as stored
from tradeoff.store import tables
from tradeoff.store.database import Session


def create(
    session: Session, experiment: tables.Experiment, body: ObservationCreate, keyless: bool
) -> Observation:
    """Report an observation.

    What a training measured, or that it failed. With `suggestion` you report on a suggestion,
    with `assignments` on any other configuration. Without an `Idempotency-Key`, a report on a
    suggestion that equals one of the last ten minutes is taken for a retry, and gets that one as
    its answer, unless `dedupe` is false.
    """
    row = observations.report(session, experiment, _report(body, experiment.spec, dedupe=keyless))
    return render.observation(row, experiment.spec)


def create_batch(
    session: Session, experiment: tables.Experiment, body: ObservationBatch, keyless: bool
) -> Pagination[Observation]:
    """Report many observations at once.

    All of them are stored, or none: the message names the first that is not valid. They are
    answered in the order given. With `dry_run` they are checked and not stored. Without an
    `Idempotency-Key`, each report on a suggestion that equals one stored in the last ten minutes
    is taken for a retry; equal ones within a batch are measurements of their own.
    """
    spec = experiment.spec
    reports = []
    for index, each in enumerate(body.observations):
        try:
            reports.append(_report(each, spec, dedupe=keyless and body.dedupe))
        except BadInput as error:
            raise BadInput(f"observations[{index}].{error.message}") from error
    if body.dry_run:
        with session.begin_nested() as attempt:
            observations.report_many(session, experiment, reports)
            attempt.rollback()
        return paging.whole([])
    rows = observations.report_many(session, experiment, reports)
    return paging.whole([render.observation(row, spec) for row in rows])


def _task_name(task: Any, spec: ExperimentSpec) -> str | None:
    """The name of the task; where there are no tasks anything is ignored, as SigOpt does."""
    if task is None or spec.tasks is None:
        return None
    try:
        return check_task(task)
    except ValueError as error:
        raise BadInput(f"task: {error}") from error


def _report(body: ObservationCreate, spec: ExperimentSpec, *, dedupe: bool) -> observations.Report:
    return observations.Report(
        suggestion_id=body.suggestion,
        assignments=body.assignments,
        task=_task_name(body.task, spec),
        values=body.evaluations(spec),
        failed=body.failed,
        transient=body.failure_kind == "transient",
        metadata=body.metadata,
        dedupe=dedupe and body.dedupe,
    )


def fetch(
    session: Session, experiment: tables.Experiment, observation: tables.Observation, query: Fetch
) -> Observation:
    """Fetch an observation."""
    return render.observation(observation, experiment.spec)


def fetch_list(
    session: Session, experiment: tables.Experiment, query: ObservationList
) -> Pagination[Observation]:
    """List observations.

    The newest come first, unless `sort` and `ascending` say otherwise.
    """
    page = paging.fetch(
        session,
        stored.listing(experiment.id, deleted=query.deleted),
        query,
        id_column=tables.Observation.id.expression,
        key=None if query.sort == "id" else stored.sort_key(experiment.spec, query.sort),
        count=experiment.observation_count if query.deleted is False else None,
    )
    return paging.envelope(page, lambda row: render.observation(row, experiment.spec))


def update(
    session: Session,
    experiment: tables.Experiment,
    observation: tables.Observation,
    body: ObservationUpdate,
) -> Observation:
    """Correct an observation.

    Only the keys that are given change something.
    """
    changes = body.changes(experiment.spec)
    if changes:
        observations.change(session, experiment, observation, changes)
    return render.observation(observation, experiment.spec)


def delete(
    session: Session,
    experiment: tables.Experiment,
    observation: tables.Observation,
    query: ObservationDelete,
) -> Empty:
    """Delete an observation.

    The model forgets it; its suggestion stays closed.
    """
    observations.delete(session, experiment, observation)
    return Empty()


def delete_all(session: Session, experiment: tables.Experiment, query: ObservationDelete) -> Empty:
    """Delete all observations.

    The search begins anew.
    """
    observations.delete_all(session, experiment)
    return Empty()

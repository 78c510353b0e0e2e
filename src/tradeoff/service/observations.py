"""Take in what trainings report.

Each report goes through one transaction: the observation, the closed suggestion, the counters
and the refresh that it makes necessary are there together or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradeoff.errors import BadInput, NotFound
from tradeoff.service.access import require_active
from tradeoff.service.suggestions import is_modelled
from tradeoff.spec.metrics import MetricEvaluation
from tradeoff.spec.values import Value
from tradeoff.store import experiments, observations, queue, tables
from tradeoff.store import suggestions as stored_suggestions
from tradeoff.store.database import Session

MAX_BATCH = 2_500
MAX_OBSERVATIONS = 100_000


@dataclass(frozen=True, slots=True)
class Report:
    """What one training reports.

    Attributes:
        suggestion_id: the suggestion that was tried; else `assignments` say what was.
        assignments: value by parameter, when no suggestion was tried.
        values: one evaluation per metric; empty when `failed`.
        failed: the configuration could not be evaluated.
        metadata: the user's own.
    """

    suggestion_id: int | None = None
    assignments: Mapping[str, Any] | None = None
    values: Sequence[MetricEvaluation] = ()
    failed: bool = False
    metadata: dict[str, Any] | None = None


def report(session: Session, experiment: tables.Experiment, report: Report) -> tables.Observation:
    """Keep one observation.

    Raises:
        BadInput: when it does not fit the experiment; the message names the field.
    """
    # Before the checks, which would otherwise be against a space that changes meanwhile.
    experiments.lock(session, experiment)
    return _keep(session, experiment, [_checked(session, experiment, report, "")])[0]


def report_many(
    session: Session, experiment: tables.Experiment, reports: Sequence[Report]
) -> list[tables.Observation]:
    """Keep many observations, all of them or none, in the order given.

    Raises:
        BadInput: when one does not fit; the message names it by its index.
    """
    if len(reports) > MAX_BATCH:
        raise BadInput(f"observations: at most {MAX_BATCH} at once, not {len(reports)}")
    if not reports:
        return []
    experiments.lock(session, experiment)
    # Kept for the time of the checks, so that each finds its suggestion without a query.
    loaded = stored_suggestions.load(
        session, {each.suggestion_id for each in reports if each.suggestion_id is not None}
    )
    rows = [
        _checked(session, experiment, each, f"observations[{index}].")
        for index, each in enumerate(reports)
    ]
    del loaded
    return _keep(session, experiment, rows)


def _checked(
    session: Session, experiment: tables.Experiment, report: Report, path: str
) -> dict[str, Any]:
    """The columns of an observation, or the reason why it cannot be one."""
    if (report.suggestion_id is None) == (report.assignments is None):
        raise BadInput(f"{path}suggestion: give either a suggestion or assignments")
    if report.suggestion_id is not None:
        assignments = _assignments_of(session, experiment, report.suggestion_id, path)
    else:
        assert report.assignments is not None
        assignments = experiment.spec.check_assignments(
            report.assignments, path=f"{path}assignments"
        )
    return {
        "experiment_id": experiment.id,
        "suggestion_id": report.suggestion_id,
        "assignments": assignments,
        "assignments_hash": stored_suggestions.hash_assignments(assignments),
        "values": _checked_values(experiment, report.values, report.failed, path),
        "failed": report.failed,
        "metadata_": report.metadata,
    }


def _assignments_of(
    session: Session, experiment: tables.Experiment, suggestion_id: int, path: str
) -> dict[str, Value]:
    try:
        return stored_suggestions.get(session, experiment.id, suggestion_id).assignments
    except NotFound as error:
        raise BadInput(
            f"{path}suggestion: {error.message[0].lower()}{error.message[1:]}"
        ) from error


def _checked_values(
    experiment: tables.Experiment, values: Sequence[MetricEvaluation], failed: bool, path: str
) -> dict[str, Any]:
    if failed:
        if values:
            raise BadInput(f"{path}values: a failed observation has none")
        return {}
    if not values:
        raise BadInput(f"{path}values: required, unless the observation failed")
    checked = experiment.spec.check_values(values, path=f"{path}values")
    return {
        key: {"value": evaluation.value, "value_stddev": evaluation.value_stddev}
        for key, evaluation in checked.items()
    }


def _keep(
    session: Session, experiment: tables.Experiment, rows: list[dict[str, Any]]
) -> list[tables.Observation]:
    """Store what was checked, on the locked experiment."""
    require_active(experiment)
    if experiment.observation_count + len(rows) > MAX_OBSERVATIONS:
        raise BadInput(f"An experiment holds at most {MAX_OBSERVATIONS} observations")
    kept = observations.insert_many(session, rows)
    suggestion_ids = {row["suggestion_id"] for row in rows if row["suggestion_id"] is not None}
    if suggestion_ids:
        stored_suggestions.update_closed(session, suggestion_ids)
    failures = sum(row["failed"] for row in rows)
    _count(session, experiment, observed=len(rows), failed=failures)
    return kept


def _count(session: Session, experiment: tables.Experiment, *, observed: int, failed: int) -> None:
    """Note on the locked experiment that observations came, went or changed."""
    experiment.observation_count += observed
    experiment.failure_count += failed
    experiment.revision += max(abs(observed), 1)
    experiments.touch(session, experiment)
    if is_modelled(experiment):
        queue.defer_refresh(session, experiment.id, client_id=experiment.client_id)


def change(
    session: Session,
    experiment: tables.Experiment,
    observation: tables.Observation,
    changes: Mapping[str, Any],
) -> None:
    """Change what was given of an observation and leave the rest.

    Args:
        session: to work with.
        experiment: whose observation it is.
        observation: to be changed.
        changes: any of `suggestion_id`, `assignments`, `values`, `failed`, `metadata`; see
            `Report`. `None` clears a field.

    Raises:
        BadInput: when the result would not be a valid observation.
    """
    experiments.lock(session, experiment)
    require_active(experiment)
    observations.lock(session, observation)
    failed_before = observation.failed
    _change_tried(session, experiment, observation, changes)
    _change_outcome(experiment, observation, changes)
    if "metadata" in changes:
        observation.metadata_ = changes["metadata"]
    session.flush()
    if changes.keys() <= {"metadata"}:
        experiments.touch(session, experiment)  # nothing that the model knows of
    else:
        experiment.rewrites += 1
        _count(session, experiment, observed=0, failed=int(observation.failed) - int(failed_before))


def _change_tried(
    session: Session,
    experiment: tables.Experiment,
    observation: tables.Observation,
    changes: Mapping[str, Any],
) -> None:
    """Let an observation be of another suggestion, or of other assignments."""
    if "suggestion_id" not in changes and "assignments" not in changes:
        return
    suggestion_id = changes.get("suggestion_id", observation.suggestion_id)
    own = None if observation.suggestion_id is not None else observation.assignments
    assignments = changes.get("assignments", own)
    if (suggestion_id is None) == (assignments is None):
        raise BadInput(
            "suggestion: an observation has either a suggestion or assignments; "
            "to change over, set the other one to null"
        )
    if suggestion_id is not None:
        assignments = _assignments_of(session, experiment, suggestion_id, "")
        stored_suggestions.update_closed(session, {suggestion_id})
    else:
        assignments = experiment.spec.check_assignments(assignments)
    observation.suggestion_id = suggestion_id
    observation.assignments = assignments
    observation.assignments_hash = stored_suggestions.hash_assignments(assignments)


def _change_outcome(
    experiment: tables.Experiment, observation: tables.Observation, changes: Mapping[str, Any]
) -> None:
    """Let an observation have other values, fail, or not have failed after all."""
    failed = changes.get("failed")
    failed = observation.failed if failed is None else failed
    if "values" in changes:
        given = changes["values"] or ()
        if observation.failed and failed and given:
            raise BadInput("values: the observation failed; send failed: false along with values")
        observation.values = _checked_values(experiment, given, failed, "")
    elif failed and observation.values:
        raise BadInput("values: send null along with failed: true, since a failure has no values")
    elif not failed and observation.failed:
        raise BadInput("values: required when an observation did not fail after all")
    observation.failed = failed


def delete(
    session: Session, experiment: tables.Experiment, observation: tables.Observation
) -> None:
    """Delete one observation; its suggestion stays closed.

    Raises:
        NotFound: when another request deleted it just now.
    """
    experiments.lock(session, experiment)
    observations.lock(session, observation)
    observation.deleted = True
    experiment.rewrites += 1
    session.flush()
    _count(session, experiment, observed=-1, failed=-int(observation.failed))


def delete_all(session: Session, experiment: tables.Experiment) -> None:
    """Delete every observation, and all that the engine made of them."""
    experiments.lock(session, experiment)
    observations.update_deleted(session, experiment.id)
    experiments.forget_model(session, experiment)
    experiment.rewrites += 1
    _count(
        session,
        experiment,
        observed=-experiment.observation_count,
        failed=-experiment.failure_count,
    )

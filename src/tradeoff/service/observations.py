"""Take in what trainings report.

Each report goes through one transaction: the observation, the closed suggestion, the counters
and the refresh that it makes necessary are there together or not at all. So is, after a transient
failure, the configuration that is to be served again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradeoff import measures
from tradeoff.errors import BadInput, NotFound
from tradeoff.service import audit, quotas
from tradeoff.service.access import require_active
from tradeoff.service.suggestions import ask_for_refresh
from tradeoff.spec import tasks
from tradeoff.spec.metrics import MetricEvaluation
from tradeoff.spec.values import Value
from tradeoff.store import buffer, experiments, observations, reports, tables
from tradeoff.store import suggestions as stored_suggestions
from tradeoff.store.database import Session
from tradeoff.store.drafts import hash_assignments

MAX_BATCH = 2_500
MAX_OBSERVATIONS = 100_000
#: What a report says about its suggestion: the columns that a retry has equal.
TOLD = ("suggestion_id", "failed", "transient", "values", "metadata")


@dataclass(frozen=True, slots=True)
class Report:
    """What one training reports.

    Attributes:
        suggestion_id: the suggestion that was tried; else `assignments` say what was.
        assignments: value by parameter, when no suggestion was tried.
        task: the name of the task that was run, with `assignments` in a multitask experiment.
        values: one evaluation per metric; empty when `failed`.
        failed: the configuration could not be evaluated.
        transient: it failed for a reason that has nothing to do with the configuration, which is
            served again and of which nothing is learnt; only when `failed`.
        metadata: the user's own.
        dedupe: take it for a retry when it equals an observation of the same suggestion that was
            stored in the last ten minutes: that one is given, and nothing is stored.
    """

    suggestion_id: int | None = None
    assignments: Mapping[str, Any] | None = None
    task: str | None = None
    values: Sequence[MetricEvaluation] = ()
    failed: bool = False
    transient: bool = False
    metadata: dict[str, Any] | None = None
    dedupe: bool = False


def report(session: Session, experiment: tables.Experiment, report: Report) -> tables.Observation:
    """Keep one observation; or give the one that this is the retry of, see `Report.dedupe`.

    Raises:
        BadInput: when it does not fit the experiment; the message names the field.
        TooManyRequests: when the client has all the observations that it may have.
    """
    quotas.require_observations(session, experiment.client_id)
    if not report.dedupe:
        kept = _keep_at_once(session, experiment, report)
        if kept is not None:
            return kept
    # Before the checks, which would otherwise be against a space that changes meanwhile.
    experiments.lock(session, experiment)
    return _keep_new(session, experiment, [report], [_checked(session, experiment, report, "")])[0]


def _keep_at_once(
    session: Session, experiment: tables.Experiment, report: Report
) -> tables.Observation | None:
    """Keep a report that is plainly right, and hold the experiment no longer than that takes.

    `None` when there is something to say about it, or the experiment changed since it was read:
    then it has to be looked at while nothing changes.
    """
    try:
        row = _checked_outcome(experiment, report, "")
        if report.suggestion_id is None:
            row |= _checked_assignments(session, experiment, report, "")
    except BadInput:
        return None
    kept = _keep(session, experiment, [row])
    return None if kept is None else kept[0]


def report_many(
    session: Session, experiment: tables.Experiment, reports: Sequence[Report]
) -> list[tables.Observation]:
    """Keep many observations, all of them or none, in the order given.

    Two equal reports of one call are two measurements, whatever `Report.dedupe` says; a call that
    is retried finds both of them again.

    Raises:
        BadInput: when one does not fit; the message names it by its index.
        TooManyRequests: when the client has all the observations that it may have.
    """
    quotas.require_observations(session, experiment.client_id)
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
    return _keep_new(session, experiment, reports, rows)


def _checked(
    session: Session, experiment: tables.Experiment, report: Report, path: str
) -> dict[str, Any]:
    """The columns of an observation, or the reason why it cannot be one."""
    tried = _checked_assignments(session, experiment, report, path)
    return _checked_outcome(experiment, report, path) | tried


def _checked_assignments(
    session: Session, experiment: tables.Experiment, report: Report, path: str
) -> dict[str, Any]:
    """The columns that tell what was tried."""
    if (report.suggestion_id is None) == (report.assignments is None):
        raise BadInput(f"{path}suggestion: give either a suggestion or assignments")
    if report.suggestion_id is not None:
        assignments, cost = _tried_of(session, experiment, report.suggestion_id, path)
    else:
        assert report.assignments is not None
        assignments = experiment.spec.check_assignments(
            report.assignments, path=f"{path}assignments"
        )
        # Elsewhere a task next to assignments says nothing, as SigOpt has it.
        named = None if experiment.spec.tasks is None else report.task
        cost = experiment.spec.check_task(named, path=f"{path}task")
    return {
        "assignments": assignments,
        "task_cost": cost,
        "assignments_hash": hash_assignments(tasks.join(assignments, cost)),
    }


def _checked_outcome(experiment: tables.Experiment, report: Report, path: str) -> dict[str, Any]:
    """The other columns; what was tried is what the suggestion suggests."""
    return {
        "suggestion_id": report.suggestion_id,
        "assignments": None,
        "task_cost": None,
        "assignments_hash": None,
        "values": _checked_values(experiment, report.values, report.failed, path),
        "failed": report.failed,
        "transient": _checked_kind(report.failed, report.transient, path),
        "metadata": report.metadata,
    }


def _tried_of(
    session: Session, experiment: tables.Experiment, suggestion_id: int, path: str
) -> tuple[dict[str, Value], float | None]:
    """The assignments of a suggestion, and the cost of its task."""
    try:
        row = stored_suggestions.get(session, experiment.id, suggestion_id)
        return row.assignments, row.task_cost
    except NotFound as error:
        raise error.in_field(f"{path}suggestion") from error


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


def _checked_kind(failed: bool, transient: bool, path: str) -> bool:
    if transient and not failed:
        raise BadInput(f"{path}failure_kind: only an observation with failed: true has one")
    return transient


def _keep_new(
    session: Session,
    experiment: tables.Experiment,
    reports: Sequence[Report],
    rows: Sequence[dict[str, Any]],
) -> list[tables.Observation]:
    """Store what is no retry, on the locked experiment, and give all of it in its order."""
    require_active(experiment)
    doubtful = {index: row for index, row in enumerate(rows) if reports[index].dedupe}
    repeated = _find_repeated(session, experiment, doubtful)
    new = [row for index, row in enumerate(rows) if index not in repeated]
    if new and experiment.observation_count + len(new) > MAX_OBSERVATIONS:
        raise BadInput(f"An experiment holds at most {MAX_OBSERVATIONS} observations")
    stored = _keep(session, experiment, new) if new else []
    assert stored is not None, "nothing changes while the experiment is locked"
    kept = iter(stored)
    return [repeated[index] if index in repeated else next(kept) for index in range(len(rows))]


def _find_repeated(
    session: Session, experiment: tables.Experiment, rows: Mapping[int, dict[str, Any]]
) -> dict[int, tables.Observation]:
    """What each of these reports repeats that repeats something, by its index.

    The second of equal reports repeats the second of equal observations, and what is left over
    the last one.
    """
    suggestion_ids = {row["suggestion_id"] for row in rows.values()} - {None}
    recent: dict[str, list[tables.Observation]] = {}
    for found in observations.list_recent(session, experiment.id, suggestion_ids):
        recent.setdefault(_content(_told(found)), []).append(found)
    repeated: dict[int, tables.Observation] = {}
    for index, row in rows.items():
        equal = recent.get(_content(row))
        if equal:
            repeated[index] = equal.pop(0) if len(equal) > 1 else equal[0]
    return repeated


def _told(row: tables.Observation) -> dict[str, Any]:
    return {name: getattr(row, "metadata_" if name == "metadata" else name) for name in TOLD}


def _content(row: Mapping[str, Any]) -> str:
    """A text that two reports have in common when one may be the retry of the other."""
    return json.dumps(_as_floats([row[name] for name in TOLD]), sort_keys=True)


def _as_floats(part: Any) -> Any:
    """`part` with one form for each number; Postgres gives 1e150 back as an integer."""
    if isinstance(part, Mapping):
        return {key: _as_floats(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_as_floats(value) for value in part]
    return float(part) if isinstance(part, int) and not isinstance(part, bool) else part


def _keep(
    session: Session, experiment: tables.Experiment, rows: list[dict[str, Any]]
) -> list[tables.Observation] | None:
    """Store what was checked; of what met a transient failure, serve the like again.

    `None` when the experiment is not what it was checked against.
    """
    kept = reports.keep(session, experiment, rows, most=MAX_OBSERVATIONS)
    if kept is None:
        return None
    _measure(session, rows)
    unlucky = {row["suggestion_id"] for row in rows if row["transient"]}
    _serve_again(session, experiment, unlucky.intersection(kept.closed))
    if any(not row["transient"] for row in rows):
        ask_for_refresh(session, experiment)
    return kept.observations


def _measure(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    failed = sum(row["failed"] for row in rows)
    transient = sum(row["transient"] for row in rows)
    counts = len(rows) - failed, failed - transient, transient
    session.afterwards(lambda: measures.note_observations(*counts))


def _serve_again(
    session: Session, experiment: tables.Experiment, suggestion_ids: Collection[int]
) -> None:
    if suggestion_ids and buffer.put_again(session, suggestion_ids):
        buffer.notify_ready(session, experiment.id)


def _note(session: Session, experiment: tables.Experiment, *, learnt: int) -> None:
    """Note on the locked experiment that so many observations came, went or changed.

    Transient failures are not among them: what is known is the same as before, and so what was
    computed from it is as good.
    """
    experiment.revision += learnt
    experiments.touch(session, experiment)
    if learnt:
        ask_for_refresh(session, experiment)


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
        changes: any of `suggestion_id`, `assignments`, `values`, `failed`, `failure_kind`,
            `metadata` and `task`; see `Report`. `None` clears a field, but for `failure_kind` and
            `task`, where it changes nothing. A failure that turns out to be transient lets the
            configuration be served again, as if it had been reported so; one that turns out not to
            be takes that back, unless the configuration is handed out already.

    Raises:
        BadInput: when the result would not be a valid observation.
    """
    experiments.lock(session, experiment)
    observations.lock(session, observation)
    before = observation.failed, observation.transient
    _change_tried(session, experiment, observation, changes)
    _change_outcome(experiment, observation, changes)
    if "metadata" in changes:
        observation.metadata_ = changes["metadata"]
    session.flush()
    if changes.keys() <= {"metadata"}:
        experiments.touch(session, experiment)  # nothing that the model knows of
    else:
        experiment.failure_count += observation.failed - before[0]
        experiment.transient_count += observation.transient - before[1]
        experiment.rewrites += 1
        if observation.transient and not before[1] and observation.suggestion_id is not None:
            _serve_again(session, experiment, {observation.suggestion_id})
        _note(session, experiment, learnt=1)


def _change_tried(
    session: Session,
    experiment: tables.Experiment,
    observation: tables.Observation,
    changes: Mapping[str, Any],
) -> None:
    """Let an observation be of another suggestion, or of other assignments or another task."""
    task = changes.get("task")
    if "suggestion_id" not in changes and "assignments" not in changes and task is None:
        return
    suggestion_id = changes.get("suggestion_id", observation.suggestion_id)
    own = None if observation.suggestion_id is not None else observation.assignments
    assignments = changes.get("assignments", own)
    if (suggestion_id is None) == (assignments is None):
        raise BadInput(
            "suggestion: an observation has either a suggestion or assignments; "
            "to change over, set the other one to null"
        )
    cost = observation.task_cost
    if task is not None:
        cost = experiment.spec.check_task(task)
    if suggestion_id is not None:
        if task is not None:
            raise BadInput("task: cannot change while a suggestion is attached, which has its own")
        assignments, cost = _tried_of(session, experiment, suggestion_id, "")
        stored_suggestions.update_closed(session, {suggestion_id})
    else:
        assignments = experiment.spec.check_assignments(assignments)
    observation.suggestion_id = suggestion_id
    observation.assignments, observation.task_cost = assignments, cost
    observation.assignments_hash = hash_assignments(tasks.join(assignments, cost))


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
        observation.values = _kept_stddevs(
            experiment, given, _checked_values(experiment, given, failed, ""), observation.values
        )
    elif failed and observation.values:
        raise BadInput("values: send null along with failed: true, since a failure has no values")
    elif not failed and observation.failed:
        raise BadInput("values: required when an observation did not fail after all")
    kind = changes.get("failure_kind")
    transient = observation.transient and failed if kind is None else kind == "transient"
    if kind is not None and not failed:
        raise BadInput("failure_kind: only an observation with failed: true has one")
    observation.failed, observation.transient = failed, transient


def _kept_stddevs(
    experiment: tables.Experiment,
    given: Sequence[MetricEvaluation],
    values: dict[str, Any],
    before: Mapping[str, Any],
) -> dict[str, Any]:
    """`values` with the standard deviations of `before` where none was given, not even `None`."""
    for key, evaluation in experiment.spec.check_values(given).items() if values else ():
        if "value_stddev" not in evaluation.model_fields_set and key in before:
            values[key]["value_stddev"] = before[key].get("value_stddev")
    return values


def delete(
    session: Session, experiment: tables.Experiment, observation: tables.Observation
) -> None:
    """Delete one observation; its suggestion stays closed.

    What is served again because of a transient failure goes on being so: the configuration is as
    wanted as before.

    Raises:
        NotFound: when another request deleted it just now.
    """
    experiments.lock(session, experiment)
    observations.lock(session, observation)
    observation.deleted = True
    experiment.rewrites += 1
    session.flush()
    experiment.observation_count -= 1
    experiment.failure_count -= observation.failed
    experiment.transient_count -= observation.transient
    _note(session, experiment, learnt=0 if observation.transient else 1)


def restore(
    session: Session, experiment: tables.Experiment, observation: tables.Observation
) -> None:
    """Bring one deleted observation back, of an experiment that is locked."""
    observation.deleted = False
    experiment.rewrites += 1
    session.flush()
    experiment.observation_count += 1
    experiment.failure_count += observation.failed
    experiment.transient_count += observation.transient
    _note(session, experiment, learnt=0 if observation.transient else 1)


def delete_all(session: Session, experiment: tables.Experiment) -> None:
    """Delete every observation, and all that the engine made of them."""
    experiments.lock(session, experiment)
    observations.update_deleted(session, experiment.id)
    experiments.forget_model(session, experiment)
    experiment.rewrites += 1
    learnt = max(experiment.observation_count, 1)
    audit.note_experiment(
        session, "observations.delete_all", experiment, count=experiment.observation_count
    )
    experiment.observation_count = experiment.failure_count = experiment.transient_count = 0
    _note(session, experiment, learnt=learnt)

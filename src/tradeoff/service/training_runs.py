"""Keep what training runs log, draw suggestions for them, and let them report.

A run of an experiment is bound to a suggestion, which is drawn for it as it is created, or made of
its own assignments. When the run completes or fails, its values become the observation.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from tradeoff.errors import BadInput, NotAllowed, NotFound, Unprocessable
from tradeoff.service import observations, projects, run_contents, suggestions
from tradeoff.service.access import require_active
from tradeoff.service.run_contents import COLUMNS, OURS
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import MetricEvaluation
from tradeoff.store import experiments, tables, tags, training_runs
from tradeoff.store.database import Session
from tradeoff.store.opening import Asker

MAX_BATCH = 10_000
#: Of one run.
MAX_CHECKPOINTS = 200
NOTHING: dict[str, Any] = {name: None if name == "metadata" else {} for name in COLUMNS}


def create(
    session: Session, project: tables.Project, sent: Mapping[str, Any]
) -> tables.TrainingRun:
    """A new run of a project, of no experiment.

    Args:
        session: to work with.
        project: whose.
        sent: `name` and any of `state`, `favorite`, `deleted` and `COLUMNS`.

    Raises:
        BadInput: when it cannot be.
    """
    (run,) = training_runs.insert_many(session, [_columns(project, sent, experiments.now(session))])
    return run


def create_many(
    session: Session, project: tables.Project, contents: Sequence[Mapping[str, Any]]
) -> list[tables.TrainingRun]:
    """As `create`, all of them or none, in the order given.

    Raises:
        BadInput: when one cannot be; the message names it by its index.
    """
    rows = []
    moment = experiments.now(session)
    for index, sent in enumerate(contents):
        try:
            rows.append(_columns(project, sent, moment))
        except BadInput as error:
            raise BadInput(f"runs[{index}].{error.message}") from error
    return training_runs.insert_many(session, rows) if rows else []


def _columns(
    project: tables.Project, sent: Mapping[str, Any], moment: datetime.datetime
) -> dict[str, Any]:
    logged = {**NOTHING, **run_contents.apply(NOTHING, sent, merge=False)}
    state = sent.get("state") or "active"
    return {
        "client_id": project.client_id,
        "project": project.slug,
        "name": sent["name"],
        "state": state,
        "favorite": sent.get("favorite") or False,
        "deleted": sent.get("deleted") or False,
        "completed": None if state == "active" else moment,
        **{COLUMNS[name]: content for name, content in logged.items()},
    }


def create_in_experiment(
    session: Session,
    experiment: tables.Experiment,
    sent: Mapping[str, Any],
    *,
    accept_stale: bool,
    asker: Asker = suggestions.NOBODY,
) -> tables.TrainingRun | None:
    """A new run of an experiment, with its suggestion.

    With none of the experiment's parameters among its assignments the next suggestion is drawn for
    it. With some of them they become a suggestion of the user's own if they are a configuration;
    if not, the run has none. A run that is over already is drawn nothing: it reports at once if it
    can.

    Returns:
        The run; `None` when no fresh suggestion is ready, see `suggestions.serve`.

    Raises:
        BadInput: when it cannot be, or the experiment is deleted.
    """
    require_active(experiment)
    assert experiment.project is not None, "an experiment of runs has a project"
    project = projects.require(session, experiment.client_id, experiment.project)
    row = _columns(project, sent, experiments.now(session))
    row["experiment_id"] = experiment.id
    given = _of_experiment(experiment.spec, row["assignments"])
    if row["state"] == "active" and not row["deleted"]:
        if given:
            row["suggestion_id"] = _suggest_own(session, experiment, given)
        else:
            drawn = suggestions.serve(session, experiment, asker=asker, accept_stale=accept_stale)
            if drawn is None:
                return None
            _take_on(row, drawn)
    (run,) = training_runs.insert_many(session, [row])
    if run.state != "active" and not run.deleted:
        _report(session, experiment, run, {"assignments": given})
    training_runs.touch(session, run)
    session.refresh(run)
    return run


def _of_experiment(spec: ExperimentSpec, assignments: Mapping[str, Any]) -> dict[str, Any]:
    """Those assignments that are of the experiment's space."""
    names = {each.name for each in spec.parameters} | {each.name for each in spec.conditionals}
    return {name: value for name, value in assignments.items() if name in names}


def _suggest_own(
    session: Session, experiment: tables.Experiment, given: Mapping[str, Any]
) -> int | None:
    try:
        return suggestions.add(session, experiment, given).id
    except BadInput:  # no configuration: the run goes on without
        return None


def _take_on(row: dict[str, Any], drawn: tables.Suggestion) -> None:
    """Let a new run try what was drawn for it."""
    row["suggestion_id"] = drawn.id
    row["optimized"] = True
    row["assignments"] = {**row["assignments"], **drawn.assignments}
    ours = {name: {"source": OURS} for name in drawn.assignments}
    row["assignments_meta"] = {**row["assignments_meta"], **ours}
    shown = {OURS: {"sort": 1, "default_show": True}}
    row["assignments_sources"] = {**row["assignments_sources"], **shown}


def change(
    session: Session, run: tables.TrainingRun, sent: Mapping[str, Any], *, merge: bool
) -> None:
    """Change what was sent of a run and leave the rest.

    Args:
        session: to work with.
        run: to be changed.
        sent: any of `name`, `project`, `state`, `favorite`, `deleted` and `COLUMNS`.
        merge: lay what was logged over what is there; else replace it, key by key.

    Raises:
        BadInput: when it cannot be so.
    """
    training_runs.lock(session, run)
    logged = {name: getattr(run, column) for name, column in COLUMNS.items()}
    for name, content in run_contents.apply(logged, sent, merge=merge).items():
        setattr(run, COLUMNS[name], content)
    if "name" in sent:
        run.name = sent["name"]
    if "favorite" in sent:
        run.favorite = sent["favorite"]
    if "project" in sent:
        _move(session, run, sent["project"])
    if "deleted" in sent and sent["deleted"] != run.deleted:
        _change_deleted(session, run, sent["deleted"])
    if "state" in sent and sent["state"] != run.state:
        _change_state(session, run, sent["state"])
    training_runs.touch(session, run)
    session.refresh(run)


def _move(session: Session, run: tables.TrainingRun, slug: str) -> None:
    if slug == run.project:
        return
    if run.experiment_id is not None:
        raise BadInput("project: a run of an AIExperiment stays in its project")
    projects.require(session, run.client_id, slug)
    projects.note_loss(session, run.client_id, run.project)
    run.project = slug


def _change_state(session: Session, run: tables.TrainingRun, state: str) -> None:
    run.state = state
    if state == "active":
        return
    if run.completed is None:
        run.completed = experiments.now(session)
    bound = run.suggestion_id is not None and run.observation_id is None
    if bound and run.experiment_id is not None and not run.deleted:
        experiment = experiments.get(session, run.experiment_id)
        _report(session, experiment, run, {"suggestion_id": run.suggestion_id})


def _report(
    session: Session,
    experiment: tables.Experiment,
    run: tables.TrainingRun,
    tried: Mapping[str, Any],
) -> None:
    """Let the values of a run that is over be the observation of what it tried.

    What was drawn for it and not measured in every metric has failed. What was not drawn is no
    observation then, and neither is what is no configuration.
    """
    values = _measured(experiment.spec, run)
    failed = run.state == "failed" or (values is None and "suggestion_id" in tried)
    if experiment.state != "active" or (values is None and not failed):
        return
    report = observations.Report(**tried, values=() if failed else values or (), failed=failed)
    try:
        run.observation_id = observations.report(session, experiment, report).id
    except BadInput:
        return
    session.flush()


def _measured(spec: ExperimentSpec, run: tables.TrainingRun) -> list[MetricEvaluation] | None:
    """The values of every metric of the experiment; `None` when one is missing."""
    measured = []
    for metric in spec.metrics:
        entry = run.values.get(metric.key, {})
        if entry.get("value") is None:
            return None
        measured.append(
            MetricEvaluation(
                name=metric.name, value=entry["value"], value_stddev=entry.get("value_stddev")
            )
        )
    return measured


def delete(session: Session, run: tables.TrainingRun) -> None:
    """Put a run away, with its suggestion and its observation."""
    change(session, run, {"deleted": True}, merge=True)


def _change_deleted(session: Session, run: tables.TrainingRun, deleted: bool) -> None:
    run.deleted = deleted
    session.flush()
    if run.experiment_id is None:
        return
    experiment = experiments.get(session, run.experiment_id)
    experiments.lock(session, experiment)
    suggestion = training_runs.find_suggestion(session, run)
    observation = training_runs.find_observation(session, run)
    if suggestion is not None and suggestion.deleted != deleted:
        if deleted:
            suggestions.delete(session, suggestion)
        else:
            suggestions.restore(session, suggestion)
    if observation is not None and observation.deleted != deleted:
        if deleted:
            observations.delete(session, experiment, observation)
        else:
            observations.restore(session, experiment, observation)


def add_checkpoint(
    session: Session,
    run: tables.TrainingRun,
    *,
    values: Sequence[MetricEvaluation],
    metadata: dict[str, Any] | None,
) -> tables.RunCheckpoint:
    """Keep what a run measured on its way.

    Raises:
        NotAllowed: when it has as many as a run can have, or its observation is made.
    """
    training_runs.lock(session, run)
    if run.observation_id is not None:
        raise NotAllowed("This training run has reported its observation; it takes no checkpoints.")
    if run.checkpoint_count >= MAX_CHECKPOINTS:
        raise NotAllowed(f"A training run has at most {MAX_CHECKPOINTS} checkpoints.")
    kept = {
        each.name or "": {"value": each.value, "value_stddev": each.value_stddev} for each in values
    }
    return training_runs.insert_checkpoint(session, run, values=kept, metadata=metadata)


def add_tag(session: Session, run: tables.TrainingRun, tag_id: int) -> tables.Tag:
    """Put a tag on a run; one that it has already stays where it is.

    Raises:
        Unprocessable: when the client has no such tag.
    """
    try:
        tag = tags.get(session, run.client_id, tag_id)
    except NotFound as error:
        raise Unprocessable(error.message) from error
    training_runs.lock(session, run)
    if tag.id not in run.tags:
        run.tags = [*run.tags, tag.id]
        training_runs.touch(session, run)
    return tag


def remove_tag(session: Session, run: tables.TrainingRun, tag: tables.Tag) -> None:
    """Take a tag off a run.

    Raises:
        NotFound: when it is not on it.
    """
    training_runs.lock(session, run)
    if tag.id not in run.tags:
        raise NotFound(f"There is no tag {tag.id} on this training run")
    run.tags = [each for each in run.tags if each != tag.id]
    training_runs.touch(session, run)

"""Create, change and delete experiments."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from tradeoff.engine import design
from tradeoff.errors import BadInput
from tradeoff.service import access, audit, observations, projects, quotas, suggestions
from tradeoff.service.access import Principal
from tradeoff.spec import changes as spec_changes
from tradeoff.spec import differences
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.store import buffer, edits, experiments, tables, training_runs
from tradeoff.store.database import Session

#: Points drawn to see whether the linear constraints leave room.
INTERIOR_PROBES = 16


def create(
    session: Session,
    principal: Principal,
    *,
    client_id: int,
    name: str,
    spec: ExperimentSpec,
    metadata: dict[str, Any] | None,
    project: str | None = None,
    runs_only: bool = False,
    paused: bool = False,
) -> tables.Experiment:
    """A new experiment, with its first suggestions ready.

    With `runs_only` training runs report to it, and nobody else; with `paused` nothing is handed
    out before it goes on.

    Raises:
        BadInput: when no point of the space satisfies the linear constraints, or the client has
            no such project.
        NotAllowed: when a development token asks for one that is made of runs, or the client has
            all that it may have.
    """
    if runs_only:
        access.require_production(principal)
    quotas.require_experiment(session, client_id)
    if project is not None:
        projects.require(session, client_id, project)
    if not _has_interior(spec):
        raise BadInput("linear_constraints: no configuration inside the bounds satisfies them all")
    if spec.type == "grid":
        spec = spec.model_copy(update={"observation_budget": spec.grid_size})
    experiment = experiments.insert(
        session,
        client_id=client_id,
        project=project,
        runs_only=runs_only,
        name=name,
        spec=spec,
        metadata=metadata,
        development=principal.development,
        # 31 bits are a seed for every generator there is.
        seed=secrets.randbits(31),
        created_by=principal.token_id,
        paused=paused,
    )
    suggestions.fill_first_buffer(session, experiment)
    return experiment


def _has_interior(spec: ExperimentSpec) -> bool:
    """Whether some configuration satisfies the linear constraints, with room to spare.

    Whole numbers may well lie on the boundary; real ones that all do leave no space to search.
    """
    if not spec.linear_constraints:
        return True
    types = {parameter.name: parameter.type for parameter in spec.parameters}
    points = design.space_filling(spec, seed=0, start=0, count=INTERIOR_PROBES)
    return any(
        all(
            constraint.is_met(
                point,  # type: ignore[arg-type]  # the terms are numeric
                tolerance=1e-9 if types[constraint.terms[0].name] == "int" else -1e-9,
            )
            for constraint in spec.linear_constraints
        )
        for point in points
    )


def change(session: Session, experiment: tables.Experiment, changes: Mapping[str, Any]) -> None:
    """Change what was given and leave the rest.

    Args:
        session: to work with.
        experiment: to be changed.
        changes: any of `name`, `project`, `state`, `observation_budget` or `budget`,
            `parallel_bandwidth`, `metadata`, `paused`, `early_stopping`, `metrics` and
            `parameters`; the last two as JSON objects, see `spec.changes`.

    Raises:
        BadInput: when something would change that cannot.
        NotAllowed: when it would come back, and the client has all that it may have.
    """
    experiments.lock(session, experiment)
    known = audit.state_of(experiment)
    if "name" in changes:
        experiment.name = changes["name"]
    if "project" in changes:
        _refuse_moving_runs(experiment, changes["project"])
        projects.move(session, experiment, changes["project"])
    if "state" in changes:
        if changes["state"] == "active" != experiment.state:
            quotas.require_experiment(session, experiment.client_id)
        experiment.state = changes["state"]
    if "metadata" in changes:
        experiment.metadata_ = changes["metadata"]
    goes_on = experiment.paused and not changes.get("paused", True)
    experiment.paused = changes.get("paused", experiment.paused)
    before = experiment.spec
    experiment.spec = _changed_spec(experiment, changes)
    if experiment.spec != before:
        # Reports that were checked against the one before are to be checked again.
        experiment.rewrites += 1
    edited = differences.between(before, experiment.spec)
    if edited:
        edits.insert(session, experiment.id, edited)
    experiments.touch(session, experiment)
    if told := audit.changed(known, audit.state_of(experiment)):
        audit.note_experiment(session, "experiment.update", experiment, **told)
    if (experiment.spec.parameters, experiment.spec.metrics) != (before.parameters, before.metrics):
        # A budget or a bandwidth makes no suggestion worse.
        _search_anew(session, experiment, before)
    if goes_on:
        _go_on(session, experiment)


def _refuse_moving_runs(experiment: tables.Experiment, project: str | None) -> None:
    if experiment.runs_only and project != experiment.project:
        raise BadInput("project: an AIExperiment stays in its project")


def _changed_budget(experiment: tables.Experiment, changes: Mapping[str, Any]) -> ExperimentSpec:
    """The spec with the budget that was given, which each kind of experiment has its name for."""
    spec = experiment.spec
    mine, other = ("budget", "observation_budget")[:: 1 if experiment.runs_only else -1]
    if changes.get(other) is not None:
        kind = "an AIExperiment has a" if experiment.runs_only else "an experiment has an"
        raise BadInput(f"{other}: {kind} {mine} instead")
    if changes.get(mine) is None and not (experiment.runs_only and mine in changes):
        return spec
    try:
        return spec_changes.change_budget(spec, changes[mine])
    except BadInput as error:
        raise BadInput(error.message.replace("observation_budget", mine)) from error


def _changed_spec(experiment: tables.Experiment, changes: Mapping[str, Any]) -> ExperimentSpec:
    spec = _changed_budget(experiment, changes)
    if "parallel_bandwidth" in changes:
        spec = spec_changes.change_bandwidth(spec, changes["parallel_bandwidth"])
    if "suggestion_ttl_seconds" in changes:
        spec = spec_changes.change_suggestion_ttl(spec, changes["suggestion_ttl_seconds"])
    if "early_stopping" in changes:
        spec = spec_changes.change_early_stopping(spec, changes["early_stopping"])
    if "metrics" in changes:
        spec = spec_changes.change_metrics(spec, changes["metrics"])
    if "parameters" in changes:
        spec, experiment.retired = spec_changes.change_parameters(
            spec, changes["parameters"], experiment.retired
        )
    return spec


def _search_anew(session: Session, experiment: tables.Experiment, before: ExperimentSpec) -> None:
    """Let what is prepared follow a changed spec."""
    if experiment.spec.parameters != before.parameters:
        # What waits in the buffer may lie outside the new space, and what the engine remembers
        # is about other dimensions.
        experiments.forget_model(session, experiment)
    experiment.revision += 1
    session.flush()
    suggestions.ask_for_refresh(session, experiment)


def _go_on(session: Session, experiment: tables.Experiment) -> None:
    """Wake those who wait for an experiment that was paused, and have its model see the reports."""
    buffer.notify_ready(session, experiment.id)
    suggestions.ask_for_refresh(session, experiment)


def forget_model(session: Session, experiment: tables.Experiment) -> None:
    """Let the model be fitted anew, from nothing but the observations.

    Raises:
        BadInput: when the experiment is deleted.
    """
    experiments.lock(session, experiment)
    access.require_active(experiment)
    experiments.forget_fit(session, experiment)
    audit.note_experiment(session, "experiment.forget_model", experiment)
    suggestions.ask_for_refresh(session, experiment)


def delete(
    session: Session, experiment: tables.Experiment, *, include_content: bool = False
) -> None:
    """Put an experiment away; it can be fetched and revived, and takes no work meanwhile.

    With `include_content` its runs, suggestions and observations are deleted, too, and do not come
    back with it.
    """
    if include_content:
        # Runs first: one that is being changed holds its own row before its experiment's.
        training_runs.update_deleted(session, experiment.id)
        suggestions.delete_all(session, experiment, open_only=False)
        observations.delete_all(session, experiment)
    experiments.lock(session, experiment)
    experiment.state = "deleted"
    audit.note_experiment(session, "experiment.delete", experiment, include_content=include_content)
    experiments.touch(session, experiment)

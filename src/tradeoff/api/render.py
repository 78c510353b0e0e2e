"""Rows to wire models, one function per resource."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tradeoff.api.wire import (
    accounts,
    aiexperiments,
    audit,
    checkpoints,
    experiments,
    files,
    observations,
    projects,
    queued_suggestions,
    suggestions,
    tags,
    training_runs,
)
from tradeoff.api.wire import importances as wire_importances
from tradeoff.api.wire import operations as wire_operations
from tradeoff.service.insights import Insights
from tradeoff.service.operations import Operations, Trouble
from tradeoff.service.progress import Progress
from tradeoff.service.quotas import Quotas
from tradeoff.service.run_progress import RunProgress
from tradeoff.spec import constraints, metrics, parameters, stopping, tasks
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.values import Value
from tradeoff.store import tables
from tradeoff.store.projects import Overview
from tradeoff.store.quotas import Usage
from tradeoff.store.run_fields import FieldType


def experiment(row: tables.Experiment, progress: Progress | RunProgress) -> experiments.Experiment:
    """An experiment of either kind with its progress."""
    spec = row.spec
    return experiments.Experiment(
        **_common(row),
        development=row.development,
        observation_budget=spec.observation_budget,
        budget=spec.observation_budget,
        tasks=None if spec.tasks is None else [_task(task) for task in spec.tasks],
        progress=_run_progress(progress)
        if isinstance(progress, RunProgress)
        else _progress(progress, spec),
    )


def aiexperiment(row: tables.Experiment, progress: RunProgress) -> aiexperiments.AIExperiment:
    """An AIExperiment with its progress."""
    return aiexperiments.AIExperiment(
        **_common(row), budget=row.spec.observation_budget, progress=_run_progress(progress)
    )


def _common(row: tables.Experiment) -> dict[str, Any]:
    """What experiments of both kinds have."""
    spec = row.spec
    return {
        "id": str(row.id),
        "client": str(row.client_id),
        "name": row.name,
        "type": spec.type,
        "state": "deleted" if row.state == "deleted" else "active",
        "created": _seconds(row.created),
        "updated": _seconds(row.updated),
        "project": row.project,
        "runs_only": row.runs_only,
        "parameters": [_parameter(parameter, spec) for parameter in spec.parameters],
        "conditionals": [
            experiments.Conditional(name=c.name, values=list(c.values)) for c in spec.conditionals
        ],
        "linear_constraints": [_linear_constraint(c) for c in spec.linear_constraints],
        "metrics": [_metric(metric) for metric in spec.metrics],
        "parallel_bandwidth": spec.parallel_bandwidth,
        "num_solutions": spec.num_solutions,
        "suggestion_ttl_seconds": spec.suggestion_ttl_seconds,
        "engine": spec.engine,
        "early_stopping": _early_stopping(spec.early_stopping),
        "paused": row.paused,
        "metadata": row.metadata_,
    }


def _run_progress(progress: RunProgress) -> experiments.RunProgress:
    return experiments.RunProgress(
        finished_run_count=progress.finished,
        active_run_count=progress.active,
        total_run_count=progress.finished + progress.active,
        remaining_budget=progress.remaining_budget,
    )


def _parameter(parameter: parameters.Parameter, spec: ExperimentSpec) -> experiments.Parameter:
    return experiments.Parameter(
        name=parameter.name,
        type=parameter.type,
        bounds=_bounds(parameter),
        categorical_values=None
        if parameter.categorical_values is None
        else [
            experiments.CategoricalValue(name=value.name, enum_index=value.enum_index)
            for value in sorted(parameter.categorical_values, key=lambda value: value.enum_index)
        ],
        grid=_grid(parameter, spec),
        default_value=None
        if parameter.default_value is None
        else _value(parameter.default_value, parameter),
        prior=_prior(parameter.prior),
        transformation=parameter.transformation,
        conditions={name: list(values) for name, values in parameter.conditions.items()},
    )


def _bounds(parameter: parameters.Parameter) -> experiments.Bounds | None:
    if parameter.bounds is not None:
        return experiments.Bounds(min=parameter.bounds.min, max=parameter.bounds.max)
    if parameter.grid is not None:
        return experiments.Bounds(min=parameter.grid[0], max=parameter.grid[-1])
    return None


def _grid(parameter: parameters.Parameter, spec: ExperimentSpec) -> list[int | float | str] | None:
    if parameter.grid is not None or (spec.type == "grid" and parameter.type == "categorical"):
        return list(parameter.levels or ())
    return None


def _prior(
    prior: parameters.NormalPrior | parameters.BetaPrior | None,
) -> experiments.NormalPrior | experiments.BetaPrior | None:
    if isinstance(prior, parameters.NormalPrior):
        return experiments.NormalPrior(mean=prior.mean, scale=prior.scale)
    if isinstance(prior, parameters.BetaPrior):
        return experiments.BetaPrior(shape_a=prior.shape_a, shape_b=prior.shape_b)
    return None


def _linear_constraint(constraint: constraints.LinearConstraint) -> experiments.LinearConstraint:
    return experiments.LinearConstraint(
        type=constraint.type,
        threshold=constraint.threshold,
        terms=[
            experiments.ConstraintTerm(name=term.name, weight=term.weight)
            for term in constraint.terms
        ],
    )


def _metric(metric: metrics.Metric) -> experiments.Metric:
    return experiments.Metric(
        name=metric.name,
        objective=metric.objective,
        strategy=metric.strategy,
        threshold=metric.threshold,
    )


def _early_stopping(rule: stopping.EarlyStopping | None) -> experiments.EarlyStopping | None:
    return None if rule is None else experiments.EarlyStopping(**rule.model_dump())


def _progress(progress: Progress, spec: ExperimentSpec) -> experiments.Progress:
    def shown(row: tables.Observation | None) -> observations.Observation | None:
        return None if row is None else observation(row, spec)

    return experiments.Progress(
        observation_count=progress.observation_count,
        observation_budget_consumed=progress.budget_consumed,
        first_observation=shown(progress.first),
        last_observation=shown(progress.last),
        best_observation=shown(progress.best),
    )


def suggestion(
    row: tables.Suggestion, spec: ExperimentSpec, *, lapsed: bool = False
) -> suggestions.Suggestion:
    """A suggestion that was handed out; `lapsed` when its lease is over by the database's clock."""
    opened = row.opened or row.computed
    age = (opened - row.computed).total_seconds()
    return suggestions.Suggestion(
        id=str(row.id),
        experiment=str(row.experiment_id),
        assignments=_assignments(row.assignments, spec),
        state="lapsed" if lapsed else row.state,
        created=_seconds(opened),
        deleted=row.deleted,
        metadata=row.metadata_,
        source=row.source,
        observations_seen=row.observations_seen,
        model_age_seconds=max(0.0, round(age, 3)) if row.source == "model" else None,
        explanation=row.explanation or None,
        worker_id=row.worker_id,
        lease_seconds=row.lease_seconds,
        lease_expires=None if row.lease_expires is None else row.lease_expires.timestamp(),
        attempt=row.attempt,
        task=_task_of(row.task_cost, spec),
    )


def observation(row: tables.Observation, spec: ExperimentSpec) -> observations.Observation:
    """What was reported."""
    return observations.Observation(
        id=str(row.id),
        experiment=str(row.experiment_id),
        suggestion=None if row.suggestion_id is None else str(row.suggestion_id),
        assignments=_assignments(row.assignments, spec),
        values=_values(row),
        failed=row.failed,
        failure_kind=("transient" if row.transient else "infeasible") if row.failed else None,
        metadata=row.metadata_,
        created=_seconds(row.created),
        task=_task_of(row.task_cost, spec),
    )


def checkpoint(row: tables.Checkpoint) -> checkpoints.Checkpoint:
    """What a training had measured at one moment."""
    return checkpoints.Checkpoint(
        id=str(row.id),
        experiment=str(row.experiment_id),
        suggestion=str(row.suggestion_id),
        step=row.step,
        values=[
            observations.Evaluation(name=key or None, value=value, value_stddev=None)
            for key, value in sorted(row.values.items())
        ],
        metadata=row.metadata_,
        created=_seconds(row.created),
        should_stop=row.should_stop,
        stopping_reasons=row.stopping_reasons,
    )


def best_assignments(row: tables.Observation, spec: ExperimentSpec) -> observations.BestAssignments:
    """An observation as one of the best configurations."""
    task = _task_of(row.task_cost, spec)
    return observations.BestAssignments(
        id=str(row.id),
        assignments=_assignments(row.assignments, spec),
        values=_values(row),
        metadata=row.metadata_,
        task=None if task is None else task.name,
    )


def token(row: tables.Token, secret: str | None, *, organization_id: int) -> accounts.Token:
    """A token, with its secret where that is known from the request, or new."""
    bound = row.experiment_id is not None or row.training_run_id is not None
    kind = "client-dev" if row.development else "guest" if bound else "client-api"
    return accounts.Token.model_validate(
        {
            "id": str(row.id),
            "token": secret or row.prefix,
            "token_type": kind,
            "client": str(row.client_id),
            "organization": str(organization_id),
            "user": _id(row.user_id),
            "experiment": _id(row.experiment_id),
            "training_run": _id(row.training_run_id),
            "all_experiments": not bound,
            "development": row.development,
            "permissions": "read" if row.role == "read" else "write",
            "role": row.role,
            "name": row.name,
            "scope": "shared_experiment" if bound else "all_endpoints",
            "created": _seconds(row.created),
            "expires": None if row.expires is None else _seconds(row.expires),
            "lease_length": row.lease_seconds,
        }
    )


def user(row: tables.User) -> accounts.User:
    """A user."""
    return accounts.User(
        id=str(row.id),
        name=row.name,
        email=row.email,
        created=_seconds(row.created),
        deleted=row.deleted,
    )


def permission(whose: tables.User, where: tables.Client, role: str) -> accounts.UserPermission:
    """What a user may do in a client."""
    return accounts.UserPermission.model_validate(
        {
            "client": client(where),
            "user": user(whose),
            "role": role,
            "can_read": True,
            "can_write": role != "read",
            "can_admin": role == "admin",
        }
    )


def project(row: tables.Project, overview: Overview) -> projects.Project:
    """A project with what it holds."""
    return projects.Project(
        id=row.slug,
        client=str(row.client_id),
        name=row.name,
        created=_seconds(row.created),
        updated=_seconds(overview.updated),
        metadata=row.metadata_,
        experiment_count=overview.experiment_count,
        training_run_count=overview.training_run_count,
        deleted=row.deleted,
    )


def project_note(row: tables.ProjectNote, project: tables.Project) -> projects.ProjectNote:
    """A note about a project."""
    return projects.ProjectNote(
        client=str(project.client_id),
        project=project.slug,
        user=None,
        created=_seconds(row.created),
        contents=row.contents,
    )


def queued_suggestion(
    row: tables.QueuedSuggestion, spec: ExperimentSpec
) -> queued_suggestions.QueuedSuggestion:
    """A suggestion that waits to be served."""
    return queued_suggestions.QueuedSuggestion(
        id=str(row.id),
        experiment=str(row.experiment_id),
        assignments=_assignments(row.assignments, spec),
        created=_seconds(row.created),
        task=_task_of(row.task_cost, spec),
    )


def training_run(row: tables.TrainingRun) -> training_runs.TrainingRun:
    """A training run."""
    return training_runs.TrainingRun(
        id=str(row.id),
        client=str(row.client_id),
        project=row.project,
        experiment=_id(row.experiment_id),
        suggestion=_id(row.suggestion_id),
        observation=_id(row.observation_id),
        name=row.name,
        state=row.state,
        finished=row.completed is not None or row.observation_id is not None,
        created=_seconds(row.created),
        updated=_seconds(row.updated),
        completed=None if row.completed is None else _seconds(row.completed),
        deleted=row.deleted,
        favorite=row.favorite,
        assignments={name: _whole(value) for name, value in row.assignments.items()},
        assignments_meta={
            name: training_runs.AssignmentMeta(source=entry.get("source"))
            for name, entry in row.assignments_meta.items()
        },
        assignments_sources={
            name: training_runs.AssignmentSource(
                sort=entry.get("sort"), default_show=entry.get("default_show")
            )
            for name, entry in row.assignments_sources.items()
        },
        values={name: _evaluation(name, entry) for name, entry in row.values.items()},
        metadata=row.metadata_,
        dev_metadata=row.dev_metadata,
        sys_metadata=row.sys_metadata,
        datasets={name: training_runs.Dataset() for name in row.datasets},
        logs={
            name: training_runs.Log(content=entry.get("content") or "")
            for name, entry in row.logs.items()
        },
        model=training_runs.RunModel(type=row.model.get("type")),
        source_code=training_runs.RunSourceCode(
            content=row.source_code.get("content"), hash=row.source_code.get("hash")
        ),
        tags=[str(each) for each in row.tags],
        files=[str(each) for each in row.files],
        checkpoint_count=row.checkpoint_count,
    )


def file(row: tables.File, *, upload: str | None = None, download: str | None = None) -> files.File:
    """A file, with the address of its bytes."""
    sent = {"Content-Type": row.content_type, "Content-MD5": row.content_md5}
    return files.File(
        id=str(row.id),
        client=str(row.client_id),
        created=_seconds(row.created),
        name=row.name,
        filename=row.filename,
        content_length=row.content_length,
        content_type=row.content_type,
        content_md5=row.content_md5,
        upload=None if upload is None else files.Upload(url=upload, headers=sent),
        download=None if download is None else files.Download(url=download),
    )


def run_checkpoint(row: tables.RunCheckpoint) -> training_runs.RunCheckpoint:
    """What a training run measured on its way."""
    return training_runs.RunCheckpoint(
        id=str(row.id),
        training_run=str(row.training_run_id),
        created=_seconds(row.created),
        values=[_evaluation(name, entry) for name, entry in sorted(row.values.items())],
        metadata=row.metadata_,
    )


def defined_field(key: str, kind: FieldType, count: int) -> training_runs.DefinedField:
    """A field that occurs in training runs."""
    return training_runs.DefinedField(
        key=key, name=key.partition(".")[2] or key, type=kind, sortable=True, count=count
    )


def _evaluation(name: str, entry: Mapping[str, Any]) -> observations.Evaluation:
    return observations.Evaluation(
        name=name, value=entry.get("value"), value_stddev=entry.get("value_stddev")
    )


def _id(number: int | None) -> str | None:
    return None if number is None else str(number)


def _whole(value: Any) -> Value:
    """A whole number as an integer."""
    is_whole = isinstance(value, float) and value.is_integer()
    return int(value) if is_whole else value


def tag(row: tables.Tag) -> tags.Tag:
    """A tag."""
    return tags.Tag(id=str(row.id), client=str(row.client_id), name=row.name, color=row.color)


def organization(
    row: tables.Organization, *, runs: int, optimized: int, file_bytes: int
) -> accounts.Organization:
    """An organization, with its runs of this month."""
    return accounts.Organization(
        id=str(row.id),
        name=row.name,
        created=_seconds(row.created),
        optimized_runs_in_billing_cycle=optimized,
        total_runs_in_billing_cycle=runs,
        data_storage_bytes=file_bytes,
    )


def client(row: tables.Client) -> accounts.Client:
    """A client."""
    return accounts.Client(
        id=str(row.id),
        organization=str(row.organization_id),
        name=row.name,
        created=_seconds(row.created),
    )


def quotas(row: tables.Client, limits: Quotas, usage: Usage) -> accounts.Quotas:
    """What a client may have, and has."""
    return accounts.Quotas(
        client=str(row.id),
        experiments=accounts.Allowance(limit=limits.experiments, used=usage.experiments),
        observations=accounts.Allowance(limit=limits.observations, used=usage.observations),
        file_bytes=accounts.Allowance(limit=limits.file_bytes, used=usage.file_bytes),
        requests_per_second=limits.requests_per_second,
    )


def _values(row: tables.Observation) -> list[observations.Evaluation]:
    return [
        observations.Evaluation(
            name=key or None, value=evaluation["value"], value_stddev=evaluation.get("value_stddev")
        )
        for key, evaluation in sorted(row.values.items())
    ]


def _assignments(assignments: Mapping[str, Any], spec: ExperimentSpec) -> dict[str, Value]:
    by_name = {parameter.name: parameter for parameter in spec.parameters}
    return {name: _value(value, by_name.get(name)) for name, value in sorted(assignments.items())}


def _value(value: Any, parameter: parameters.Parameter | None) -> Value:
    """A value in its parameter's type; as it was stored when the parameter is no more."""
    if parameter is None or isinstance(value, str):
        return value  # type: ignore[no-any-return]  # a number, a text: whatever was checked when it came
    return int(value) if parameter.type == "int" else float(value)


def _task(task: tasks.Task) -> observations.Task:
    return observations.Task(name=task.name, cost=task.cost)


def _task_of(cost: float | None, spec: ExperimentSpec) -> observations.Task | None:
    return next((_task(task) for task in spec.tasks or () if task.cost == cost), None)


def _seconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp())


def operations(found: Operations) -> wire_operations.Operations:
    """How the installation does."""
    return wire_operations.Operations(
        version=found.version,
        schema_version=found.schema,
        queue=wire_operations.Queue(
            waiting=found.queue.waiting,
            running=found.queue.running,
            oldest_seconds=found.queue.oldest_seconds,
        ),
        workers=[
            wire_operations.Worker(
                id=str(worker.id),
                last_seen=_seconds(worker.last_seen),
                running=worker.jobs,
                device=worker.device,
            )
            for worker in found.workers
        ],
        waits=None
        if found.waits is None
        else wire_operations.Waits(
            count=found.waits.count,
            median_seconds=found.waits.median_seconds,
            slow_seconds=found.waits.slow_seconds,
        ),
        failing=[_failing(trouble) for trouble in found.troubles],
    )


def _failing(trouble: Trouble) -> wire_operations.FailingExperiment:
    row = trouble.experiment
    return wire_operations.FailingExperiment(
        experiment=str(row.id),
        rung=row.rung,
        until=None if row.rung_until is None else _seconds(row.rung_until),
        failures=row.refresh_failures,
        reason=trouble.reason,
    )


def audit_entry(row: tables.AuditEntry) -> audit.AuditEntry:
    """That somebody changed something."""
    return audit.AuditEntry(
        id=str(row.id),
        created=_seconds(row.created),
        organization=str(row.organization_id),
        client=None if row.client_id is None else str(row.client_id),
        token=None if row.token_id is None else str(row.token_id),
        origin=row.origin,
        address=row.address,
        action=row.action,
        kind=row.kind,
        object_id=str(row.object_id),
        details=row.details,
    )


def metric_importances(
    found: Insights, spec: ExperimentSpec
) -> list[wire_importances.MetricImportances]:
    """What matters for each metric, by its name."""
    return [
        wire_importances.MetricImportances(
            metric=metric.name,
            importances=dict(found.importances[metric.key]),
            method=found.method,
            observations=found.observations,
            computed=None if found.computed is None else _seconds(found.computed),
            calibration=wire_importances.Calibration(**asdict(found.calibrations[metric.key]))
            if metric.key in found.calibrations
            else None,
        )
        for metric in spec.metrics
    ]


def importances(found: Insights, spec: ExperimentSpec) -> wire_importances.Importances:
    """What matters for the one optimized metric, and for failing."""
    optimized = spec.optimized_metrics
    return wire_importances.Importances(
        importances=dict(found.importances[optimized[0].key]) if len(optimized) == 1 else None,
        failure=None if found.failure is None else dict(found.failure),
        method=found.method,
        observations=found.observations,
        computed=None if found.computed is None else _seconds(found.computed),
    )

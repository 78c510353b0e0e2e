"""Experiments on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import ConfigDict, Field, model_serializer, model_validator

from tradeoff.api.wire.base import Answer, Flag, Metadata, Request, hidden
from tradeoff.api.wire.observations import Observation, Task
from tradeoff.api.wire.queries import Fetch, Listing, Query, QueryFlag, QueryId, UnixSeconds
from tradeoff.spec import stopping
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import Metric as MetricSpec
from tradeoff.spec.parameters import Parameter as ParameterSpec
from tradeoff.spec.values import Name, Number, PositiveInteger, Seconds, Text


def check_metrics_of_runs(metrics: Sequence[MetricSpec]) -> None:
    """Runs report values by the name of their metric, so each must have one.

    Raises:
        ValueError: when one has none.
    """
    for index, metric in enumerate(metrics):
        if metric.name is None:
            raise ValueError(f"metrics[{index}].name: required, since training runs report by it")


def spec_of(body: ExperimentSpec) -> ExperimentSpec:
    """The part of a body that is stored, with categories numbered in the order given."""
    values = {name: getattr(body, name) for name in ExperimentSpec.model_fields}
    values["parameters"] = tuple(map(_numbered, body.parameters))
    return ExperimentSpec.model_construct(**values)


def _numbered(parameter: ParameterSpec) -> ParameterSpec:
    """As new: a parameter that was read elsewhere may have gaps in its numbers."""
    if parameter.categorical_values is None:
        return parameter
    values = tuple(
        value.model_copy(update={"enum_index": index})
        for index, value in enumerate(parameter.categorical_values, start=1)
    )
    return parameter.model_copy(update={"categorical_values": values})


class ExperimentCreate(ExperimentSpec):
    """What to optimize: the parameters to vary, the metrics to measure, and how far to go."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Gearbox sizing",
                    "parameters": [
                        {
                            "name": "module_mm",
                            "type": "double",
                            "bounds": {"min": 0.5, "max": 6.0},
                            "transformation": "log",
                        },
                        {"name": "teeth", "type": "int", "bounds": {"min": 12, "max": 90}},
                        {
                            "name": "alloy",
                            "type": "categorical",
                            "categorical_values": ["A7", "Ti"],
                        },
                    ],
                    "metrics": [
                        {"name": "efficiency", "objective": "maximize"},
                        {"name": "mass_kg", "objective": "minimize"},
                    ],
                    "observation_budget": 80,
                }
            ]
        }
    )

    name: Name
    """What you call it, 1 to 100 characters."""
    metadata: Metadata | None = None
    """Your own notes: up to 100 keys, each with a number or a string of up to 500 characters."""
    project: Text | None = None
    """The id of one of your projects, to which it is to belong."""
    budget: PositiveInteger | None = None
    """With `runs_only`, how many training runs are planned; otherwise give an
    `observation_budget`."""
    runs_only: Flag = False
    """`true` makes an AIExperiment, which needs a `project` and has a `budget`."""
    paused: Flag = False
    """`true` hands out no suggestion before it is changed to `false`."""

    @model_validator(mode="before")
    @classmethod
    def _accept_one_metric(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "metric" not in data:
            return data
        rest = {key: value for key, value in data.items() if key != "metric"}
        if data["metric"] is None:
            return rest
        if rest.get("metrics") is not None:
            raise ValueError("metric: give either metrics or metric, not both")
        return {**rest, "metrics": [data["metric"]]}

    @model_validator(mode="before")
    @classmethod
    def _choose_budget(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if data.get("runs_only") is not True:
            if data.get("budget") is not None:
                raise ValueError("budget: an experiment has an observation_budget instead")
            return {k: v for k, v in data.items() if v is not None or k != "runs_only"}
        if data.get("observation_budget") is not None:
            raise ValueError("observation_budget: with runs_only there is a budget instead")
        return {**data, "budget": None, "observation_budget": data.get("budget")}

    @model_validator(mode="after")
    def _check_runs(self) -> ExperimentCreate:
        if self.runs_only:
            if self.project is None:
                raise ValueError("project: required with runs_only")
            if self.tasks is not None:
                raise ValueError("tasks: an experiment that is made of training runs has none")
            check_metrics_of_runs(self.metrics)
        return self

    def to_spec(self) -> ExperimentSpec:
        """The part that is stored as the experiment's spec."""
        return spec_of(self)


class MetricUpdate(Request):
    """A metric of the experiment, with a new threshold; nothing else about it can change."""

    object: Literal["metric"] = Field(default="metric", exclude=True, repr=False)
    name: Name | None = None
    """Which metric; may be absent when there is one."""
    objective: Literal["maximize", "minimize"] | None = None
    """If given, as it is."""
    strategy: Literal["optimize", "store", "constraint"] | None = None
    """If given, as it is."""
    threshold: Number | None = None
    """The least acceptable level; `null` clears it."""

    @model_validator(mode="before")
    @classmethod
    def _accept_name(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"name": data}
        if isinstance(data, dict) and data.get("name") == "":
            return {**data, "name": None}
        return data


class Changes(Request):
    """What can change about experiments of either kind."""

    name: Name = ""
    """What you call it."""
    project: Text | None = None
    """The id of the project to which it is to belong; `null` takes it out of its project."""
    state: Literal["active", "deleted"] = "active"
    """`deleted` removes the experiment from the lists, `active` brings it back."""
    parallel_bandwidth: PositiveInteger | None = None
    """How many trainings run at once; `null` clears it."""
    suggestion_ttl_seconds: Seconds | None = None
    """How long an open suggestion is waited for; `null` is 604800, a week."""
    early_stopping: stopping.EarlyStopping | None = None
    """When trainings are told to stop, replaced as a whole; `null` stops none."""
    metadata: Metadata | None = None
    """Your own notes, replaced as a whole; `null` clears them."""
    paused: Flag = False
    """`true` hands out no suggestion, computes none and takes every report until it is `false`."""
    metrics: tuple[MetricUpdate, ...] = ()
    """All the metrics, with new thresholds; nothing else about a metric can change."""
    parameters: tuple[dict[str, Any], ...] = ()
    """All the parameters that should remain, with their new bounds, values and priors. One that
    is new needs a `default_value`, which earlier observations are taken to have had."""
    no_optimize: Flag | None = None
    """Accepted for SigOpt's sake; changes nothing."""

    def changes(self) -> dict[str, Any]:
        """The keys that were given, by what they mean to the service."""
        given = self.model_fields_set - {"no_optimize"}
        changes = {name: getattr(self, name) for name in sorted(given)}
        if "metrics" in changes:
            changes["metrics"] = [each.model_dump(exclude_unset=True) for each in self.metrics]
        return changes


class ExperimentUpdate(Changes):
    """What to change; a key that is absent leaves its part as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"parallel_bandwidth": 4}]})

    observation_budget: PositiveInteger | None = None
    """How many observations are planned; `null` changes nothing."""
    budget: PositiveInteger | None = None
    """Of an AIExperiment, how many training runs are planned; `null` clears it. Others have an
    `observation_budget`."""


class ExperimentFetch(Fetch):
    """How one experiment is read."""


class ListOfEitherKind(Listing):
    """Which experiments or AIExperiments are listed."""

    sort: Literal["id", "recent"] = "id"
    """`recent` orders by the last change."""
    state: Literal["active", "deleted", "all"] = "active"
    """Only those in this state."""
    search: str | None = None
    """Part of the name, in any case."""
    user: QueryId | None = None
    """Only those that this user made."""


class ExperimentList(ListOfEitherKind):
    """Which experiments are listed."""

    period_start: UnixSeconds | None = None
    """Created at this moment or later, in Unix seconds."""
    period_end: UnixSeconds | None = None
    """Created before this moment, in Unix seconds."""
    development: QueryFlag | None = None
    """Only development experiments, or only others."""
    include_ai: QueryFlag = False
    """AIExperiments as well."""

    @model_validator(mode="after")
    def _check_period(self) -> ExperimentList:
        start, end = self.period_start, self.period_end
        if start is not None and end is not None and start > end:
            raise ValueError("period_end: must not be before period_start")
        return self


class ExperimentDelete(Query):
    """How an experiment is deleted."""

    include_runs: QueryFlag = False
    """Delete what belongs to it as well: its runs, suggestions and observations."""


class Bounds(Answer):
    """The closed range of a numeric parameter."""

    object: Literal["bounds"] = "bounds"
    min: float
    """The smallest value that is suggested."""
    max: float
    """The largest value that is suggested."""


class CategoricalValue(Answer):
    """One of the values of a categorical parameter."""

    object: Literal["categorical_value"] = "categorical_value"
    name: str
    enum_index: int
    """1-based, in the order given at creation; never reused."""


class NormalPrior(Answer):
    """Belief that good values lie around `mean`."""

    object: Literal["normal_prior"] = "normal_prior"
    name: Literal["normal"] = "normal"
    mean: float
    """The most likely value."""
    scale: float
    """The standard deviation."""


class BetaPrior(Answer):
    """Belief about the position of good values between the bounds."""

    object: Literal["beta_prior"] = "beta_prior"
    name: Literal["beta"] = "beta"
    shape_a: float
    """The larger, the nearer to `max`."""
    shape_b: float
    """The larger, the nearer to `min`."""


class Parameter(Answer):
    """One dimension of the space."""

    object: Literal["parameter"] = "parameter"
    name: str
    type: Literal["double", "int", "categorical"]
    """What its values are: real numbers, whole numbers, or words."""
    bounds: Bounds | None
    """`null` for a categorical parameter; the ends of the grid for one with a grid."""
    categorical_values: list[CategoricalValue] | None
    """Its words, ordered by `enum_index`; `null` unless it is `categorical`."""
    grid: list[int | float | str] | None = hidden()
    """Absent when the parameter has none."""
    default_value: int | float | str | None
    """What observations that were made before the parameter existed are taken to have had."""
    prior: NormalPrior | BetaPrior | None
    """Where good values are thought to lie."""
    transformation: Literal["log"] | None
    """`log` when its logarithm is searched evenly."""
    conditions: dict[str, list[str]]
    """For each conditional the choices that switch it on; empty when it is always on."""


class Conditional(Answer):
    """A choice that switches parameters on and off."""

    object: Literal["conditional"] = "conditional"
    name: str
    values: list[str]


class ConstraintTerm(Answer):
    """A parameter and its weight."""

    object: Literal["constraint_term"] = "constraint_term"
    name: str
    weight: float
    """What the value is multiplied with."""


class LinearConstraint(Answer):
    """A weighted sum of parameters with a limit."""

    object: Literal["linear_constraint"] = "linear_constraint"
    type: Literal["greater_than", "less_than"]
    """Whether the sum is at least or at most the threshold."""
    threshold: float
    """The limit, which is allowed itself."""
    terms: list[ConstraintTerm]
    """Ordered by name; without those of weight zero."""


class Metric(Answer):
    """One number that a training reports."""

    object: Literal["metric"] = "metric"
    name: str | None
    """`null` for the only metric of an experiment that gave it no name."""
    objective: Literal["maximize", "minimize"]
    """Whether larger or smaller values are better."""
    strategy: Literal["optimize", "store", "constraint"]
    """`optimize`: searched; `constraint`: must meet its threshold; `store`: kept, not used."""
    threshold: float | None
    """The least acceptable level: a lower bound when maximizing, an upper when minimizing."""


class EarlyStopping(Answer):
    """How sure it must be that a training stays dominated before it is told to stop."""

    object: Literal["early_stopping"] = "early_stopping"
    min_step: int
    """Nothing is stopped before this step."""
    min_trainings: int
    """Nothing is stopped before so many finished trainings have shown how values go on."""
    confidence: float
    """How much of what finished trainings still gained a running one is credited with."""


class Progress(Answer):
    """How far an experiment has come."""

    object: Literal["progress"] = "progress"
    observation_count: int
    """Observations that are not deleted, failed ones included."""
    observation_budget_consumed: float
    """How much of the budget was used: one for each observation, none for a transient failure."""
    first_observation: Observation | None
    """The oldest; `null` before there is one."""
    last_observation: Observation | None
    """The newest; `null` before there is one."""
    best_observation: Observation | None
    """With exactly one optimized metric: its best observation."""


class RunProgress(Answer):
    """How far an AIExperiment has come."""

    object: Literal["progress"] = "progress"
    finished_run_count: int
    """Training runs that completed or failed, and are not deleted."""
    active_run_count: int
    """Training runs that are under way, and are not deleted; one whose worker died is, too."""
    total_run_count: int
    """Both of them."""
    remaining_budget: int | None
    """What is left of the budget; below zero when it was exceeded, `null` without one."""


class ExperimentOfEitherKind(Answer):
    """What experiments and AIExperiments have in common."""

    id: str
    client: str
    user: str | None = None
    name: str
    type: Literal["offline", "random", "grid"]
    """`offline`: the model proposes; `random`: random points; `grid`: every point of a grid."""
    state: Literal["active", "deleted"]
    """A `deleted` one is in no list unless asked for, and takes no work."""
    created: int
    updated: int
    project: str | None
    """The id of the project to which it belongs."""
    runs_only: bool
    """Whether it is an AIExperiment: made of training runs, which alone report to it."""
    parameters: list[Parameter]
    """The space, ordered by name; removed ones are not shown."""
    conditionals: list[Conditional]
    """Choices that switch parameters on and off."""
    linear_constraints: list[LinearConstraint]
    """Inequalities that every suggestion satisfies."""
    metrics: list[Metric]
    """What is measured, ordered by name."""
    parallel_bandwidth: int | None
    """How many trainings run at once; `null` when it was not said, and counts as 1."""
    num_solutions: int | None
    """How many different good configurations are wanted; `null` counts as 1."""
    suggestion_ttl_seconds: float | None
    """How long an open suggestion is waited for; `null` is 604800, a week."""
    engine: Literal["default", "reference"]
    """What makes the suggestions: Tradeoff's engine, or BoTorch's stock loop."""
    early_stopping: EarlyStopping | None
    """When trainings that report checkpoints are told to stop; `null` stops none."""
    paused: bool
    """Whether no suggestion is handed out until somebody lets it go on."""
    metadata: dict[str, str | int | float] | None


def _require_neither_budget(schema: dict[str, Any]) -> None:
    schema["required"] = [
        key for key in schema["required"] if key not in ("observation_budget", "budget")
    ]


class Experiment(ExperimentOfEitherKind):
    """What is optimized, and how far it has come."""

    model_config = ConfigDict(json_schema_extra=_require_neither_budget)

    object: Literal["experiment"] = "experiment"
    development: bool
    """Made with a development token: its suggestions are random."""
    observation_budget: int | None = None
    """How many observations are planned. AIExperiments do not have this field."""
    budget: int | None = None
    """How many training runs are planned. AIExperiments alone have this field."""
    tasks: list[Task] | None = hidden()
    """The most expensive first; only in multitask experiments."""
    progress: Progress | RunProgress
    """How far it has come; of an AIExperiment, counts of training runs."""

    @model_serializer(mode="wrap")
    def _leave_out_the_other_budget(self, handler: Any):  # type: ignore[no-untyped-def]  # a type would become the schema
        shown = handler(self)
        # With `fields` neither need be there.
        shown.pop("observation_budget" if self.runs_only else "budget", None)
        return shown

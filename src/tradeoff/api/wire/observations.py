"""Observations on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from tradeoff.api.wire.base import Answer, Create, Flag, Id, Metadata, Request, hidden
from tradeoff.api.wire.queries import Listing, Query, QueryFlag
from tradeoff.errors import BadInput
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import MetricEvaluation
from tradeoff.spec.values import Number, check_text, shown

MAX_BATCH = 2_500

FailureKind = Literal["infeasible", "transient"]
Stddev = Annotated[Number, Field(ge=0)]


def check_task(value: Any) -> str:
    """The name of a task, given as such or as an object that has it.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(value, dict):
        value = value.get("name")
    if not isinstance(value, str):
        raise ValueError(
            f"must be the name of a task, or an object with its name, not {shown(value)}"
        )
    return check_text(value)


#: The name of a task of a multitask experiment.
TaskName = Annotated[str, BeforeValidator(check_task, json_schema_input_type=str | dict[str, Any])]


def check_assignments(value: Any) -> dict[str, Any]:
    """Assignments are an object; its content is checked against the experiment.

    Raises:
        ValueError: for anything else.
    """
    if not isinstance(value, dict):
        raise ValueError(f"must be an object with a value for each parameter, not {shown(value)}")
    return value


Assignments = Annotated[dict[str, Any], BeforeValidator(check_assignments)]


class ObservationCreate(Create):
    """What a training measured, or that it failed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "suggestion": "421",
                    "values": [
                        {"name": "efficiency", "value": 0.93},
                        {"name": "mass_kg", "value": 4.2, "value_stddev": 0.1},
                    ],
                },
                {"suggestion": "422", "failed": True},
            ]
        }
    )

    suggestion: Id | None = None
    """The suggestion that was tried. Give this or `assignments`."""
    assignments: Assignments | None = None
    """The configuration that was tried, when it was not suggested; it may lie out of bounds."""
    values: list[MetricEvaluation] | None = None
    """One evaluation for each metric of the experiment."""
    failed: Flag = False
    """The configuration could not be evaluated."""
    failure_kind: FailureKind | None = None
    """Why it failed. `infeasible`, the default: it cannot be evaluated, and its region will be
    avoided. `transient`: the machine died or the like; nothing is learnt, and the configuration
    is suggested again, twice at most."""
    value: Number | None = None
    """The value, for an experiment with one metric: short for `values`."""
    value_stddev: Stddev | None = None
    """The standard deviation of `value`."""
    metadata: Metadata | None = None
    """Your own notes: up to 100 keys, each with a number or a string of up to 500 characters."""
    dedupe: Flag = True
    """Without an `Idempotency-Key`: take a report on a suggestion that equals one of the last ten
    minutes for a retry of it, and answer with that one. `false` stores a second measurement."""
    task: Any = None
    """The task that was run with `assignments`, by its name or as an object with it; required in
    a multitask experiment, and ignored in others. A suggestion has its own."""
    no_optimize: Flag = False
    """Accepted for SigOpt's sake; changes nothing."""

    @model_validator(mode="after")
    def _check_sides(self) -> ObservationCreate:
        if (self.suggestion is None) == (self.assignments is None):
            raise ValueError("exactly one of suggestion and assignments is required")
        if self.task is not None and self.suggestion is not None:
            raise ValueError("task: must be absent when a suggestion is given, which has its own")
        if self.failed and (self.values or self.value is not None):
            raise ValueError("values: a failed observation has none")
        if self.failure_kind is not None and not self.failed:
            raise ValueError("failure_kind: only an observation with failed: true has one")
        if self.value_stddev is not None and self.value is None:
            raise ValueError("value_stddev: needs a value")
        if self.value is not None and self.values:
            raise ValueError("value: give either values or value, not both")
        if not self.failed and not self.values and self.value is None:
            raise ValueError("values: required, unless failed is true")
        return self

    def evaluations(self, spec: ExperimentSpec) -> list[MetricEvaluation]:
        """What was measured, in the long form.

        Raises:
            BadInput: when the short form is used with several metrics.
        """
        return _evaluations(spec, self.values, self.value, self.value_stddev)


def _evaluations(
    spec: ExperimentSpec,
    values: list[MetricEvaluation] | None,
    value: float | None,
    stddev: float | None,
) -> list[MetricEvaluation]:
    if value is None:
        return values or []
    if len(spec.metrics) != 1:
        raise BadInput(
            f"value: this experiment has {len(spec.metrics)} metrics; "
            "give `values` with an entry for each"
        )
    return [MetricEvaluation(value=value, value_stddev=stddev)]


class ObservationBatch(Create):
    """Many observations at once: all of them are stored, or none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "observations": [
                        {
                            "assignments": {"module_mm": 2.0, "teeth": 20, "alloy": "Ti"},
                            "failed": True,
                        }
                    ]
                }
            ]
        }
    )

    observations: Annotated[list[ObservationCreate], Field(max_length=MAX_BATCH)]
    """At most 2500, in the order in which they will be answered."""
    dedupe: Flag = True
    """Without an `Idempotency-Key`: take each report on a suggestion that equals one of the last
    ten minutes for a retry of it. `false` stores all of
    them."""
    dry_run: Flag = False
    """Check them and store nothing."""
    no_optimize: Flag = False
    """Accepted for SigOpt's sake; changes nothing."""


class ObservationUpdate(Request):
    """What to correct; a key that is absent leaves its part as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"metadata": {"node": "gpu-3"}}]})

    suggestion: Id | None = None
    """The suggestion that was tried; `null` together with new `assignments` detaches it."""
    assignments: Assignments | None = None
    """The configuration that was tried; `null` together with a new `suggestion` drops it."""
    values: list[MetricEvaluation] | None = None
    """One evaluation for each metric; `null` together with `failed: true` drops them."""
    value: Number | None = None
    """The value, for an experiment with one metric: short for `values`."""
    value_stddev: Stddev | None = None
    """The standard deviation of `value`."""
    failed: Flag = False
    """`true` turns the observation into a failure, `false` together with `values` back."""
    failure_kind: FailureKind | None = None
    """Whether the failure was `infeasible` or `transient` after all; `null` changes nothing."""
    metadata: Metadata | None = None
    """Your own notes, replaced as a whole; `null` clears them."""
    task: TaskName | None = None
    """The task that was run, in a multitask experiment; not while there is a suggestion, which
    has its own. `null` changes nothing."""
    no_optimize: Flag | None = None
    """Accepted for SigOpt's sake; changes nothing."""

    @model_validator(mode="after")
    def _check_short_form(self) -> ObservationUpdate:
        if self.value_stddev is not None and self.value is None:
            raise ValueError("value_stddev: needs a value")
        if self.value is not None and self.values:
            raise ValueError("value: give either values or value, not both")
        return self

    def changes(self, spec: ExperimentSpec) -> dict[str, Any]:
        """The keys that were given, by what they mean to the service.

        Raises:
            BadInput: when the short form is used with several metrics.
        """
        given = self.model_fields_set & {
            "suggestion",
            "assignments",
            "values",
            "failed",
            "failure_kind",
            "metadata",
        }
        changes = {name: getattr(self, name) for name in sorted(given)}
        if "suggestion" in changes:
            changes["suggestion_id"] = changes.pop("suggestion")
        if self.task is not None:
            changes["task"] = self.task
        if self.value is not None:
            changes["values"] = _evaluations(spec, None, self.value, self.value_stddev)
        return changes


class ObservationList(Listing):
    """Which observations are listed."""

    sort: str = "id"
    """`id`, `timestamp`, `value` or `value-METRIC`, `value_stddev` or `value_stddev-METRIC`,
    `parameter-NAME`, or `task`, which is by its cost."""
    deleted: QueryFlag = False
    """Only deleted observations."""


class ObservationDelete(Query):
    """How observations are deleted."""

    no_optimize: QueryFlag = False
    """Accepted for SigOpt's sake; changes nothing."""


class Task(Answer):
    """One way to evaluate a configuration, and what that costs."""

    object: Literal["task"] = "task"
    name: str
    cost: float
    """As a share of the cost of the full task, which has 1."""


class Evaluation(Answer):
    """What a training measured of one metric."""

    object: Literal["metric_evaluation"] = "metric_evaluation"
    name: str | None
    """Of the metric; `null` for the only one of an experiment that gave it no name."""
    value: float | None
    """What was measured."""
    value_stddev: float | None
    """Standard deviation of the measurement, in the metric's own units."""


EVALUATIONS: list[Any] = [
    {
        "object": "metric_evaluation",
        "name": "efficiency",
        "value": 0.93,
        "value_stddev": None,
    },
    {"object": "metric_evaluation", "name": "mass_kg", "value": 4.2, "value_stddev": 0.1},
]


class Observation(Answer):
    """What a training reported."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "object": "observation",
                    "id": "93",
                    "experiment": "7",
                    "suggestion": "421",
                    "assignments": {"alloy": "Ti", "module_mm": 2.25, "teeth": 31},
                    "values": EVALUATIONS,
                    "failed": False,
                    "failure_kind": None,
                    "metadata": None,
                    "created": 1790000450,
                }
            ]
        }
    )

    object: Literal["observation"] = "observation"
    id: str
    experiment: str
    suggestion: str | None
    assignments: dict[str, int | float | str]
    """What was tried; it may lie outside the bounds."""
    values: list[Evaluation]
    """Ordered by metric name; empty when failed."""
    failed: bool
    """The configuration could not be evaluated; then there are no values."""
    failure_kind: FailureKind | None
    """`infeasible`: its region is avoided. `transient`: nothing was learnt. `null`: no failure."""
    metadata: dict[str, str | int | float] | None
    created: int
    task: Task | None = hidden()
    """The task that was run; only in multitask experiments."""


class BestAssignments(Answer):
    """One of the best configurations so far."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "object": "best_assignments",
                    "id": "93",
                    "assignments": {"alloy": "Ti", "module_mm": 2.25, "teeth": 31},
                    "values": EVALUATIONS,
                    "metadata": None,
                }
            ]
        }
    )

    object: Literal["best_assignments"] = "best_assignments"
    id: str
    """The observation's."""
    assignments: dict[str, int | float | str]
    values: list[Evaluation]
    metadata: dict[str, str | int | float] | None
    task: str | None = hidden()
    """The name of the task that was run, the full one; only in multitask experiments."""

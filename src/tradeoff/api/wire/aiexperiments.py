"""AIExperiments on the wire: experiments that are made of training runs."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from tradeoff.api.wire.base import Flag, Metadata
from tradeoff.api.wire.experiments import (
    Changes,
    ExperimentOfEitherKind,
    ListOfEitherKind,
    RunProgress,
    check_metrics_of_runs,
    spec_of,
)
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import Metric
from tradeoff.spec.values import Name, PositiveInteger, shown


def _refuse_tasks(value: Any) -> None:
    if value is not None:
        raise ValueError("unknown key; an AIExperiment has none")


class AIExperimentCreate(ExperimentSpec):
    """What to optimize with training runs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Gearbox sizing",
                    "parameters": [
                        {"name": "teeth", "type": "int", "bounds": {"min": 12, "max": 90}}
                    ],
                    "metrics": [
                        {"name": "efficiency", "objective": "maximize"},
                        {"name": "mass_kg", "objective": "minimize"},
                    ],
                    "budget": 80,
                }
            ]
        }
    )
    #: What the messages of the spec call otherwise.
    renamed: ClassVar[dict[str, str]] = {"observation_budget": "budget"}

    name: Name
    """What you call it, 1 to 100 characters."""
    metrics: tuple[Metric, ...] = Field(min_length=1)
    """Each needs a name. Several may be optimized at once; the answer is then the efficient
    frontier."""
    observation_budget: PositiveInteger | None = Field(default=None, alias="budget")
    """How many training runs are planned; not enforced."""
    tasks: Annotated[None, BeforeValidator(_refuse_tasks)] = None
    """AIExperiments have none."""
    paused: Flag = False
    """`true` hands out no suggestion before it is changed to `false`."""
    metadata: Metadata | None = None
    """Your own notes: up to 100 keys, each with a number or a string of up to 500 characters."""

    @field_validator(
        "metrics",
        mode="before",
        json_schema_input_type=Annotated[list[Metric], Field(min_length=1)],
    )
    @classmethod
    def _null_is_one_metric(cls, value: Any) -> Any:
        """Here it is not: a metric must have a name."""
        return value

    @model_validator(mode="before")
    @classmethod
    def _check_metrics_are_objects(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        metrics = data.get("metrics")
        for index, metric in enumerate(metrics if isinstance(metrics, list) else ()):
            if not isinstance(metric, dict):
                raise ValueError(f"metrics[{index}]: must be an object, not {shown(metric)}")
        known = {field.alias or name for name, field in cls.model_fields.items()}
        return {k: v for k, v in data.items() if v is not None or k not in known}

    @model_validator(mode="after")
    def _check_names(self) -> AIExperimentCreate:
        check_metrics_of_runs(self.metrics)
        return self

    def to_spec(self) -> ExperimentSpec:
        """The part that is stored as the experiment's spec."""
        return spec_of(self)


class AIExperimentUpdate(Changes):
    """What to change; a key that is absent leaves its part as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"parallel_bandwidth": 4}]})

    budget: PositiveInteger | None = None
    """How many training runs are planned; `null` clears it."""


class AIExperimentList(ListOfEitherKind):
    """Which AIExperiments are listed."""


class AIExperiment(ExperimentOfEitherKind):
    """What is optimized with training runs, and how far it has come."""

    object: Literal["aiexperiment"] = "aiexperiment"
    budget: int | None
    """How many training runs are planned."""
    progress: RunProgress
    """How far it has come, in training runs."""

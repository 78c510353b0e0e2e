"""Metrics: what is measured, and what is wanted of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from tradeoff.spec.values import Frozen, Number, check_name


def _check_metric_name(value: Any) -> str | None:
    return None if value is None else check_name(value)


def _check_evaluated(value: Any) -> str | None:
    """An empty name stands for the only metric."""
    return None if value == "" else _check_metric_name(value)


class Metric(Frozen):
    """One number that a training reports."""

    object: Literal["metric"] = Field(default="metric", exclude=True, repr=False)
    name: Annotated[str | None, BeforeValidator(_check_metric_name)] = None
    """May be absent when the experiment has one metric."""
    objective: Literal["maximize", "minimize"] = "maximize"
    """Whether larger or smaller values are better."""
    strategy: Literal["optimize", "store", "constraint"] = "optimize"
    """`optimize`: searched; `constraint`: must meet its threshold; `store`: kept, not used."""
    threshold: Number | None = None
    """The least acceptable level: a lower bound when maximizing, an upper when minimizing."""

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"name": data}
        if isinstance(data, dict):  # null stands for absent
            return {key: value for key, value in data.items() if value is not None}
        return data

    @model_validator(mode="after")
    def _check_threshold(self) -> Metric:
        if self.strategy == "constraint" and self.threshold is None:
            raise ValueError("threshold: required for a constraint metric")
        if self.strategy == "store" and self.threshold is not None:
            raise ValueError("threshold: a stored metric has none")
        return self

    @property
    def key(self) -> str:
        """The name under which values of this metric are kept; empty for an unnamed one."""
        return self.name or ""

    @property
    def sign(self) -> int:
        """1 when larger is better, else -1."""
        return 1 if self.objective == "maximize" else -1

    def meets_threshold(self, value: float) -> bool:
        """Whether `value` is acceptable; the threshold itself is."""
        return self.threshold is None or self.sign * value >= self.sign * self.threshold


class MetricEvaluation(Frozen):
    """What a training measured of one metric."""

    object: Literal["metric_evaluation"] = Field(
        default="metric_evaluation", exclude=True, repr=False
    )
    name: Annotated[str | None, BeforeValidator(_check_evaluated)] = None
    """Of the metric; may be absent when there is one."""
    value: Number
    """What was measured, a finite number."""
    value_stddev: Annotated[Number, Field(ge=0)] | None = None
    """Standard deviation of the measurement, in the metric's own units."""

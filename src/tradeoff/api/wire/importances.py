"""Importances on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from tradeoff.api.wire.base import Answer, Request

Method = Literal["model", "trees"]


class ImportancesRefresh(Request):
    """Nothing needs to be said."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})


class Calibration(Answer):
    """How well the model of a metric predicts observations that it was not shown."""

    observations: int
    """How many were left out, one at a time."""
    explained: float
    """Share of their variance that the predictions explain: 1 is perfect; below 0 the average
    would have been a better prediction."""
    coverage: float
    """Share of them inside their 95 % interval: 0.95 is right."""


class MetricImportances(Answer):
    """How much each parameter matters for one metric."""

    object: Literal["metric_importances"] = "metric_importances"
    metric: str | None
    """The name of the metric."""
    importances: dict[str, float]
    """By parameter its share of all effects on the metric; the shares sum to 1."""
    method: Method
    """`model`: of the models that make the suggestions, computed by a worker. `trees`: of
    randomised trees, until a worker has asked the models."""
    observations: int
    """How many observations were known."""
    computed: int | None
    """When the models were asked; `null` for trees, which are asked each time."""
    calibration: Calibration | None
    """How far the model of this metric can be trusted; `null` for trees."""


class Importances(Answer):
    """How much each parameter matters for the optimized metric, and for failing."""

    object: Literal["importances"] = "importances"
    importances: dict[str, float] | None
    """By parameter its share of all effects on the one optimized metric; `null` when there is not
    exactly one."""
    failure: dict[str, float] | None
    """By parameter its share in whether a configuration fails; `null` when nothing failed, or no
    worker has asked the models."""
    method: Method
    """Who says so; see `metric_importances`."""
    observations: int
    """How many observations were known."""
    computed: int | None
    """When the models were asked; `null` for trees, which are asked each time."""

"""Histories for the engine's tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from tradeoff.engine import design
from tradeoff.engine.space import Space
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.history import History, Observation
from tradeoff.spec.values import Value

Truth = Callable[[Mapping[str, Value]], Mapping[str, float] | None]


def observe(point: Mapping[str, Value], truth: Truth) -> Observation:
    """What a training of `truth` reports; `None` from it is a failure."""
    values = truth(point)
    return Observation(dict(point), dict(values or {}), {}, values is None)


def history_of(
    spec: ExperimentSpec,
    count: int,
    *,
    failing: float = 0.0,
    pending: int = 0,
    seed: int = 0,
) -> History:
    """Smooth values of every metric at points of the design.

    The share `failing` of the points, those lowest in the first dimension, failed.
    """
    space = Space(spec)
    points = design.space_filling(spec, seed=seed, start=0, count=count + pending)
    lowest = np.quantile(space.to_unit(space.encode(points[:count]))[:, 0], failing)

    def truth(point: Mapping[str, Value]) -> Mapping[str, float] | None:
        v = space.to_unit(space.encode([point]))[0]
        if failing and v[0] <= lowest:
            return None
        return {
            metric.key: math.sin(3 * v[0] + k) + float(v @ np.cos(np.arange(len(v)) + k))
            for k, metric in enumerate(spec.metrics)
        }

    observations = tuple(observe(point, truth) for point in points[:count])
    return History(observations, tuple(points[count:]))

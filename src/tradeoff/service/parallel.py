"""Every configuration as a line over all parameters and metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tradeoff.service import points as service_points
from tradeoff.service.points import Points
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.parameters import Parameter
from tradeoff.spec.values import Value

Array = npt.NDArray[np.float64]

#: More lines than this are a sample, with the whole frontier in it.
MOST_LINES = 2_000


@dataclass(frozen=True, slots=True)
class Axis:
    """One column of numbers.

    Attributes:
        name: of a parameter, a conditional, or a metric.
        kind: which of the three.
        levels: the choices of a category, whose values are their indexes; empty for a number.
        log: it is searched on a log scale.
        sign: of a metric, 1 when larger is better, else -1; 0 for the others.
        values: a number per line; NaN where it is switched off or was not measured.
    """

    name: str
    kind: str
    levels: tuple[str, ...]
    log: bool
    sign: int
    values: Array


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines to draw, oldest first.

    Attributes:
        axes: conditionals, parameters, then metrics.
        ids: of the observations.
        states: what each is, as in `service.points`.
        total: how many observations there are; more than there are lines when this is a sample.
    """

    axes: tuple[Axis, ...]
    ids: npt.NDArray[np.int64]
    states: npt.NDArray[np.str_]
    total: int


def lines(points: Points, spec: ExperimentSpec, *, most: int = MOST_LINES) -> Lines:
    """The lines of an experiment whose observations, with assignments, are `points`.

    A sample is spread evenly over the history.
    """
    states = service_points.states(points)
    rows = sample(states, most)
    chosen = [points.assignments[row] for row in rows]
    axes = [
        *of_assignments(spec, chosen),
        *(
            Axis(metric.key, "metric", (), False, metric.sign, points.values[rows, index])
            for index, metric in enumerate(points.metrics)
        ),
    ]
    for index, axis in enumerate(axes[: len(spec.conditionals)]):
        axes[index] = Axis(axis.name, "conditional", axis.levels, False, 0, axis.values)
    return Lines(tuple(axes), points.ids[rows], states[rows], len(points.ids))


def only_metrics(lines: Lines) -> Lines:
    """The same lines over the metrics alone; a failure has none."""
    axes = tuple(axis for axis in lines.axes if axis.kind == "metric")
    measured = np.isfinite(np.array([axis.values for axis in axes])).any(axis=0)
    kept = tuple(replace(axis, values=axis.values[measured]) for axis in axes)
    return Lines(kept, lines.ids[measured], lines.states[measured], lines.total)


def sample(states: npt.NDArray[np.str_], most: int) -> npt.NDArray[np.intp]:
    """Indexes of at most `most` points: efficient ones first, the rest spread over the history."""
    if len(states) <= most:
        return np.arange(len(states))
    kept = _spread(np.flatnonzero(states == service_points.EFFICIENT), most)
    others = _spread(np.flatnonzero(states != service_points.EFFICIENT), most - len(kept))
    return np.sort(np.concatenate([kept, others]))


def of_assignments(spec: ExperimentSpec, chosen: Sequence[Mapping[str, Value]]) -> list[Axis]:
    """An axis for each conditional and each parameter of these assignments."""
    return [
        *(of_choices(each.name, each.values, chosen) for each in spec.conditionals),
        *(of_parameter(each, chosen) for each in spec.parameters),
    ]


def of_parameter(parameter: Parameter, chosen: Sequence[Mapping[str, Value]]) -> Axis:
    """One parameter of these assignments."""
    if parameter.categorical_values is not None:
        names = tuple(value.name for value in parameter.categorical_values)
        return of_choices(parameter.name, names, chosen)
    values = np.array([_number(each.get(parameter.name)) for each in chosen], dtype=float)
    return Axis(parameter.name, "parameter", (), parameter.transformation == "log", 0, values)


def of_choices(name: str, levels: Sequence[str], chosen: Sequence[Mapping[str, Value]]) -> Axis:
    """One category of these assignments; a choice that was removed since counts as off."""
    index_by_level: dict[Value | None, float] = {
        level: float(index) for index, level in enumerate(levels)
    }
    values = [index_by_level.get(each.get(name), math.nan) for each in chosen]
    return Axis(name, "parameter", tuple(levels), False, 0, np.array(values, dtype=float))


def _number(value: Value | None) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _spread(indexes: npt.NDArray[np.intp], most: int) -> npt.NDArray[np.intp]:
    if len(indexes) <= most:
        return indexes
    return np.asarray(indexes[np.linspace(0, len(indexes) - 1, max(most, 0)).astype(int)])

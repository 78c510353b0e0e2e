"""What the models predict: each value from all others, and everything along one parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tradeoff.engine import review
from tradeoff.engine.data import build_data
from tradeoff.engine.review import Prediction, Slice
from tradeoff.engine.space import Space
from tradeoff.engine.state import State
from tradeoff.errors import BadInput
from tradeoff.service import failures, parallel
from tradeoff.service.parallel import Axis
from tradeoff.service.points import Points
from tradeoff.spec.values import Value
from tradeoff.store import tables

#: What one model says along a parameter.
Curve: TypeAlias = Slice


@dataclass(frozen=True, slots=True)
class Slices:
    """Everything along one parameter.

    Attributes:
        axis: the parameter, with its value of each observation looked at.
        rows: which of the points these are; transient failures are not among them.
        values: where the models were asked along the parameter, in its own units.
        metrics: by metric what its model says there; those without a model are left out.
        success: the probability of success there; `None` while nothing failed.
    """

    axis: Axis
    rows: npt.NDArray[np.intp]
    values: tuple[Value, ...]
    metrics: dict[str, Curve]
    success: Curve | None


def left_out(
    experiment: tables.Experiment, points: Points
) -> dict[str, tuple[Prediction, tuple[int, ...]]]:
    """The predictions of each modelled metric, and which observations they are of.

    Args:
        experiment: whose.
        points: its observations, with assignments.

    Returns:
        By metric; empty while no model was fitted.
    """
    if experiment.engine_state is None:
        return {}
    state = State.from_json(experiment.engine_state)
    rows = np.flatnonzero(~points.transient)[-failures.NEWEST :]
    space = Space(experiment.spec)
    data = build_data(space, failures.history(points, rows))
    ids = points.ids[rows][~data.failed]
    found = {}
    for column, metric in enumerate(data.metrics):
        prediction = review.predict_left_out(space, data, state, column)
        if prediction is not None:
            found[metric.key] = (prediction, tuple(ids[prediction.rows].tolist()))
    return found


def along(
    experiment: tables.Experiment,
    points: Points,
    parameter: str,
    *,
    through: int | None = None,
) -> Slices:
    """What the models say along one parameter.

    Args:
        experiment: whose.
        points: its observations, with assignments.
        parameter: or conditional.
        through: the observation whose configuration says the other parameters; without one the
            mean over some that were tried.

    Raises:
        BadInput: when there is no such parameter, or no such observation.
    """
    space = Space(experiment.spec)
    names = [dimension.name for dimension in space.dimensions]
    rows = np.flatnonzero(~points.transient)[-failures.NEWEST :]
    axes = parallel.of_assignments(experiment.spec, [points.assignments[row] for row in rows])
    axis = next((each for each in axes if each.name == parameter), None)
    if axis is None:
        raise BadInput(f"parameter: there is no parameter {parameter[:100]!r}")
    row = None if through is None else _unit_row(space, points, through)
    index = names.index(parameter)
    data = build_data(space, failures.history(points, rows))
    kept = experiment.engine_state
    state = None if kept is None else State.from_json(kept)
    metrics: dict[str, Curve] = {}
    for column, metric in enumerate(data.metrics if state is not None else ()):
        assert state is not None
        found = review.slice_metric(space, data, state, column, along=index, through=row)
        if found is not None:
            metrics[metric.key] = found
    success = None
    if data.failed.any():
        warm = None if state is None else state.success
        success = review.slice_success(space, data, warm, along=index, through=row)
    shown = next(iter(metrics.values()), success)
    values = () if shown is None else failures.values_at(space.dimensions[index], shown.coordinates)
    return Slices(axis, rows, values, metrics, success)


def _unit_row(space: Space, points: Points, observation: int) -> npt.NDArray[np.float64]:
    found = np.flatnonzero(points.ids == observation)
    if not len(found):
        raise BadInput(f"through: there is no observation {observation} in this experiment")
    return space.to_unit(space.encode([points.assignments[int(found[0])]]))

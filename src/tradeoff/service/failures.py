"""Where configurations fail, in figures and in words, and how many failures were avoided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeoff.engine import review
from tradeoff.engine.data import Data, build_data
from tradeoff.engine.space import Dimension, Space, decode_value
from tradeoff.engine.state import State
from tradeoff.errors import BadInput
from tradeoff.service import parallel, rules
from tradeoff.service.parallel import Axis
from tradeoff.service.points import Points
from tradeoff.service.rules import Rule
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.history import History, Observation
from tradeoff.spec.values import Value
from tradeoff.store import points as store_points
from tradeoff.store import tables
from tradeoff.store.database import Session

Array = npt.NDArray[np.float64]

#: The newest observations, which the map and the rule look at.
NEWEST = 2_000


@dataclass(frozen=True, slots=True)
class Avoided:
    """Failures of the model's suggestions against those of the space-filling ones before.

    Attributes:
        design: space-filling suggestions that were tried.
        design_failed: of these, those that failed.
        model: the model's suggestions that were tried.
        model_failed: of these, those that failed.
    """

    design: int
    design_failed: int
    model: int
    model_failed: int

    @property
    def count(self) -> float | None:
        """Failures fewer than at the share before; `None` when one side was never tried."""
        if not self.design or not self.model:
            return None
        return self.design_failed / self.design * self.model - self.model_failed


@dataclass(frozen=True, slots=True)
class SuccessGrid:
    """The probability of success over two parameters.

    Attributes:
        x: the values to the right, in the parameter's own units; of a category its choices.
        y: the same upwards.
        probability: `len(y) x len(x)`.
    """

    x: tuple[Value, ...]
    y: tuple[Value, ...]
    probability: Array


@dataclass(frozen=True, slots=True)
class Failures:
    """Where an experiment fails.

    Attributes:
        parameters: names, those that split failures from successes best first.
        x: the observations along the parameter to the right.
        y: the same upwards.
        ids: of these observations.
        failed: which of them failed.
        grid: the model's map; `None` without a failure, or with a single parameter.
        rule: in plain words where it fails; `None` when no simple rule tells.
        avoided: what avoiding has brought.
        total: observations that tell something, looked at or not.
    """

    parameters: tuple[str, ...]
    x: Axis
    y: Axis | None
    ids: npt.NDArray[np.int64]
    failed: npt.NDArray[np.bool_]
    grid: SuccessGrid | None
    rule: Rule | None
    avoided: Avoided
    total: int


def find(
    session: Session,
    experiment: tables.Experiment,
    points: Points,
    *,
    x: str | None = None,
    y: str | None = None,
) -> Failures:
    """Where an experiment fails.

    Args:
        session: to ask with.
        experiment: whose.
        points: its observations, with assignments.
        x: the parameter to the right; by default one that tells failures from successes best.
        y: the same upwards.

    Raises:
        BadInput: when there is no such parameter.
    """
    spec = experiment.spec
    telling = np.flatnonzero(~points.transient)
    rows = telling[-NEWEST:]
    failed = points.failed[rows]
    chosen = [points.assignments[row] for row in rows]
    axes = parallel.of_assignments(spec, chosen)
    gains = [rules.split_gain(axis, failed) for axis in axes]
    ranked = [axes[index] for index in np.argsort([-gain for gain in gains], kind="stable")]
    first, second = _pair(ranked, x, y)
    grid = None
    if failed.any() and second is not None:
        state = (
            None if experiment.engine_state is None else State.from_json(experiment.engine_state)
        )
        grid = _grid(spec, _data(spec, points, rows), state, first.name, second.name)
    return Failures(
        parameters=tuple(axis.name for axis in ranked),
        x=first,
        y=second,
        ids=points.ids[rows],
        failed=failed,
        grid=grid,
        rule=rules.find(axes, failed),
        avoided=avoided(session, experiment),
        total=len(telling),
    )


def avoided(session: Session, experiment: tables.Experiment) -> Avoided:
    """What avoiding failures has brought an experiment."""
    counts = store_points.count_by_source(session, experiment.id)
    design, design_failed = counts.get("space_filling", (0, 0))
    model, model_failed = counts.get("model", (0, 0))
    return Avoided(design, design_failed, model, model_failed)


def _pair(ranked: Sequence[Axis], x: str | None, y: str | None) -> tuple[Axis, Axis | None]:
    by_name = {axis.name: axis for axis in ranked}
    for side, name in (("x", x), ("y", y)):
        if name is not None and name not in by_name:
            raise BadInput(f"{side}: there is no parameter {name!r}")
    if x is not None and x == y:
        raise BadInput("y: must be another parameter than x")
    taken = [by_name[name] for name in (x, y) if name is not None]
    others = [axis for axis in ranked if axis not in taken]
    if x is not None:
        first = by_name[x]
        second = by_name[y] if y is not None else (others[0] if others else None)
        return first, second
    if y is not None:
        return others[0], by_name[y]
    return others[0], others[1] if len(others) > 1 else None


def _data(spec: ExperimentSpec, points: Points, rows: npt.NDArray[np.intp]) -> Data:
    return build_data(Space(spec), history(points, rows))


def history(points: Points, rows: npt.NDArray[np.intp]) -> History:
    """What the engine knows of some of the points, which have assignments."""
    observations = []
    for row in rows.tolist():
        values = {
            metric.key: float(value)
            for metric, value in zip(points.metrics, points.values[row], strict=True)
            if np.isfinite(value)
        }
        stddevs = {
            metric.key: float(value)
            for metric, value in zip(points.metrics, points.stddevs[row], strict=True)
            if np.isfinite(value)
        }
        observations.append(
            Observation(points.assignments[row], values, stddevs, bool(points.failed[row]))
        )
    return History(tuple(observations))


def _grid(
    spec: ExperimentSpec, data: Data, state: State | None, x: str, y: str
) -> SuccessGrid | None:
    space = Space(spec)
    names = [dimension.name for dimension in space.dimensions]
    first, second = names.index(x), names.index(y)
    warm = None if state is None else state.success
    found = review.map_success(space, data, warm, first=first, second=second)
    return SuccessGrid(
        x=values_at(space.dimensions[first], found.first),
        y=values_at(space.dimensions[second], found.second),
        probability=found.probability,
    )


def values_at(dimension: Dimension, coordinates: Array) -> tuple[Value, ...]:
    """The values of a parameter at coordinates in [0, 1]."""
    return tuple(decode_value(dimension, float(v)) for v in coordinates)

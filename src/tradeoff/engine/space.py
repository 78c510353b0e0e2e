"""Between assignments and rows of `X` in the unit cube.

Each parameter and each conditional is one *dimension*. Three views of a point are used:

- *assignments*: what the user reads and writes, value by name;
- a row of `V`, the *unit row*: one coordinate in [0, 1] per dimension, which random sequences and
  perturbations work on;
- a row of `X`, what models see: one column for a number, one per choice for a category. A number
  with `L` levels sits at `(k + 1/2) / L`, so the model needs no rounding of its own. A chosen
  category has `1/sqrt(2)` in its column and zeros elsewhere, so two choices lie 1 apart.

A parameter that the conditionals switch off sits at 1/2 (a category at all zeros); the columns of
the conditional carry the difference.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.parameters import BetaPrior, Conditional, Parameter
from tradeoff.spec.tasks import COST, Task
from tradeoff.spec.values import Value

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: Where an inactive number sits.
INACTIVE = 0.5
#: The mark of a chosen category.
CHOSEN = math.sqrt(0.5)
#: Data from outside the bounds keeps its distance, up to one width of the range on either side.
FARTHEST = 1.0
#: Linear constraints may be missed by this much relative to 1 + |threshold|: half of what the spec
#: forgives, so that what passes here passes there.
SLACK = 0.5e-9
#: Two rows closer than this in every column are one point.
SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Dimension:
    """One parameter or conditional.

    Attributes:
        name: its name in assignments.
        kind: `real`, `level` (an int, or a number on a grid), or `choice`.
        start: index of its first column in `X`.
        width: number of columns.
        size: number of levels or choices; 0 for a real.
        low: lowest value, its logarithm on a log scale; of ints the lowest.
        high: highest value, likewise.
        values: the levels in order or the choices; `None` for a real and for an int in bounds.
        conditions: for each conditional (index of its dimension) the choices that switch it on.
        parameter: `None` for a conditional.
    """

    name: str
    kind: Literal["real", "level", "choice"]
    start: int
    width: int
    size: int
    low: float
    high: float
    values: tuple[Value, ...] | None
    conditions: tuple[tuple[int, tuple[int, ...]], ...]
    parameter: Parameter | None

    @property
    def columns(self) -> slice:
        """Its columns in `X`."""
        return slice(self.start, self.start + self.width)

    @property
    def is_log(self) -> bool:
        """Whether the logarithm is searched evenly."""
        return self.parameter is not None and self.parameter.transformation == "log"


class Space:
    """The search space of a spec.

    Attributes:
        spec: what was asked.
        dimensions: conditionals first, then parameters, each by the spec's order; last the cost
            of the task, where the spec has tasks.
        width: number of columns of `X`.
        weights: `c x p`; the linear constraints are `weights @ v >= offsets` on unit rows.
        offsets: `c`.
    """

    def __init__(self, spec: ExperimentSpec):
        self.spec = spec
        self.dimensions = _dimensions(spec)
        self.width = sum(dimension.width for dimension in self.dimensions)
        self.weights, self.offsets = _constraints(spec, self.dimensions)

    @property
    def size(self) -> float:
        """An upper bound of the number of distinct points; infinity with an active real.

        Exact without conditionals and constraints.
        """
        if any(dimension.kind == "real" for dimension in self.dimensions):
            return math.inf
        return math.prod(float(dimension.size) for dimension in self.dimensions)

    @property
    def first_columns(self) -> npt.NDArray[np.intp]:
        """For each dimension the index of its first column."""
        return np.array([dimension.start for dimension in self.dimensions], dtype=np.intp)

    @property
    def task(self) -> Dimension | None:
        """The dimension of the cost of the task, always the last; `None` without tasks."""
        return self.dimensions[-1] if self.dimensions[-1].name == COST else None

    @property
    def full_task(self) -> float:
        """Where the column of the cost has the full task; the space has tasks."""
        assert self.task is not None, "the space has tasks"
        return (self.task.size - 0.5) / self.task.size

    def mask_of(self, *kinds: str) -> Mask:
        """`p` booleans: which dimensions are of these kinds."""
        return np.array([dimension.kind in kinds for dimension in self.dimensions])

    # Assignments <-> X

    def encode(self, points: Sequence[Mapping[str, Value]]) -> Array:
        """Rows of `X` for assignments, which may lie outside the bounds or lack parameters.

        A parameter that is absent though active takes its default, or 1/2 without one; a category
        that is no longer known has zeros in all columns.

        Returns:
            `n x width`.
        """
        X = np.full((len(points), self.width), INACTIVE)
        for dimension in self.dimensions:
            values = [self._value(dimension, point) for point in points]
            X[:, dimension.columns] = _encode_values(dimension, values)
        return X

    def decode(self, X: Array) -> list[dict[str, Value]]:
        """Assignments of snapped rows; parameters that are switched off are absent."""
        V = self.to_unit(X)
        active = self.active(V)
        return [
            {
                dimension.name: decode_value(dimension, float(v))
                for dimension, v, is_on in zip(self.dimensions, row, on, strict=True)
                if is_on
            }
            for row, on in zip(V, active, strict=True)
        ]

    def _value(self, dimension: Dimension, point: Mapping[str, Value]) -> Value | None:
        for index, choices in dimension.conditions:
            parent = self.dimensions[index]
            if point.get(parent.name) not in [(parent.values or ())[k] for k in choices]:
                return None
        value = point.get(dimension.name)
        if value is None and dimension.parameter is not None:
            return dimension.parameter.default_value
        return value

    # X <-> V

    def from_unit(self, V: Array, *, priors: bool = False) -> Array:
        """Snapped rows of `X` for unit rows.

        Args:
            V: `n x p`, in [0, 1].
            priors: read each coordinate as a probability under the parameter's prior.

        Returns:
            `n x width`.
        """
        V = self._through_priors(V) if priors else V
        X = np.zeros((len(V), self.width))
        for index, dimension in enumerate(self.dimensions):
            v = np.clip(V[:, index], 0.0, 1.0)
            if dimension.kind == "choice":
                X[np.arange(len(V)), dimension.start + _level(v, dimension.size)] = CHOSEN
            elif dimension.kind == "level":
                X[:, dimension.start] = (_level(v, dimension.size) + 0.5) / dimension.size
            else:
                X[:, dimension.start] = v
        return self._switch_off(X, self.active(V))

    def to_unit(self, X: Array) -> Array:
        """Unit rows of rows of `X`: a choice is the middle of its share of [0, 1]."""
        V = np.empty((len(X), len(self.dimensions)))
        for index, dimension in enumerate(self.dimensions):
            if dimension.kind == "choice":
                chosen = X[:, dimension.columns].argmax(axis=1)
                V[:, index] = (chosen + 0.5) / dimension.size
            else:
                V[:, index] = X[:, dimension.start]
        return np.clip(V, 0.0, 1.0)

    def snap(self, X: Array) -> Array:
        """Rows of `X` moved to the nearest points that exist: levels, one choice, 1/2 when off."""
        return self.from_unit(self.to_unit(X))

    def active(self, V: Array) -> Mask:
        """`n x p`: which dimensions the chosen conditionals switch on."""
        on = np.ones(V.shape, dtype=bool)
        for index, dimension in enumerate(self.dimensions):
            for parent, choices in dimension.conditions:
                chosen = _level(V[:, parent], self.dimensions[parent].size)
                on[:, index] &= np.isin(chosen, choices)
        return on

    def _switch_off(self, X: Array, active: Mask) -> Array:
        for index, dimension in enumerate(self.dimensions):
            if dimension.conditions:
                X[~active[:, index], dimension.columns] = (
                    0.0 if dimension.kind == "choice" else INACTIVE
                )
        return X

    def _through_priors(self, V: Array) -> Array:
        V = V.copy()
        for index, dimension in enumerate(self.dimensions):
            if dimension.parameter is not None and dimension.parameter.prior is not None:
                V[:, index] = _prior_position(dimension, V[:, index])
            elif dimension.name == COST:
                V[:, index] = _task_position(dimension, V[:, index])
        return V

    # What is permitted

    def meets_constraints(self, X: Array) -> Mask:
        """`n` booleans: which snapped rows satisfy the linear constraints."""
        if not len(self.offsets):
            return np.ones(len(X), dtype=bool)
        met = (self.to_unit(X) @ self.weights.T >= self.offsets - SLACK).all(axis=1)
        return np.asarray(met)

    def accepts(self, assignments: Mapping[str, Value]) -> bool:
        """Whether the spec's own check of the linear constraints passes."""
        return all(
            constraint.is_met({t.name: float(assignments[t.name]) for t in constraint.terms})
            for constraint in self.spec.linear_constraints
        )

    def violation(self, V: Array) -> Array:
        """`n`: by how much the worst linear constraint is missed; 0 where all are met."""
        if not len(self.offsets):
            return np.zeros(len(V))
        gaps: Array = (self.offsets - V @ self.weights.T).max(axis=1)
        return np.maximum(gaps, 0.0)

    # Points of a finite space

    def points(self, limit: int) -> Array | None:
        """Every distinct point that meets the constraints, or `None` when they may exceed `limit`.

        Returns:
            `n x width`.
        """
        if self.size > limit:
            return None
        V = np.array(list(self._unit_points()))
        X = unique_rows(self.from_unit(V))
        return X[self.meets_constraints(X)]

    def _unit_points(self) -> Iterator[tuple[float, ...]]:
        levels = [
            [(k + 0.5) / dimension.size for k in range(dimension.size)]
            for dimension in self.dimensions
        ]
        return itertools.product(*levels)


def row_key(row: Array) -> bytes:
    """Equal for rows that are one point; a difference of `SAME` separates."""
    # Adding zero turns -0.0 into 0.0, whose bytes differ.
    return (np.round(row / SAME) + 0.0).tobytes()


def unique_rows(X: Array) -> Array:
    """`X` without repeated rows, the first of each kept, in order."""
    seen: set[bytes] = set()
    kept = []
    for index, row in enumerate(X):
        key = row_key(row)
        if key not in seen:
            seen.add(key)
            kept.append(index)
    return X[kept]


def _level(v: Array, size: int) -> npt.NDArray[np.int64]:
    """Index of the cell that each coordinate lies in."""
    return np.clip(np.floor(v * size), 0, size - 1).astype(np.int64)


def _dimensions(spec: ExperimentSpec) -> tuple[Dimension, ...]:
    dimensions: list[Dimension] = []
    index_by_name: dict[str, int] = {}
    start = 0
    items: list[Conditional | Parameter] = [*spec.conditionals, *spec.parameters]
    for item in items:
        if isinstance(item, Conditional):
            dimension = _choice(item.name, item.values, start, (), None)
        else:
            dimension = _parameter_dimension(item, start, _conditions(item, index_by_name, spec))
        index_by_name[item.name] = len(dimensions)
        dimensions.append(dimension)
        start += dimension.width
    if spec.tasks is not None:
        dimensions.append(_task_dimension(spec.tasks, start))
    return tuple(dimensions)


def _conditions(
    parameter: Parameter, index_by_name: Mapping[str, int], spec: ExperimentSpec
) -> tuple[tuple[int, tuple[int, ...]], ...]:
    values_by_name = {conditional.name: conditional.values for conditional in spec.conditionals}
    return tuple(
        (index_by_name[name], tuple(values_by_name[name].index(value) for value in wanted))
        for name, wanted in parameter.conditions.items()
    )


def _choice(
    name: str,
    values: tuple[Value, ...],
    start: int,
    conditions: tuple[tuple[int, tuple[int, ...]], ...],
    parameter: Parameter | None,
) -> Dimension:
    size = len(values)
    return Dimension(name, "choice", start, size, size, 0, size - 1, values, conditions, parameter)


def _parameter_dimension(
    parameter: Parameter, start: int, conditions: tuple[tuple[int, tuple[int, ...]], ...]
) -> Dimension:
    name = parameter.name
    if parameter.categorical_values is not None:
        names = tuple(value.name for value in parameter.categorical_values)
        return _choice(name, names, start, conditions, parameter)
    if parameter.grid is not None:
        levels = parameter.levels or ()
        low, high = float(parameter.grid[0]), float(parameter.grid[-1])
        return Dimension(
            name, "level", start, 1, len(levels), low, high, levels, conditions, parameter
        )
    assert parameter.bounds is not None, "a numeric parameter has bounds or a grid"
    low, high = parameter.bounds.min, parameter.bounds.max
    if parameter.type == "int":
        size = int(high) - int(low) + 1
        return Dimension(name, "level", start, 1, size, low, high, None, conditions, parameter)
    if parameter.transformation == "log":
        # As values are read: math.log may differ in the last digit, and an end would not be one.
        low, high = np.log([low, high]).tolist()
    return Dimension(name, "real", start, 1, 0, low, high, None, conditions, parameter)


def _task_dimension(tasks: Sequence[Task], start: int) -> Dimension:
    costs = tuple(sorted(task.cost for task in tasks))
    return Dimension(COST, "level", start, 1, len(costs), costs[0], costs[-1], costs, (), None)


def _task_position(dimension: Dimension, probability: Array) -> Array:
    """Unit coordinates of tasks that are drawn the more often the cheaper they are.

    By the inverse root of the cost: between as many of each, and as much spent on each.
    """
    weights = np.array([1 / math.sqrt(float(cost)) for cost in dimension.values or ()])
    level = np.searchsorted(np.cumsum(weights) / weights.sum(), probability, side="right")
    return np.asarray((np.minimum(level, dimension.size - 1) + 0.5) / dimension.size)


def _encode_values(dimension: Dimension, values: Sequence[Value | None]) -> Array:
    """`n x width`: the columns of one dimension."""
    if dimension.kind == "choice":
        marks = np.zeros((len(values), dimension.width))
        choices = list(dimension.values or ())
        for row, value in enumerate(values):
            if value is not None and value in choices:
                marks[row, choices.index(value)] = CHOSEN
        return marks
    column = np.full((len(values), 1), INACTIVE)
    given = [row for row, value in enumerate(values) if value is not None]
    numbers = np.array([values[row] for row in given], dtype=float)
    column[given, 0] = np.clip(_positions(dimension, numbers), -FARTHEST, 1 + FARTHEST)
    return column


def _positions(dimension: Dimension, numbers: Array) -> Array:
    """Coordinates of numbers; beyond [0, 1] where one lies outside the bounds."""
    if dimension.kind == "real":
        scaled = np.log(np.maximum(numbers, 1e-308)) if dimension.is_log else numbers
        return np.asarray((scaled - dimension.low) / (dimension.high - dimension.low))
    if dimension.values is not None:
        # A level that was removed from the grid since lies between its neighbours.
        k = np.interp(numbers, np.array(dimension.values, dtype=float), range(dimension.size))
    else:
        k = numbers - dimension.low
    return np.asarray((k + 0.5) / dimension.size)


def decode_value(dimension: Dimension, v: float) -> Value:
    """The value of one dimension at a coordinate of the unit row."""
    if dimension.kind != "real":
        k = int(_level(np.array([v]), dimension.size)[0])
        return dimension.values[k] if dimension.values is not None else int(dimension.low) + k
    assert dimension.parameter is not None, "a conditional is never real"
    assert dimension.parameter.bounds is not None, "a real has bounds"
    bounds = dimension.parameter.bounds
    # The ends as the user wrote them: logarithm and back would be beside them by a last digit.
    if v in (0.0, 1.0):
        return bounds.max if v else bounds.min
    value = dimension.low + v * (dimension.high - dimension.low)
    return min(max(math.exp(value) if dimension.is_log else value, bounds.min), bounds.max)


def _prior_position(dimension: Dimension, probability: Array) -> Array:
    """Quantiles of a prior, truncated to the bounds, as coordinates."""
    assert dimension.parameter is not None, "only a parameter has a prior"
    prior = dimension.parameter.prior
    if isinstance(prior, BetaPrior):
        return np.asarray(special.betaincinv(prior.shape_a, prior.shape_b, probability))
    assert prior is not None, "asked for dimensions with a prior only"
    low, high = special.ndtr((np.array([dimension.low, dimension.high]) - prior.mean) / prior.scale)
    values = prior.mean + prior.scale * special.ndtri(low + probability * (high - low))
    position = (values - dimension.low) / (dimension.high - dimension.low)
    return np.asarray(np.clip(position, 0.0, 1.0))


def _constraints(spec: ExperimentSpec, dimensions: Sequence[Dimension]) -> tuple[Array, Array]:
    """The linear constraints as `weights @ v >= offsets` on unit rows.

    A number is affine in its coordinate: `low + v (high - low)` for a real, and for an int of `L`
    levels `low - 1/2 + v L`, which is exact at the levels.
    """
    index_by_name = {dimension.name: index for index, dimension in enumerate(dimensions)}
    weights = np.zeros((len(spec.linear_constraints), len(dimensions)))
    offsets = np.zeros(len(spec.linear_constraints))
    for row, constraint in enumerate(spec.linear_constraints):
        sign = 1.0 if constraint.type == "greater_than" else -1.0
        offset = constraint.threshold
        for term in constraint.terms:
            dimension = dimensions[index_by_name[term.name]]
            is_level = dimension.kind == "level"
            span = float(dimension.size) if is_level else dimension.high - dimension.low
            base = dimension.low - 0.5 if is_level else dimension.low
            weights[row, index_by_name[term.name]] = sign * term.weight * span
            offset -= term.weight * base
        # In units of the spec's tolerance, so that one slack serves all constraints.
        scale = 1 + abs(constraint.threshold)
        weights[row] /= scale
        offsets[row] = sign * offset / scale
    return weights, offsets

"""From the history to arrays: signs turned so that larger is better, values standardised.

The bad tail of a metric is pulled in softly before standardising, so that one wreck does not
flatten the differences among good results; the good tail stays as it is. (Rank and copula
transforms were measured worse: they move the hypervolume to a warped space.) Of a constraint only
the side matters, so both of its tails are pulled in, towards its limit: what is close to the limit
must be told apart also where values spread over many magnitudes.

References:
    [Eriksson2021] D. Eriksson, M. Poloczek. Scalable constrained Bayesian optimization. AISTATS,
        2021 (a logarithm on both sides of the limit).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tradeoff.engine import pareto
from tradeoff.engine.space import Space, unique_rows
from tradeoff.spec.history import History, Observation
from tradeoff.spec.metrics import Metric

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: Beyond this many rows a model keeps the telling ones.
MAX_ROWS = 2_000
NEWEST_KEPT = 300
#: More pending points than this add cost and no information.
MAX_PENDING = 256
#: Winsorising: floor in robust standard deviations and in quartile ranges, softness of the bend.
FLOOR_DEVIATIONS, FLOOR_RANGES, SOFTNESS = 2.0, 1.5, 0.3
#: A limit farther from the values than so many of their ranges is taken to be that far.
FARTHEST_LIMIT = 10.0
#: A spread smaller than this, relative to the largest magnitude, is a constant metric.
CONSTANT = 1e-12
#: Thresholds farther away than this many standard deviations say no more than these.
LOOSEST, STRICTEST_BEYOND_BEST = -10.0, 5.0
#: Known noise beyond this many standard deviations makes a value worthless anyway.
MAX_NOISE = 1e6


class Warp(Protocol):
    """A monotone change of values in units of `Scale.unit`, of which larger is better."""

    def bend(self, turned: Array) -> Array:
        """The changed values."""

    def straighten(self, bent: Array) -> Array:
        """The inverse of `bend`; always finite."""

    def slope(self, turned: Array) -> Array:
        """The derivative of `bend`."""


@dataclass(frozen=True, slots=True)
class Tail:
    """Winsorising, softly: below a floor values go on as a logarithm.

    Attributes:
        floor: where the bad tail begins; minus infinity without winsorising.
        softness: width of the bend.
    """

    floor: float
    softness: float

    @classmethod
    def of(cls, turned: Array) -> Tail:
        """The tail of a metric; none when half of the values are equal."""
        q1, q2, q3 = np.quantile(turned, [0.25, 0.5, 0.75])
        if q3 - q1 <= CONSTANT:
            return cls(-math.inf, 1.0)
        robust = (q3 - q1) / 1.349
        floor = min(q1 - FLOOR_RANGES * (q3 - q1), q2 - FLOOR_DEVIATIONS * robust)
        return cls(float(floor), float(SOFTNESS * robust))

    def bend(self, turned: Array) -> Array:
        """As `Warp.bend`."""
        depth = self._depth(turned)
        return np.where(depth > 0, self.floor - self.softness * np.log1p(depth), turned)

    def straighten(self, bent: Array) -> Array:
        """As `Warp.straighten`."""
        # Far down the tail the inverse is exponential: stop where it would overflow.
        depth = np.minimum(self._depth(bent), 500.0)
        return np.where(depth > 0, self.floor - self.softness * np.expm1(depth), bent)

    def slope(self, turned: Array) -> Array:
        """As `Warp.slope`."""
        return np.asarray(1 / (1 + self._depth(turned)))

    def _depth(self, values: Array) -> Array:
        return np.maximum(self.floor - values, 0.0) / self.softness


@dataclass(frozen=True, slots=True)
class Limit:
    """Straight next to the limit of a constraint, a logarithm on both sides of it [Eriksson2021].

    Attributes:
        at: the limit, or how far towards it values are looked at.
        width: where the logarithm takes over: the median distance from the limit.
    """

    at: float
    width: float

    @classmethod
    def of(cls, turned: Array, limit: float) -> Limit:
        """The warp of a constraint that is met at `limit` and above."""
        low, high = float(turned.min()), float(turned.max())
        reach = FARTHEST_LIMIT * (high - low)
        at = min(max(limit, low - reach), high + reach)
        distances = np.abs(turned - at)
        apart = distances[distances > 0]
        return cls(at, max(float(np.median(apart)), CONSTANT) if len(apart) else 1.0)

    def bend(self, turned: Array) -> Array:
        """As `Warp.bend`."""
        return np.asarray(np.arcsinh((turned - self.at) / self.width))

    def straighten(self, bent: Array) -> Array:
        """As `Warp.straighten`."""
        return np.asarray(self.at + self.width * np.sinh(np.clip(bent, -500.0, 500.0)))

    def slope(self, turned: Array) -> Array:
        """As `Warp.slope`."""
        return np.asarray(1 / np.hypot(1, (turned - self.at) / self.width) / self.width)


@dataclass(frozen=True, slots=True)
class Scale:
    """How one metric is turned, bent and standardised.

    Attributes:
        sign: 1, or -1 for a minimised metric.
        unit: largest magnitude among the values, so that squares stay finite.
        warp: how values in units of `unit` are bent.
        mean: of the bent values.
        deviation: of the bent values; 1 for a constant metric.
    """

    sign: int
    unit: float
    warp: Warp
    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Array, sign: int, *, limit: float | None = None) -> Scale:
        """The scale of finite values in original units, at least one.

        Args:
            values: `n`.
            sign: 1, or -1 for a minimised metric.
            limit: of a constraint, in original units.
        """
        unit = float(np.abs(values).max()) or 1.0
        turned = _turn(values, sign, unit)
        warp = (
            Tail.of(turned) if limit is None else Limit.of(turned, float(_turn(limit, sign, unit)))
        )
        bent = warp.bend(turned)
        mean, deviation = float(bent.mean()), float(bent.std())
        if deviation <= CONSTANT * (1 + abs(mean)):
            deviation = 1.0
        return cls(sign, unit, warp, mean, deviation)

    def standardise(self, values: Array) -> Array:
        """Original units to standardised ones, larger is better."""
        return (self.warp.bend(_turn(values, self.sign, self.unit)) - self.mean) / self.deviation

    def restore(self, values: Array) -> Array:
        """Standardised values to original units; always finite."""
        turned = self.warp.straighten(values * self.deviation + self.mean)
        with np.errstate(over="ignore"):
            limit = np.finfo(float).max
            return np.clip(self.sign * turned * self.unit, -limit, limit)

    def variance(self, values: Array, stddevs: Array) -> Array:
        """Known noise variance in standardised units, to first order.

        Args:
            values: `n`, in original units.
            stddevs: `n`, in original units.
        """
        slope = self.warp.slope(_turn(values, self.sign, self.unit))
        with np.errstate(over="ignore"):
            relative = np.minimum(stddevs / self.unit * slope / self.deviation, MAX_NOISE)
        return np.asarray(relative**2)


@dataclass(frozen=True, slots=True)
class Data:
    """What the models see. Metrics: the optimised ones first, then the constraints.

    Attributes:
        X: `n x width`, every observation, failed or not, oldest first.
        failed: `n`, which failed or had a value that is no number.
        Y: `k x (m + c)`, standardised values of the successes, larger is better.
        Yvar: `k x (m + c)`, their known noise variance; 0 where none is known.
        X_pending: `p x width`.
        metrics: `m + c` metrics.
        scales: one per metric.
        thresholds: `m`, standardised; NaN without threshold.
        limits: `c`, standardised: a constraint is met at or above.
        seen: `n + p`, distinct points that must not be suggested again.
    """

    X: Array
    failed: Mask
    Y: Array
    Yvar: Array
    X_pending: Array
    metrics: tuple[Metric, ...]
    scales: tuple[Scale, ...]
    thresholds: Array
    limits: Array
    seen: Array

    @property
    def successes(self) -> Array:
        """`k x width`, the rows that `Y` belongs to."""
        return self.X[~self.failed]

    @property
    def failed_in_a_row(self) -> int:
        """How many observations have failed since the last success."""
        succeeded = np.flatnonzero(~self.failed)
        return len(self.failed) - (int(succeeded[-1]) + 1 if len(succeeded) else 0)

    @property
    def efficient(self) -> Array:
        """Rows of the successes that meet the limits and that no other such one dominates."""
        m = self.objectives
        met = (self.Y[:, m:] >= self.limits).all(axis=1)
        front: Array = self.successes[met][pareto.non_dominated(self.Y[met, :m])]
        return front

    @property
    def advances(self) -> Mask:
        """Which of the successes were ahead of those before them.

        That is efficient among those so far; until one meets the limits, nearer to them than any.
        """
        m = self.objectives
        missed_by = np.minimum(self.Y[:, m:] - self.limits, 0.0).sum(axis=1)
        # What misses a limit is behind all that meets them, and then the nearer one is ahead.
        values = np.where(missed_by[:, None] < 0, -np.inf, self.Y[:, :m])
        standing = np.column_stack([values, missed_by])
        return np.array(
            [not (standing[:row] >= own).all(axis=1).any() for row, own in enumerate(standing)],
            dtype=bool,
        )

    @property
    def objectives(self) -> int:
        """The number of optimised metrics, `m`."""
        return len(self.thresholds)


def build_data(space: Space, history: History) -> Data:
    """Read a history; one observation more or less never makes it fail.

    Returns:
        The arrays; `Y` is empty when nothing succeeded.
    """
    metrics = (*space.spec.optimized_metrics, *space.spec.constraint_metrics)
    failed = np.array([is_failed(o, metrics) for o in history.observations], dtype=bool)
    X = space.encode([o.assignments for o in history.observations])
    pending = space.encode(history.pending)
    succeeded = [o for o, bad in zip(history.observations, failed, strict=True) if not bad]
    scales, Y, Yvar = _standardised(succeeded, metrics)
    m = len(space.spec.optimized_metrics)
    return Data(
        X=X,
        failed=failed,
        Y=Y,
        Yvar=Yvar,
        X_pending=unique_rows(pending)[-MAX_PENDING:],
        metrics=metrics,
        scales=scales,
        thresholds=_bounds(metrics[:m], scales[:m], Y[:, :m]),
        limits=_bounds(metrics[m:], scales[m:], Y[:, m:]),
        seen=np.concatenate([X, pending]),
    )


def is_failed(observation: Observation, metrics: Sequence[Metric]) -> bool:
    """Whether an observation teaches no values: it failed, or a value is missing or no number."""
    values = [observation.values.get(metric.key, math.nan) for metric in metrics]
    return observation.failed or not all(math.isfinite(value) for value in values)


def thin(X: Array, Y: Array, *, limit: int = MAX_ROWS) -> npt.NDArray[np.intp]:
    """Indices of at most `limit` rows that tell the most: the front, the newest, and a cover.

    Args:
        X: `n x width`, oldest first.
        Y: `n x m`, larger is better.
        limit: how many to keep.

    Returns:
        Sorted indices.
    """
    if len(X) <= limit:
        return np.arange(len(X))
    chosen = np.zeros(len(X), dtype=bool)
    chosen[-min(NEWEST_KEPT, limit // 2) :] = True
    chosen[np.flatnonzero(pareto.non_dominated(Y))[: limit // 4]] = True
    distance = np.full(len(X), np.inf)
    for row in X[chosen]:
        np.minimum(distance, ((X - row) ** 2).sum(axis=1), out=distance)
    for _ in range(limit - int(chosen.sum())):
        distance[chosen] = -1.0
        farthest = int(distance.argmax())
        chosen[farthest] = True
        np.minimum(distance, ((X - X[farthest]) ** 2).sum(axis=1), out=distance)
    return np.flatnonzero(chosen)


def _turn(values: npt.ArrayLike, sign: int, unit: float) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(sign * np.divide(values, unit))


def _standardised(
    observations: Sequence[Observation], metrics: Sequence[Metric]
) -> tuple[tuple[Scale, ...], Array, Array]:
    scales = []
    Y = np.empty((len(observations), len(metrics)))
    Yvar = np.zeros_like(Y)
    for column, metric in enumerate(metrics):
        values = np.array([o.values[metric.key] for o in observations])
        stddevs = np.array([o.stddevs.get(metric.key) or 0.0 for o in observations])
        limit = metric.threshold if metric.strategy == "constraint" else None
        scale = Scale.of(values if len(values) else np.zeros(1), metric.sign, limit=limit)
        scales.append(scale)
        Y[:, column] = scale.standardise(values)
        Yvar[:, column] = scale.variance(values, np.nan_to_num(stddevs))
    return tuple(scales), Y, Yvar


def _bounds(metrics: Sequence[Metric], scales: Sequence[Scale], Y: Array) -> Array:
    """Thresholds in standardised units, kept within the reach of the model; NaN where none."""
    bounds = np.full(len(metrics), np.nan)
    for column, (metric, scale) in enumerate(zip(metrics, scales, strict=True)):
        if metric.threshold is not None:
            best = Y[:, column].max(initial=0.0)
            value = float(scale.standardise(np.array([metric.threshold]))[0])
            bounds[column] = np.clip(value, LOOSEST, best + STRICTEST_BEYOND_BEST)
    return bounds

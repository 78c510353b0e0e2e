"""What the fitted models say, for people to look at: where it fails, and how good the models are.

The hyperparameters that the engine keeps in its state are all that this needs: with them given, a
Gaussian process is linear algebra, and numpy is enough. So a web process, which has no torch, draws
the same model that chooses the suggestions (tests/engine/test_review.py holds them together). It
takes at most `MAX_ROWS` observations, and then a tenth of a second.

References:
    [Friedman2001] J. H. Friedman. Greedy function approximation: a gradient boosting machine.
        Annals of Statistics, 2001 (section 8.2: partial dependence).
    [Rasmussen2006] C. E. Rasmussen, C. K. I. Williams. Gaussian processes for machine learning.
        MIT Press, 2006 (algorithm 3.1; equations 5.10 to 5.12).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, special

from tradeoff.engine.data import Data, thin
from tradeoff.engine.layout import Layout, default_lengths
from tradeoff.engine.space import Space
from tradeoff.engine.state import State, WarmStart

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: More observations than this are thinned out.
MAX_ROWS = 500
#: Points along a continuous axis of the map.
RESOLUTION = 21
#: Observed configurations over which the map averages the parameters that it does not show.
BACKGROUNDS = 8
#: Points along a continuous axis of a slice.
STEPS = 41
#: As in `engine.feasibility`.
NEWTON_STEPS, CONVERGED, LEAST_AMPLITUDE = 20, 1e-4, 1.5
#: Half-width of a 95 % interval, in standard deviations.
TWO_SIDED = 1.959963984540054


@dataclass(frozen=True, slots=True)
class SuccessMap:
    """Probability of success over two dimensions.

    Attributes:
        first: coordinates along the first dimension, in [0, 1].
        second: the same along the second.
        probability: `len(second) x len(first)`, averaged over the other dimensions as they were
            tried [Friedman2001].
    """

    first: Array
    second: Array
    probability: Array


@dataclass(frozen=True, slots=True)
class Prediction:
    """The values of one metric, each predicted from all others [Rasmussen2006].

    Attributes:
        rows: `k`, which successes they are.
        observed: `k`, in the metric's own units.
        mean: `k`, predicted.
        low: `k`, lower end of the 95 % interval.
        high: `k`, its upper end.
        explained: share of the variance that the predictions explain, at most 1; below 0 the
            average would have been a better prediction.
        coverage: share of the observations inside their interval; 0.95 is right.
    """

    rows: npt.NDArray[np.intp]
    observed: Array
    mean: Array
    low: Array
    high: Array
    explained: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Slice:
    """What a model says along one dimension, averaged over `through` [Friedman2001].

    Attributes:
        coordinates: `r`, along the dimension, in [0, 1].
        mean: `r`, in the metric's own units; of success, its probability.
        low: `r`, lower end of the 95 % interval of that mean; of success, the mean.
        high: `r`, its upper end.
    """

    coordinates: Array
    mean: Array
    low: Array
    high: Array


def map_success(
    space: Space, data: Data, warm: WarmStart | None, *, first: int, second: int
) -> SuccessMap:
    """The probability of success over a pair of dimensions.

    Args:
        space: the search space.
        data: what was seen, with at least one failure.
        warm: the fitted classifier that sees the parameters alone; without one, lengthscales that
            suit most spaces.
        first: index of the dimension to the right.
        second: index of the dimension upwards.
    """
    latent = _latent(space, data, warm)
    across, along = _coordinates(space, first), _coordinates(space, second)
    backgrounds = _backgrounds(space, data.X, first, second)
    total = np.zeros(len(across) * len(along))
    grid = np.stack(np.meshgrid(across, along), axis=-1).reshape(-1, 2)
    for row in backgrounds:
        V = np.tile(row, (len(grid), 1))
        V[:, [first, second]] = grid
        total += special.expit(latent(V))
    probability = (total / len(backgrounds)).reshape(len(along), len(across))
    return SuccessMap(across, along, probability)


def predict_left_out(space: Space, data: Data, state: State, column: int) -> Prediction | None:
    """Each observed value of a metric, predicted from the others.

    Args:
        space: the search space.
        data: what was seen.
        state: what the engine remembers.
        column: index among `data.metrics`.

    Returns:
        `None` when no model of this metric was fitted, or fewer than three values are known.
    """
    layout, metric, scale = Layout.of(space), data.metrics[column], data.scales[column]
    warm = state.metrics.get(metric.key)
    if warm is None or len(warm.theta) != layout.size + 1 or len(data.Y) < 3:
        return None
    kept = thin(data.successes, data.Y, limit=MAX_ROWS)
    scaled = data.successes[kept] / np.exp(np.array(warm.theta)[layout.groups])
    y = data.Y[kept, column]
    K = _matern(scaled, scaled)
    K[np.diag_indices_from(K)] += np.exp(warm.theta[-1]) + data.Yvar[kept, column]
    inverse = np.asarray(linalg.inv(K))
    ones = inverse.sum(axis=0)
    constant = (ones @ y) / (ones.sum() + 1.0)
    precision = np.diag(inverse)
    errors = (inverse @ (y - constant)) / precision
    width = TWO_SIDED / np.sqrt(precision)
    ends = [scale.restore(y - errors + shift) for shift in (-width, 0 * width, width)]
    spread = float(((y - y.mean()) ** 2).sum())
    return Prediction(
        rows=kept,
        observed=scale.restore(y),
        mean=ends[1],
        low=np.minimum(ends[0], ends[2]),
        high=np.maximum(ends[0], ends[2]),
        # Of a constant metric there is nothing to explain.
        explained=1.0 - float((errors**2).sum()) / spread if spread > 0 else 1.0,
        coverage=float((np.abs(errors) <= width).mean()),
    )


def slice_metric(
    space: Space,
    data: Data,
    state: State,
    column: int,
    *,
    along: int,
    through: Array | None = None,
) -> Slice | None:
    """What the model of a metric says along one dimension.

    Args:
        space: the search space.
        data: what was seen.
        state: what the engine remembers.
        column: index among `data.metrics`.
        along: index of the dimension.
        through: `b x p` unit rows that say the other dimensions; without them the mean over some
            that were tried.

    Returns:
        `None` when no model of this metric was fitted.
    """
    layout, metric = Layout.of(space), data.metrics[column]
    warm = state.metrics.get(metric.key)
    if warm is None or len(warm.theta) != layout.size + 1 or not len(data.Y):
        return None
    kept = thin(data.successes, data.Y, limit=MAX_ROWS)
    lengths = np.exp(np.array(warm.theta)[layout.groups])
    scaled = data.successes[kept] / lengths
    y = data.Y[kept, column]
    K = _matern(scaled, scaled)
    K[np.diag_indices_from(K)] += np.exp(warm.theta[-1]) + data.Yvar[kept, column]
    factor = linalg.cho_factor(K, lower=True)
    ones = linalg.cho_solve(factor, np.ones(len(y)))
    constant = (ones @ y) / (ones.sum() + 1.0)
    weights = linalg.cho_solve(factor, y - constant)
    V = _backgrounds(space, data.successes[kept], along) if through is None else through
    coordinates = _coordinates(space, along, STEPS)
    mean, variance = np.empty(len(coordinates)), np.empty(len(coordinates))
    for step, coordinate in enumerate(coordinates):
        here = V.copy()
        here[:, along] = coordinate
        Z = space.from_unit(here) / lengths
        # The average of what is normal is normal: its covariances are averaged as well.
        k = _matern(Z, scaled).mean(axis=0)
        mean[step] = constant + k @ weights
        variance[step] = _matern(Z, Z).mean() - k @ linalg.cho_solve(factor, k)
    width = TWO_SIDED * np.sqrt(np.maximum(variance, 1e-10))
    scale = data.scales[column]
    ends = [scale.restore(mean + shift) for shift in (-width, 0 * width, width)]
    return Slice(coordinates, ends[1], np.minimum(ends[0], ends[2]), np.maximum(ends[0], ends[2]))


def slice_success(
    space: Space,
    data: Data,
    warm: WarmStart | None,
    *,
    along: int,
    through: Array | None = None,
) -> Slice:
    """The probability of success along one dimension; see `slice_metric` and `map_success`."""
    latent = _latent(space, data, warm)
    V = _backgrounds(space, data.X, along) if through is None else through
    coordinates = _coordinates(space, along, STEPS)
    mean = np.empty(len(coordinates))
    for step, coordinate in enumerate(coordinates):
        here = V.copy()
        here[:, along] = coordinate
        mean[step] = special.expit(latent(here)).mean()
    return Slice(coordinates, mean, mean, mean)


def _latent(space: Space, data: Data, warm: WarmStart | None) -> Callable[[Array], Array]:
    """The latent function of success at unit rows."""
    kept = thin(data.X, np.zeros((len(data.X), 1)), limit=MAX_ROWS)
    X, failed = data.X[kept], data.failed[kept]
    lengths, amplitude = _lengths(space, warm)
    weights, base = _mode(_matern(X / lengths, X / lengths), failed, amplitude)

    def latent(V: Array) -> Array:
        k = _matern(space.from_unit(V) / lengths, X / lengths)
        return np.asarray(amplitude**2 * (k @ weights) + base)

    return latent


def _lengths(space: Space, warm: WarmStart | None) -> tuple[Array, float]:
    """`D` lengthscales, and the amplitude of the latent function."""
    layout = Layout.of(space)
    if warm is None or len(warm.theta) != layout.size + 1:
        return default_lengths(layout)[layout.groups], LEAST_AMPLITUDE
    return np.exp(np.array(warm.theta)[layout.groups]), warm.amplitude


def _matern(A: Array, B: Array) -> Array:
    """Matérn-5/2 correlations of rows."""
    squares = (A * A).sum(axis=1)[:, None] + (B * B).sum(axis=1)[None]
    squared = np.maximum(squares - 2 * A @ B.T, 1e-20)
    r = np.sqrt(5.0 * squared)
    return np.asarray((1 + r + (5.0 / 3.0) * squared) * np.exp(-r))


def _mode(correlation: Array, failed: Mask, amplitude: float) -> tuple[Array, float]:
    """Weights and base of the most probable latent function, by Newton's method."""
    K = amplitude**2 * correlation
    K[np.diag_indices_from(K)] += 1e-6
    targets = (~failed).astype(float)
    share = (targets.sum() + 1) / (len(targets) + 2)
    base = float(np.log(share / (1 - share)))
    latent = np.full_like(targets, base)
    weights = np.zeros_like(targets)
    for _ in range(NEWTON_STEPS):
        p = special.expit(latent)
        curvature = np.maximum(p * (1 - p), 1e-9)
        root = np.sqrt(curvature)
        B = root[:, None] * K * root[None]
        B[np.diag_indices_from(B)] += 1.0
        b = curvature * (latent - base) + (targets - p)
        solved = root * linalg.cho_solve(linalg.cho_factor(B, lower=True), root * (K @ b))
        weights = b - solved
        new = K @ weights + base
        step, latent = float(np.abs(new - latent).max()), new
        if step < CONVERGED:
            break
    return weights, base


def _coordinates(space: Space, index: int, steps: int = RESOLUTION) -> Array:
    """Where a dimension is looked at: at every choice, and at every level if they are few."""
    dimension = space.dimensions[index]
    size = dimension.size
    if dimension.kind == "real" or size > steps:
        return np.linspace(0.0, 1.0, steps)
    return (np.arange(size) + 0.5) / size


def _backgrounds(space: Space, X: Array, *shown: int) -> Array:
    """Unit rows of observations, spread over the history, where all of `shown` is switched on."""
    V = space.to_unit(X)
    on = np.flatnonzero(space.active(V)[:, list(shown)].all(axis=1))
    rows = on if len(on) else np.arange(len(V))
    count = min(BACKGROUNDS, len(rows))
    return np.asarray(V[rows[np.linspace(0, len(rows) - 1, count).astype(int)]])

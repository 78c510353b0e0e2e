"""How the search went: the best so far, and the hypervolume after each observation.

The whole history is measured against one reference point, the one of today, so that the curve only
rises. (A reference that moves with the frontier would make an honest search look like it falls.)
With up to two optimized metrics the hypervolume is exact; with three while few observations moved
the frontier; beyond, it is estimated from points that fill the space between the reference and the
best values, the same for the whole history.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from tradeoff.engine import pareto
from tradeoff.service import points as service_points
from tradeoff.service.points import Points
from tradeoff.spec.experiment import ExperimentSpec

Array = npt.NDArray[np.float64]

#: An exact volume of three metrics is computed at most so often for one history.
MOST_EXACT = 200
#: Points that estimate a volume, as a power of two: the error is about 0.2 % of the box.
SAMPLES_LOG2 = 14
#: How many rows of samples and observations are compared at once.
BATCH = 256


@dataclass(frozen=True, slots=True)
class Convergence:
    """The course of an experiment.

    Attributes:
        points: what was measured.
        feasible: `n`, which meet every threshold.
        best: `n x m`, the best feasible value of each optimized metric so far; NaN before.
        hypervolume: `n`, after each observation; empty with less than two optimized metrics.
        reference: what it is measured from, by metric; empty while nothing feasible was measured.
        exact: whether the hypervolume is, or is estimated.
    """

    points: Points
    feasible: npt.NDArray[np.bool_]
    best: Array
    hypervolume: Array
    reference: dict[str, float]
    exact: bool


def follow(points: Points, spec: ExperimentSpec) -> Convergence:
    """The course of an experiment whose observations are `points`."""
    permitted = service_points.feasible(points)
    m = len(spec.optimized_metrics)
    outcomes = np.where(permitted[:, None], service_points.turned(points)[:, :m], -np.inf)
    best = np.maximum.accumulate(outcomes, axis=0) if len(outcomes) else outcomes
    signs = np.array([metric.sign for metric in spec.optimized_metrics], dtype=float)
    best = np.where(np.isfinite(best), best, np.nan) * signs
    reference = service_points.reference_point(points, spec)
    volume, exact = np.empty(0), True
    if m >= 2 and reference:
        least = signs * np.array([reference[metric.key] for metric in spec.optimized_metrics])
        volume, exact = hypervolumes(outcomes, least)
    return Convergence(points, permitted, best, volume, reference, exact)


def hypervolumes(outcomes: Array, reference: Array) -> tuple[Array, bool]:
    """The hypervolume after each outcome.

    Args:
        outcomes: `n x m`, larger is better; rows that do not count hold minus infinity.
        reference: `m`.

    Returns:
        `n` volumes, never falling, and whether they are exact.
    """
    n, m = outcomes.shape
    gains = outcomes - reference
    above = np.flatnonzero((gains > 0).all(axis=1))
    if not len(above):
        return np.zeros(n), True
    steps = np.zeros(n)
    if m == 2:
        steps[above] = _added_areas(gains[above])
        return np.cumsum(steps), True
    moving = above[_moves_front(gains[above])]
    exact = m == 3 and len(moving) <= MOST_EXACT
    if exact:
        volumes = [
            pareto.hypervolume(gains[moving[: k + 1]], np.zeros(m)) for k in range(len(moving))
        ]
        steps[moving] = np.diff(volumes, prepend=0.0)
    else:
        steps[moving] = _added_estimates(gains[moving])
    return np.cumsum(steps), exact


def _added_areas(gains: Array) -> Array:
    """`n`: what each row adds to the area above the origin that those before it cover."""
    added = np.zeros(len(gains))
    # The front, first metric rising and the second falling.
    xs: list[float] = []
    ys: list[float] = []
    for k, (x, y) in enumerate(gains.tolist()):
        at = bisect_left(xs, x)
        if at < len(xs) and ys[at] >= y:
            continue
        first = at
        while first > 0 and ys[first - 1] <= y:
            first -= 1
        last = at + 1 if at < len(xs) and xs[at] == x else at
        # Strips between the neighbours on the left, each as high as the front to its right was.
        left = xs[first - 1] if first else 0.0
        area = 0.0
        for i in range(first, last):
            area += (min(xs[i], x) - left) * (y - ys[i])
            left = xs[i]
        under = ys[last] if last < len(ys) else 0.0
        area += (x - left) * (y - under)
        added[k] = area
        xs[first:last], ys[first:last] = [x], [y]
    return added


def _moves_front(gains: Array) -> npt.NDArray[np.bool_]:
    """`n`: which rows no earlier row equals or beats in every metric."""
    moves = np.zeros(len(gains), dtype=bool)
    front = np.empty((0, gains.shape[1]))
    for k, row in enumerate(gains):
        if (front >= row).all(axis=1).any():
            continue
        moves[k] = True
        front = np.vstack([front[(front > row).any(axis=1)], row])
    return moves


def _added_estimates(gains: Array) -> Array:
    """`n`: what each row adds, from the share of a box's samples that it covers first."""
    n, m = gains.shape
    top = gains.max(axis=0)
    samples = qmc.Sobol(m, scramble=True, seed=0).random_base2(SAMPLES_LOG2) * top
    covered_at = np.full(len(samples), n)
    left = np.arange(len(samples))
    for start in range(0, n, BATCH):
        rows = gains[start : start + BATCH]
        covers = np.ones((len(left), len(rows)), dtype=bool)
        for column in range(m):
            covers &= samples[left, column, None] <= rows[None, :, column]
        hit = covers.any(axis=1)
        covered_at[left[hit]] = start + covers[hit].argmax(axis=1)
        left = left[~hit]
    counts = np.bincount(covered_at, minlength=n + 1)[:n]
    return counts / len(samples) * float(np.prod(top))

"""What the tables say: fronts, hypervolumes, resamples and the corner.

An outcome is `(accuracy, milliseconds)`. Hypervolumes are shares of that of all results together,
beyond one reference point, which is the worst of the combined frontier with a tenth to spare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeoff.engine import pareto

Array = npt.NDArray[np.float64]
Outcomes = Sequence[tuple[float, float]]
#: The corner of the plot: so much of the combined frontier's range, from the best of each metric.
CORNER = 1 / 3
#: Of the resamples lie within the region.
CONFIDENCE = 0.95
GRID = 200


@dataclass(frozen=True)
class Region:
    """Where the frontier of random search lies at equal budget.

    Attributes:
        milliseconds: ascending.
        low: accuracy that 97.5 % of the resamples reach in that time; NaN where they reach none.
        middle: the half do.
        high: 2.5 % do.
    """

    milliseconds: Array
    low: Array
    middle: Array
    high: Array


@dataclass(frozen=True)
class Verdict:
    """The numbers of the report.

    Attributes:
        budget: of our search.
        first: so many of our first suggestions are looked at alone.
        random: how many random trainings.
        combined: size of the frontier of all results.
        share: of it that is ours.
        share_of_first: of the frontier of those and all random, what is ours.
        volume: of all our suggestions.
        volume_of_first: of the first ones.
        volume_random: of all random trainings.
        volumes_resampled: of random trainings at our budget, a value for each resample.
        corner: how many of ours lie in the corner, and how many of random.
        dominating: of ours in the corner, those that beat a point of random's frontier.
        dominated: points of random's frontier that one of ours beats, and how many there are.
    """

    budget: int
    first: int
    random: int
    combined: int
    share: float
    share_of_first: float
    volume: float
    volume_of_first: float
    volume_random: float
    volumes_resampled: Array
    corner: tuple[int, int]
    dominating: int
    dominated: tuple[int, int]

    @property
    def beaten(self) -> float:
        """Share of the resamples whose hypervolume ours exceeds."""
        return float((self.volumes_resampled < self.volume).mean())


def judge(ours: Outcomes, at_random: Outcomes, *, first: int, resamples: int) -> Verdict:
    """Compare.

    Args:
        ours: in the order of their suggestions.
        at_random: of random configurations.
        first: so many of ours are looked at alone.
        resamples: how often random results are drawn at the budget of ours.
    """
    a, b = _maximised(ours), _maximised(at_random)
    both = np.concatenate([a, b])
    front = both[pareto.non_dominated(both)]
    reference = pareto.reference_point(both)
    whole = pareto.hypervolume(front, reference)

    def volume(Y: Array) -> float:
        return pareto.hypervolume(Y, reference) / whole

    corner = front.max(axis=0) - CORNER * np.ptp(front, axis=0)
    in_corner = a[(a >= corner).all(axis=1)]
    rival = b[pareto.non_dominated(b)]
    draws = resampled(len(b), len(a), resamples)
    return Verdict(
        budget=len(a),
        first=first,
        random=len(b),
        combined=len(front),
        share=_share(a, b),
        share_of_first=_share(a[:first], b),
        volume=volume(a),
        volume_of_first=volume(a[:first]),
        volume_random=volume(b),
        volumes_resampled=np.array([volume(b[draw]) for draw in draws]),
        corner=(len(in_corner), int((b >= corner).all(axis=1).sum())),
        dominating=sum(bool(_beats(point, rival).any()) for point in in_corner),
        dominated=(int(np.any([_beats(point, rival) for point in a], axis=0).sum()), len(rival)),
    )


def share_of_frontier(ours: Outcomes, at_random: Outcomes) -> float:
    """The part of the frontier of both that is ours."""
    return _share(_maximised(ours), _maximised(at_random))


def region(at_random: Outcomes, *, budget: int, resamples: int) -> Region:
    """Where the frontier of so many random trainings lies, 95 times of a hundred."""
    b = np.array(at_random)
    grid = np.geomspace(b[:, 1].min(), b[:, 1].max(), GRID)
    reached = np.array([_reached(b[draw], grid) for draw in resampled(len(b), budget, resamples)])
    tail = (1 - CONFIDENCE) / 2
    # What is not reached counts as worse than any accuracy, and is not drawn.
    low, middle, high = np.quantile(reached, [tail, 0.5, 1 - tail], axis=0, method="lower")
    return Region(grid, *(np.where(each < 0, np.nan, each) for each in (low, middle, high)))


def resampled(count: int, size: int, times: int) -> list[npt.NDArray[np.intp]]:
    """Rows of so many subsets without repetition, the same at each call."""
    rng = np.random.default_rng(0)
    return [rng.choice(count, min(size, count), replace=False) for _ in range(times)]


def _reached(outcomes: Array, grid: Array) -> Array:
    """The best accuracy within each time; -1 if there is none."""
    order = np.argsort(outcomes[:, 1])
    best = np.maximum.accumulate(outcomes[order, 0])
    count = np.searchsorted(outcomes[order, 1], grid, side="right")
    return np.where(count > 0, best[np.maximum(count, 1) - 1], -1.0)


def _share(a: Array, b: Array) -> float:
    """Of the frontier of both, the part that is of the first; equal points are the second's."""
    efficient = pareto.non_dominated(np.concatenate([b, a]))
    return float(efficient[len(b) :].sum() / efficient.sum())


def _beats(point: Array, others: Array) -> npt.NDArray[np.bool_]:
    return np.asarray((point >= others).all(axis=1) & (point > others).any(axis=1))


def _maximised(outcomes: Outcomes) -> Array:
    return np.array(outcomes, dtype=np.float64).reshape(-1, 2) * (1.0, -1.0)

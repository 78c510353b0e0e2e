"""One search: ask, train, report, until the budget is spent."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np

from benchmarks.problems import Array, Point, Problem
from benchmarks.quality.optimizers import Optimizer

#: A search is scored after every so many observations, after the last one, and here.
EVERY, PROMISED = 5, 48


@dataclass
class Run:
    """A finished search.

    Attributes:
        scores: normalised hypervolume of what was tried so far, by number of observations.
        failed: for each observation in turn whether it failed.
        by_model: for each whether it was more than a point of an initial design.
    """

    scores: dict[int, float] = field(default_factory=dict)
    failed: list[bool] = field(default_factory=list)
    by_model: list[bool] = field(default_factory=list)

    @property
    def failures(self) -> float:
        """The share of failures among what came after the initial design."""
        after = [bad for bad, by_model in zip(self.failed, self.by_model, strict=True) if by_model]
        return sum(after) / max(len(after), 1)


def run(
    problem: Problem,
    optimizer: Optimizer,
    budget: int,
    seed: int,
    *,
    workers: int = 1,
    spread: float = 0.0,
) -> Run:
    """Search with so many trainings at a time.

    Args:
        problem: to search.
        optimizer: fresh.
        budget: number of observations.
        seed: of the noise and the durations; every optimizer meets the same.
        workers: trainings at a time; who has none asks at once.
        spread: of the logarithm of a training's duration. At 0 all workers finish together, and as
            many points are asked for at once.
    """
    rng = np.random.default_rng(1000 + seed)
    done, now = Run(), 0.0
    values: list[Array | None] = []
    at_work: list[tuple[float, int, Point, bool]] = []
    asked = 0
    while len(values) < budget:
        free = min(workers - len(at_work), budget - asked)
        for point, by_model in optimizer.ask(free) if free else ():
            ends = now + float(np.exp(spread * rng.standard_normal()))
            heapq.heappush(at_work, (ends, asked, point, by_model))
            asked += 1
        now = at_work[0][0]
        while at_work and at_work[0][0] <= now:
            _, _, point, by_model = heapq.heappop(at_work)
            values.append(problem.evaluate(point))
            failed = values[-1] is None or rng.random() < problem.flaky
            optimizer.tell(point, None if failed else _measured(problem, values[-1], rng))
            done.failed.append(failed)
            done.by_model.append(by_model)
            if failed:
                values[-1] = None
            count = len(values)
            if count % EVERY == 0 or count in (PROMISED, budget):
                done.scores[count] = problem.score(values)
    return done


def _measured(problem: Problem, values: Array | None, rng: np.random.Generator) -> dict[str, float]:
    assert values is not None, "it did not fail"
    noisy = values + problem.noise * rng.standard_normal(len(values))
    return dict(zip(problem.keys, noisy.tolist(), strict=True))

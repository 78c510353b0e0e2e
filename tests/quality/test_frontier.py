"""Does the optimizer optimise? Whole loops against random search, fixed seeds, stated margins.

Scores are noiseless hypervolumes at each problem's own reference, which the engine is not told,
relative to the best known. Every seed must pass: one bad run among good ones is a structural
failure and not bad luck.
"""

from __future__ import annotations

import pytest

from benchmarks import problems

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BUDGET = 60
SEEDS = (0, 1, 2)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("name", "least", "margin"),
    [("branin_currin", 0.9, 0.15), ("dtlz2", 0.8, 0.35), ("network", 0.75, 0.05)],
)
def test_frontier_is_found_and_beats_random_search(
    name: str, least: float, margin: float, seed: int
) -> None:
    problem = problems.get(name)

    found = problems.run(problem, BUDGET, seed).scores[BUDGET]
    by_chance = problems.run(problem, BUDGET, seed, at_random=True).scores[BUDGET]

    assert found >= least
    assert found >= by_chance + margin


@pytest.mark.parametrize("seed", SEEDS)
def test_failures_are_learned_and_cost_no_quality(seed: int) -> None:
    problem = problems.get("crash")  # two in five random points fail

    run = problems.run(problem, BUDGET, seed)
    by_chance = problems.run(problem, BUDGET, seed, at_random=True)

    assert run.failures < 0.25
    assert run.failures < by_chance.failures - 0.1
    assert run.scores[BUDGET] >= max(0.8, by_chance.scores[BUDGET] + 0.3)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_buffer_of_four_hardly_costs_quality(seed: int) -> None:
    problem = problems.get("dtlz2")

    found = problems.run(problem, BUDGET, seed, q=4).scores[BUDGET]

    assert found >= 0.75

"""Is the best point of the utility found? Against BoTorch's own optimizer with far more work."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from botorch.optim.optimize import optimize_acqf

from benchmarks import problems
from benchmarks.speed import history_of
from tradeoff.engine import acquisition, optimize
from tradeoff.engine.acquisition import Utility, UtilityAcquisition
from tradeoff.engine.data import build_data
from tradeoff.engine.models import ConditionedModel, Layout, SurrogateModel, fit_map
from tradeoff.engine.optimize import Problem
from tradeoff.engine.space import Space

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CPU = torch.device("cpu")


def surface(name: str, count: int, seed: int) -> tuple[Problem, Utility]:
    """The utility after `count` observations of a problem."""
    problem, rng = problems.get(name), np.random.default_rng(seed)
    space = Space(problem.spec)
    data = build_data(space, history_of(problem, count))
    X, Y = torch.tensor(data.X), torch.tensor(data.Y)
    Yvar, layout = torch.zeros_like(Y), Layout.of(space)
    thetas = [fit_map(X, Y[:, j], Yvar[:, j], layout) for j in range(Y.shape[1])]
    model = SurrogateModel(X, Y, Yvar, thetas, layout)
    references = acquisition.draw_references(model, space, data.thresholds, 8, rng)
    limits = torch.zeros(0, dtype=torch.float64)
    base = acquisition.select_baseline(model, X[:0], references, limits)
    normals = torch.tensor(acquisition.sobol_normals((2, len(base)), 8, rng))
    utility = Utility(ConditionedModel(model, base, normals), references, limits, None)
    scale = np.clip(np.exp(np.mean([theta[:-1] for theta in thetas], axis=0)), 0.05, 5.0)
    return Problem(space, base.numpy(), data.X, scale), utility


@pytest.mark.parametrize("name", ["branin_currin", "dtlz2", "network"])
def test_search_loses_next_to_nothing_against_twenty_restarts(name: str) -> None:
    losses = []
    for seed, count in enumerate((30, 60, 90)):
        problem, utility = surface(name, count, seed)
        bounds = torch.tensor([[0.0], [1.0]], dtype=torch.float64).repeat(1, problem.space.width)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            x, _ = optimize_acqf(
                UtilityAcquisition(utility),
                bounds,
                q=1,
                num_restarts=20,
                raw_samples=512,
                options={"maxiter": 200},
            )
        # Ints are relaxed there; what counts is the value at a point that exists.
        theirs = float(utility(torch.tensor(problem.space.snap(x.numpy()))).detach())

        _, ours = optimize.optimize(utility, problem, np.random.default_rng(seed), CPU)

        losses.append(theirs - ours)

    assert max(losses) < 0.1
    assert np.mean(losses) < 0.03

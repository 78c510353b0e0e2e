"""What one suggestion costs on one core, and its ratio to BoTorch's stock loop in the same run.

    python -m benchmarks.speed [--quick]

The ratio is the figure to hold: seconds depend on the machine. CPU seconds of this process, one
thread; 12 parameters (7 ints), 2 metrics; half of the data is spread, half lies around the front,
as in a real run. `suggestion` is warm-started and fits its hyperparameters anew; `cold` has no
state; `with_failures` has 30 % of the observations failed; `eight_at_once` fills a buffer.

The baseline is a list of `SingleTaskGP`s, `fit_gpytorch_mll`, `optimize_acqf` with 20 restarts and
512 raw samples on `qLogNoisyExpectedHypervolumeImprovement` with 128 samples. It compiles a C++
kernel at first use, which is not counted. With `--quick` it runs at 50 observations only.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping

# BoTorch's kernel goes to a folder of our own: shared ones are rebuilt by every environment.
os.environ.setdefault("TORCH_EXTENSIONS_DIR", tempfile.mkdtemp(prefix="tradeoff-benchmark-"))

import gpytorch
import numpy as np
import torch
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.model_list_gp_regression import ModelListGP
from botorch.models.transforms import Standardize
from botorch.optim.optimize import optimize_acqf
from botorch.sampling.normal import SobolQMCNormalSampler

from benchmarks import problems
from tradeoff.engine import pareto
from tradeoff.engine.data import build_data
from tradeoff.engine.design import sample
from tradeoff.engine.optimize import perturb
from tradeoff.engine.space import Space
from tradeoff.engine.state import State
from tradeoff.engine.suggest import suggest
from tradeoff.spec.history import History, Observation
from tradeoff.spec.values import Value

SIZES = (50, 100, 200, 480)
QUICK_SIZES = (50, 100, 200)


def history_of(problem: problems.Problem, count: int, *, failing: float = 0.0) -> History:
    """Half spread points, half neighbours of the front so far; some may be called failures."""
    space, rng = Space(problem.spec), np.random.default_rng(0)
    X = sample(space, count // 2, rng)
    while len(X) < count:
        Y = np.array([problem.evaluate(point) for point in space.decode(X)])
        X = np.concatenate([X, perturb(space, X[pareto.non_dominated(Y)], 8, rng, (0.1,))])
    failed = rng.random(count) < failing
    return History(
        tuple(
            _observation(problem, point, bool(bad), rng)
            for point, bad in zip(space.decode(X[:count]), failed, strict=True)
        )
    )


def _observation(
    problem: problems.Problem,
    point: Mapping[str, Value],
    failed: bool,
    rng: np.random.Generator,
) -> Observation:
    values = problem.evaluate(point)
    if failed or values is None:
        return Observation(point, {}, {}, failed=True)
    noisy = values + problem.noise * rng.standard_normal(len(values))
    keys = [metric.key for metric in problem.spec.optimized_metrics]
    return Observation(point, dict(zip(keys, noisy.tolist(), strict=True)), {}, failed=False)


def cpu_seconds(act: Callable[[], object], repeats: int) -> float:
    """The median of some repeats."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        act()
        taken.append(time.process_time() - start)
    return float(np.median(taken))


def ours(problem: problems.Problem, count: int, repeats: int) -> dict[str, float]:
    """CPU seconds of our suggestion in several situations."""
    history, failures = history_of(problem, count), history_of(problem, count, failing=0.3)

    def before(whole: History) -> State:
        cut = History(whole.observations[:-1])
        # Forget how many rows the last fit had, so that the next call fits again.
        state = suggest(problem.spec, cut, 1, State.initial(0)).state.to_json()
        for warm in [*state["metrics"].values(), *filter(None, [state["success"]])]:
            warm["fitted_on"] = 0
        return State.from_json(state)

    warm, warm_failures = before(history), before(failures)
    return {
        "suggestion": cpu_seconds(lambda: suggest(problem.spec, history, 1, warm), repeats),
        "cold": cpu_seconds(lambda: suggest(problem.spec, history, 1, State.initial(0)), repeats),
        "with_failures": cpu_seconds(
            lambda: suggest(problem.spec, failures, 1, warm_failures), repeats
        ),
        "eight_at_once": cpu_seconds(lambda: suggest(problem.spec, history, 8, warm), 1),
    }


def stock_suggestion(problem: problems.Problem, history: History) -> None:
    """One point by BoTorch's stock loop; it is given the reference point that we do not know."""
    data = build_data(Space(problem.spec), history)
    X, Y = torch.tensor(data.X), torch.tensor(data.Y)
    scales = zip(data.scales, problem.reference, strict=True)
    reference = [float(scale.standardise(np.array([value]))[0]) for scale, value in scales]
    models = [SingleTaskGP(X, Y[:, [k]], outcome_transform=Standardize(m=1)) for k in range(2)]
    model = ModelListGP(*models)
    fit_gpytorch_mll(gpytorch.mlls.SumMarginalLogLikelihood(model.likelihood, model))
    acquisition = qLogNoisyExpectedHypervolumeImprovement(
        model,
        reference,
        X_baseline=X,
        prune_baseline=True,
        sampler=SobolQMCNormalSampler(torch.Size([128])),
    )
    bounds = torch.stack([torch.zeros(X.shape[1]), torch.ones(X.shape[1])]).double()
    options: dict[str, bool | float | int | str] = {"batch_limit": 5, "maxiter": 200}
    optimize_acqf(acquisition, bounds, q=1, num_restarts=20, raw_samples=512, options=options)


def main() -> None:
    """Measure, and print one JSON line per number of observations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer sizes, baseline at 50 only")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    problem = problems.get("network")
    stock_suggestion(problem, history_of(problem, 10))  # compiles; not counted
    suggest(problem.spec, history_of(problem, 20), 1, State.initial(0))
    for count in QUICK_SIZES if quick else SIZES:
        figures = ours(problem, count, repeats=3 if quick else 5)
        if count == SIZES[0] or not quick:
            stock = functools.partial(stock_suggestion, problem, history_of(problem, count))
            figures["stock"] = cpu_seconds(stock, 1)
            figures["ratio"] = figures["stock"] / figures["suggestion"]
        line = {name: round(value, 3) for name, value in figures.items()}
        print(json.dumps({"observations": count, **line}), flush=True)


if __name__ == "__main__":
    main()

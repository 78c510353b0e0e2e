"""What one suggestion costs on one core, and its ratio to BoTorch's stock loop in the same run.

    python -m benchmarks.speed [--quick]

The ratio is the figure to hold: seconds depend on the machine. CPU seconds of this process, one
thread; 12 parameters (7 ints), 2 and 3 metrics; half of the data is spread, half lies around the
front, as in a real run. `in_a_loop` is the mean of a search: each suggestion knows one observation
more and begins where the last one ended, and hyperparameters are fitted anew as often as the
schedule has it (`engine.fitting`), from 256 observations on at every eighth. `suggestion` is one
that fits them; `fit` is that fit alone; `cold` has no state; `with_failures` has 30 % of the
observations failed; `eight_at_once` fills a buffer. These three are left out beyond 480
observations.

The baseline is a list of `SingleTaskGP`s, `fit_gpytorch_mll`, `optimize_acqf` with 20 restarts and
512 raw samples on `qLogNoisyExpectedHypervolumeImprovement` with 128 samples. It compiles a C++
kernel at first use, which is not counted. It is run up to 480 observations, where it takes a minute
with 2 metrics; it fits at every suggestion. For the ratios, `ratio` in a loop and `ratio_refitting`
of a suggestion that fits, ours is measured directly before and after it. The last line is the ratio
in a loop with 480 observations and 2 metrics. With `--quick` there are 2 metrics, 50, 480 and 1,000
observations, and the baseline only at 480.
"""

from __future__ import annotations

import argparse
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
import numpy.typing as npt
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
from tradeoff.engine.fitting import fit_models
from tradeoff.engine.optimize import perturb
from tradeoff.engine.space import Space
from tradeoff.engine.state import State
from tradeoff.engine.suggest import suggest
from tradeoff.spec.history import History, Observation
from tradeoff.spec.values import Value

Array = npt.NDArray[np.float64]

SIZES, QUICK_SIZES = (50, 100, 200, 480, 1_000, 10_000), (50, 480, 1_000)
#: The size at which the promised ratio is taken, and the last one for the baseline.
PROMISED = 480
#: Suggestions of ours before and after the baseline's.
TURNS = 5
#: Suggestions of a loop, of which one fits from 256 observations on.
LOOP = 8
#: The problem by number of metrics.
PROBLEMS = {2: "network", 3: "network3"}


def history_of(problem: problems.Problem, count: int, *, failing: float = 0.0) -> History:
    """Half spread points, half neighbours of the front so far; some may be called failures."""
    space, rng = Space(problem.spec), np.random.default_rng(0)
    X = sample(space, count // 2, rng)
    Y = _outcomes(problem, space, X)
    while len(X) < count:
        children = max(8, count // 60)
        near = perturb(space, X[pareto.non_dominated(Y)], children, rng, (0.1,))
        X, Y = np.concatenate([X, near]), np.concatenate([Y, _outcomes(problem, space, near)])
    failed = rng.random(count) < failing
    return History(
        tuple(
            _observation(problem, point, bool(bad), rng)
            for point, bad in zip(space.decode(X[:count]), failed, strict=True)
        )
    )


def _outcomes(problem: problems.Problem, space: Space, X: Array) -> Array:
    return np.array([problem.evaluate(point) for point in space.decode(X)])


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


def ours(
    problem: problems.Problem, history: History, warm: State, repeats: int
) -> dict[str, float]:
    """CPU seconds of our suggestion in several situations."""
    space, count = Space(problem.spec), len(history.observations)
    data = build_data(space, history)

    def fit() -> None:
        fit_models(space, data, warm, torch.device("cpu"), np.random.default_rng(0))

    figures = {
        "suggestion": cpu_seconds(lambda: suggest(problem.spec, history, 1, warm), repeats),
        "fit": cpu_seconds(fit, repeats),
    }
    if count > PROMISED:
        return figures
    failures = history_of(problem, count, failing=0.3)
    warm_failures = _state_before(problem, failures)
    return figures | {
        "cold": cpu_seconds(lambda: suggest(problem.spec, history, 1, State.initial(0)), repeats),
        "with_failures": cpu_seconds(
            lambda: suggest(problem.spec, failures, 1, warm_failures), repeats
        ),
        "eight_at_once": cpu_seconds(lambda: suggest(problem.spec, history, 8, warm), 1),
    }


def _state_before(problem: problems.Problem, history: History) -> State:
    """The state before the last observation, which has the next call fit again."""
    cut = History(history.observations[:-1])
    state = suggest(problem.spec, cut, 1, State.initial(0)).state.to_json()
    # Forget how many rows the last fit had.
    for warm in [*state["metrics"].values(), *filter(None, [state["success"]])]:
        warm["fitted_on"] = 0
    return State.from_json(state)


def stock_suggestion(problem: problems.Problem, history: History) -> None:
    """One point by BoTorch's stock loop; it is given the reference point that we do not know."""
    data = build_data(Space(problem.spec), history)
    X, Y = torch.tensor(data.X), torch.tensor(data.Y)
    scales = zip(data.scales, problem.reference, strict=True)
    reference = [float(scale.standardise(np.array([value]))[0]) for scale, value in scales]
    models = [
        SingleTaskGP(X, Y[:, [k]], outcome_transform=Standardize(m=1)) for k in range(Y.shape[1])
    ]
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


def beside_stock(problem: problems.Problem, history: History, warm: State) -> dict[str, float]:
    """CPU seconds of the stock loop, and by those of ours directly before and after it.

    A machine's speed changes within the minute that the stock loop takes.
    """
    count = len(history.observations)

    def own() -> Array:
        refitting = cpu_seconds(lambda: suggest(problem.spec, history, 1, warm), TURNS)
        return np.array([in_a_loop(problem, count), refitting])

    before = own()
    stock = cpu_seconds(lambda: stock_suggestion(problem, history), 1)
    looping, refitting = (before + own()) / 2
    return {
        "in_a_loop": looping,
        "stock": stock,
        "ratio": stock / looping,
        "ratio_refitting": stock / refitting,
    }


def in_a_loop(problem: problems.Problem, count: int) -> float:
    """CPU seconds of a suggestion, the mean of those of a search from so many observations on."""
    observations = history_of(problem, count + LOOP).observations
    state = suggest(problem.spec, History(observations[:count]), 1, State.initial(0)).state
    start = time.process_time()
    for known in range(count + 1, count + 1 + LOOP):
        state = suggest(problem.spec, History(observations[:known]), 1, state).state
    return (time.process_time() - start) / LOOP


def main() -> None:
    """Measure, print one JSON line per number of metrics and observations, and the ratio."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="minutes; see above")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    ratio = 0.0
    for metrics, name in list(PROBLEMS.items())[: 1 if quick else None]:
        problem = problems.get(name)
        stock_suggestion(problem, history_of(problem, 10))  # compiles; not counted
        suggest(problem.spec, history_of(problem, 20), 1, State.initial(0))
        for count in QUICK_SIZES if quick else SIZES:
            history = history_of(problem, count)
            warm = _state_before(problem, history)
            repeats = 3 if quick or count > PROMISED else 5
            figures = ours(problem, history, warm, repeats)
            if count == PROMISED or (count < PROMISED and not quick):
                figures |= beside_stock(problem, history, warm)
            line = {key: round(value, 3) for key, value in figures.items()}
            print(json.dumps({"metrics": metrics, "observations": count, **line}), flush=True)
            if metrics == 2 and count == PROMISED:
                ratio = figures["ratio"]
    print(f"ratio_at_{PROMISED}={ratio:.1f}")


if __name__ == "__main__":
    main()

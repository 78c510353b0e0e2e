"""Test problems behind the product's own spec, and closed loops on them.

Every problem scores without noise, so a run is judged by what it found and not by luck.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from botorch.test_functions.multi_objective import C2DTLZ2, DTLZ2, BraninCurrin, VehicleSafety

from tradeoff.engine import design, pareto
from tradeoff.engine.state import State
from tradeoff.engine.suggest import suggest
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.history import History, Observation
from tradeoff.spec.values import Value

Array = npt.NDArray[np.float64]
Point = Mapping[str, Value]


@dataclass(frozen=True)
class Problem:
    """Something to optimise.

    Attributes:
        name: how the command line calls it.
        spec: the experiment; no thresholds, so the engine does not know the reference.
        evaluate: values in the order of the metrics, all maximised; `None` when it fails.
        reference: where scoring starts.
        best: hypervolume that counts as 1.
        noise: standard deviation of each metric's measurement.
    """

    name: str
    spec: ExperimentSpec
    evaluate: Callable[[Point], Array | None]
    reference: Array
    best: float
    noise: Array

    def score(self, points: Sequence[Point]) -> float:
        """Normalised, noiseless hypervolume of what was tried."""
        values = [self.evaluate(point) for point in points]
        found = np.array([value for value in values if value is not None])
        return pareto.hypervolume(found, self.reference) / self.best


@dataclass(frozen=True)
class Run:
    """A finished loop.

    Attributes:
        scores: normalised hypervolume by number of evaluations.
        failures: share of the evaluations after the design that failed.
    """

    scores: dict[int, float]
    failures: float


def run(problem: Problem, budget: int, seed: int, *, at_random: bool = False, q: int = 1) -> Run:
    """One loop: suggest, evaluate with noise, observe, until the budget is spent."""
    rng = np.random.default_rng(1000 + seed)
    state = State.initial(seed)
    observations: list[Observation] = []
    points: list[Point] = []
    checkpoints = {20, 30, 40, 50, 60, 75, 100, budget}
    scores, after, failed = {}, 0, 0
    while len(points) < budget:
        history = History(tuple(observations))
        if at_random:
            batch = design.random_points(problem.spec, seed=seed, start=len(points), count=q)
            by_model = True
        else:
            suggested = suggest(problem.spec, history, q, state)
            state = suggested.state
            batch = [candidate.assignments for candidate in suggested.candidates]
            by_model = suggested.candidates[0].source == "model"
        for point in batch:
            values = problem.evaluate(point)
            observations.append(_observation(problem, point, values, rng))
            points.append(point)
            after += by_model
            failed += by_model and values is None
            if len(points) in checkpoints:
                scores[len(points)] = problem.score(points)
    return Run(scores, failed / max(after, 1))


def _observation(
    problem: Problem, point: Point, values: Array | None, rng: np.random.Generator
) -> Observation:
    noise = problem.noise * rng.standard_normal(len(problem.noise))
    if values is None:
        return Observation(point, {}, {}, failed=True)
    keys = [metric.key for metric in problem.spec.optimized_metrics]
    measured = dict(zip(keys, (values + noise).tolist(), strict=True))
    return Observation(point, measured, {}, failed=False)


def get(name: str) -> Problem:
    """A problem by its name.

    Raises:
        KeyError: when there is none of that name.
    """
    return _PROBLEMS[name]()


def _unit(count: int) -> list[dict[str, Any]]:
    return [
        {"name": f"x{i}", "type": "double", "bounds": {"min": 0, "max": 1}} for i in range(count)
    ]


def _spec(parameters: list[dict[str, Any]], metrics: int) -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {
            "parameters": parameters,
            "metrics": [f"f{k}" for k in range(metrics)],
            "observation_budget": 100,
        }
    )


def _from_botorch(name: str, function: Any, best: float | None = None) -> Problem:
    """A problem of BoTorch's, posed in the unit cube."""
    spec = _spec(_unit(function.dim), function.num_objectives)
    low, high = function.bounds.double()
    constrained = hasattr(function, "evaluate_slack_true")

    def evaluate(point: Point) -> Array | None:
        u = torch.tensor([[float(point[p.name]) for p in spec.parameters]], dtype=torch.float64)
        x = low + u * (high - low)
        if constrained and bool((function.evaluate_slack_true(x) < 0).any()):
            return None
        values: Array = function(x)[0].numpy().astype(float)
        return values

    m = function.num_objectives
    reference = function.ref_point.double().numpy()
    return Problem(name, spec, evaluate, reference, best or function.max_hv, np.zeros(m))


def _network() -> Problem:
    """Tuning a small convolutional network: 7 ints, 5 log-scaled numbers, accuracy against time.

    Twelve parameters, a plateau of networks that learn nothing, noise, and a cost that grows with
    the product of widths.
    """
    ints = {"batch": (8, 32), "k1": (2, 10), "k2": (2, 10), "k3": (2, 10)}
    ints |= {"w1": (32, 256), "w2": (32, 256), "w3": (32, 256)}
    logs = {"rate": (1e-6, 1.0), "m1": (1e-2, 0.5), "m2": (1e-6, 0.5)}
    logs |= {"eps": (1e-10, 1e-6), "decay": (1e-8, 1e-1)}
    bounds = {name: {"min": low, "max": high} for name, (low, high) in {**ints, **logs}.items()}
    parameters = [{"name": n, "type": "int", "bounds": bounds[n]} for n in ints]
    parameters += [
        {"name": n, "type": "double", "bounds": bounds[n], "transformation": "log"} for n in logs
    ]

    def evaluate(point: Point) -> Array:
        p = {name: float(value) for name, value in point.items()}
        slowed = math.log10(p["rate"]) - 0.4 * math.log10(1 + 2e4 / p["batch"] * p["decay"])
        tuned = math.exp(-0.5 * ((slowed + 2.7 - 0.2 * math.log2(p["batch"] / 16)) / 0.9) ** 2)
        momentum = 1 - 0.5 * (p["m1"] - 0.12) ** 2 - 0.2 / (1 + math.exp(-math.log10(p["m2"]) - 1))
        learnt = 1 / (1 + math.exp(-9 * (tuned * momentum - 0.45)))
        widths = [math.log2(p[f"w{i}"] / 32) / 3 for i in (1, 2, 3)]
        shape = sum(
            weight * ((p[f"k{i}"] - best) / 5) ** 2
            for i, (weight, best) in enumerate([(0.14, 7), (0.1, 5), (0.08, 3)], start=1)
        )
        size = 0.62 + 0.12 * widths[0] + 0.14 * widths[1] + 0.12 * widths[2]
        over = 0.06 * max(0.0, sum(widths) - 2.2) ** 2
        accuracy = 0.2 + 0.8 * learnt * (size - shape - over)
        products = 3 * p["w1"] * p["k1"] + p["w1"] * p["w2"] * p["k2"] + p["w2"] * p["w3"] * p["k3"]
        return np.array([accuracy, -0.04 - products / 6.5e5])

    # The best of 60 000 random points and of long runs leave 0.79 of this box.
    best = (0.95 - 0.55) * (0.6 - 0.05)
    noise = np.array([0.004, 0.01])
    return Problem("network", _spec(parameters, 2), evaluate, np.array([0.55, -0.6]), best, noise)


def _crash() -> Problem:
    """DTLZ2 in five dimensions where a training that needs too much memory gives no values."""
    function = DTLZ2(dim=5, num_objectives=2, negate=True)
    plain = _from_botorch("crash", function)

    def evaluate(point: Point) -> Array | None:
        x = [float(point[f"x{i}"]) for i in range(5)]
        # Two in five random points fail; the front, where x1 to x4 are 1/2, lies on the safe side.
        return None if (0.4 + x[1]) * (0.4 + x[2]) + 0.3 * x[3] > 1.0 else plain.evaluate(point)

    return Problem("crash", plain.spec, evaluate, plain.reference, plain.best, plain.noise)


_PROBLEMS: dict[str, Callable[[], Problem]] = {
    "branin_currin": lambda: _from_botorch("branin_currin", BraninCurrin(negate=True)),
    "dtlz2": lambda: _from_botorch("dtlz2", DTLZ2(dim=6, num_objectives=2, negate=True)),
    "c2dtlz2": lambda: _from_botorch("c2dtlz2", C2DTLZ2(dim=4, num_objectives=2, negate=True)),
    "vehicle": lambda: _from_botorch("vehicle", VehicleSafety(negate=True)),
    "network": _network,
    "crash": _crash,
}
NAMES = tuple(_PROBLEMS)

"""Test problems behind the product's own spec.

Every problem is scored without noise, so a run is judged by what it found and not by luck. What is
optimised is never told where scoring starts. All metrics are maximised, minimised ones have their
sign turned.

References:
    [Balandat2020] M. Balandat and others. BoTorch: a framework for efficient Monte-Carlo Bayesian
        optimization. NeurIPS, 2020; `botorch.test_functions`, and its reference points.
    [Belakaria2019] S. Belakaria, A. Deshwal, J. R. Doppa. Max-value entropy search for
        multi-objective Bayesian optimization. NeurIPS, 2019 (Branin-Currin).
    [Daulton2022] S. Daulton and others. Robust multi-objective Bayesian optimization under input
        noise. ICML, 2022 (constrained Branin-Currin).
    [Deb2005] K. Deb, L. Thiele, M. Laumanns, E. Zitzler. Scalable test problems for evolutionary
        multiobjective optimization. 2005 (DTLZ2).
    [Deb2019] K. Deb. Constrained multi-objective evolutionary algorithm. 2019 (C2-DTLZ2).
    [Liang2021] Q. Liang, L. Lai. Scalable Bayesian optimization accelerates process optimization of
        penicillin production. NeurIPS workshop, 2021.
    [Osyczka1995] A. Osyczka, S. Kundu. A new method to solve generalized multicriteria optimization
        problems using the simple genetic algorithm. 1995 (OSY).
    [Coello2002] C. A. Coello Coello, E. Mezura-Montes. Constraint-handling in genetic algorithms
        through the use of dominance-based tournament selection. 2002 (welded beam).
    [Picheny2013] V. Picheny, T. Wagner, D. Ginsbourger. A benchmark of kriging-based infill
        criteria for noisy optimization. 2013 (Hartmann).
    [Ru2020] B. Ru and others. Bayesian optimisation over multiple continuous and categorical
        inputs. ICML, 2020 (Func3C, Ackley of categories).
    [Tanabe2020] R. Tanabe, H. Ishibuchi. An easy-to-use real-world multi-objective optimization
        problem suite. 2020 (vehicle safety, car side impact).
    [Zitzler2000] E. Zitzler, K. Deb, L. Thiele. Comparison of multiobjective evolutionary
        algorithms: empirical results. 2000 (ZDT3).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from botorch.test_functions.multi_objective import (
    C2DTLZ2,
    DTLZ2,
    OSY,
    ZDT3,
    BraninCurrin,
    CarSideImpact,
    ConstrainedBraninCurrin,
    Penicillin,
    VehicleSafety,
)
from botorch.test_functions.synthetic import Hartmann, WeldedBeamSO

from benchmarks import mixed
from benchmarks.parameters import category, ints, logs, number
from tradeoff.engine import pareto
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.values import Value

Array = npt.NDArray[np.float64]
Point = Mapping[str, Value]


@dataclass(frozen=True)
class Problem:
    """Something to optimise.

    Attributes:
        name: how the command line calls it.
        spec: the experiment; no thresholds on what is optimised.
        evaluate: true values, first of the optimised metrics and then of the constraint metrics in
            the order of `spec`, all maximised; `None` when it fails.
        reference: where scoring starts, one value by optimised metric.
        best: hypervolume that counts as 1.
        noise: standard deviation of each metric's measurement.
        about: what it is, for the tables.
        flaky: share of the trainings that fail whatever the configuration.
    """

    name: str
    spec: ExperimentSpec
    evaluate: Callable[[Point], Array | None]
    reference: Array
    best: float
    noise: Array
    about: str
    flaky: float = 0.0

    @property
    def keys(self) -> list[str]:
        """The metrics, in the order of what `evaluate` returns."""
        return [metric.key for metric in (*self.spec.optimized_metrics, *self._constraints)]

    def score(self, values: Sequence[Array | None]) -> float:
        """Normalised hypervolume of true values; what fails or breaks a constraint counts nothing.

        Args:
            values: what `evaluate` returned of each point.
        """
        found = np.array([value for value in values if value is not None])
        if not len(found):
            return 0.0
        m = len(self.reference)
        limits = [metric.threshold for metric in self._constraints]
        found = found[(found[:, m:] >= np.array(limits, dtype=float)).all(axis=1)]
        return pareto.hypervolume(found[:, :m], self.reference) / self.best

    @property
    def _constraints(self) -> Sequence[Any]:
        return self.spec.constraint_metrics


@functools.cache
def get(name: str) -> Problem:
    """A problem by its name.

    Raises:
        KeyError: when there is none of that name.
    """
    return _PROBLEMS[name]()


def _spec(
    parameters: list[dict[str, Any]],
    metrics: int = 2,
    constraints: int = 0,
    conditionals: Sequence[dict[str, Any]] = (),
) -> ExperimentSpec:
    limits = [
        {"name": f"g{k}", "strategy": "constraint", "threshold": 0.0} for k in range(constraints)
    ]
    return ExperimentSpec.model_validate(
        {
            "parameters": parameters,
            "conditionals": conditionals,
            "metrics": [*({"name": f"f{k}"} for k in range(metrics)), *limits],
            "observation_budget": 200,
        }
    )


def _from_botorch(
    name: str,
    function: Any,
    about: str,
    *,
    reference: Array | None = None,
    best: float | None = None,
    fails: bool = False,
) -> Problem:
    """A problem of BoTorch's, posed in the unit cube [Balandat2020].

    Args:
        name: of the problem.
        function: of BoTorch, negated so that it is maximised.
        about: what it is.
        reference: where scoring starts; BoTorch's if `None`.
        best: hypervolume that counts as 1; BoTorch's if `None`.
        fails: breaking a constraint is a failure without values. Otherwise the constraints are
            metrics, met at 0 and above.
    """
    m = getattr(function, "num_objectives", 1)
    constraints = getattr(function, "num_constraints", 0)
    unit = [number(f"x{i}", 0, 1) for i in range(function.dim)]
    spec = _spec(unit, m, 0 if fails else constraints)
    low, high = function.bounds.double()

    def evaluate(point: Point) -> Array | None:
        u = torch.tensor([[float(point[p.name]) for p in spec.parameters]], dtype=torch.float64)
        x = low + u * (high - low)
        values = function(x).reshape(-1).double()
        if constraints:
            slack = function.evaluate_slack_true(x)[0].double()
            if fails and bool((slack < 0).any()):
                return None
            values = values if fails else torch.cat([values, slack])
        return np.asarray(values.numpy())

    if reference is None:
        reference = function.ref_point.double().numpy()
    noise = np.zeros(m + (0 if fails else constraints))
    return Problem(name, spec, evaluate, reference, best or function.max_hv, noise, about)


def _network(metrics: int = 2) -> Problem:
    """Tuning a small convolutional network: 7 ints, 5 log-scaled numbers, accuracy against time.

    Twelve parameters, a plateau of networks that learn nothing, noise, and a cost that grows with
    the product of widths. The third metric, if asked for, is the number of weights.
    """
    whole = {"batch": (8, 32), "k1": (2, 10), "k2": (2, 10), "k3": (2, 10)}
    whole |= {"w1": (32, 256), "w2": (32, 256), "w3": (32, 256)}
    real = {"rate": (1e-6, 1.0), "m1": (1e-2, 0.5), "m2": (1e-6, 0.5)}
    real |= {"eps": (1e-10, 1e-6), "decay": (1e-8, 1e-1)}
    parameters = ints(whole) + logs(real)

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
        inner = p["w1"] * p["w2"] * p["k2"] + p["w2"] * p["w3"] * p["k3"]
        seconds = 0.04 + (3 * p["w1"] * p["k1"] + inner) / 6.5e5
        return np.array([accuracy, -seconds, -inner / 1e6][:metrics])

    best = {2: BEST_NETWORK, 3: BEST_NETWORK_3}[metrics]
    return Problem(
        "network" if metrics == 2 else "network3",
        _spec(parameters, metrics),
        evaluate,
        np.array([0.55, -0.6, -0.4][:metrics]),
        best,
        np.array([0.004, 0.01, 0.0][:metrics]),
        "ours: a convolutional network, accuracy against time, 7 ints, noise",
    )


def _sentiment(flaky: float = 0.0) -> Problem:
    """Tuning a text classifier, of which about three in four random configurations fail.

    A training that is hardly better than chance, or whose network answers too slowly, reports no
    values. The best networks lie along the limit on time, and good learning rates are few.
    """
    parameters = [
        *ints({"embedding": (1, 64), "kernel": (2, 8), "filters": (1, 100)}),
        *logs({"rate": (1e-5, 1e-1)}),
        number("dropout", 0.0, 0.9),
        number("decay", 0.0, 1.0),
    ]

    def evaluate(point: Point) -> Array | None:
        p = {name: float(value) for name, value in point.items()}
        embedding, filters = p["embedding"] / 64, p["filters"] / 100
        capacity = 1 - math.exp(-3 * (0.15 + embedding) * (0.2 + filters))
        tuned = math.exp(-(((math.log10(p["rate"]) + 2.8 - 0.6 * p["dropout"]) / 0.88) ** 2))
        regularised = 1 - (1 - p["dropout"]) * (1 - p["decay"])
        over = 0.5 * max(0.0, embedding * filters - 0.35) * (1 - regularised)
        under = 0.2 * p["dropout"] ** 3 + 0.25 * p["decay"] ** 4
        width = 0.004 * (p["kernel"] - 4) ** 2
        accuracy = 0.5 + 0.42 * capacity * tuned - over - under * capacity - width
        work = embedding * filters * p["kernel"] / 4
        seconds = 0.08 + 1.1 * work + 0.5 * embedding + 0.25 * filters
        if accuracy < 0.55 or seconds > 1.0:
            return None
        return np.array([accuracy, -seconds])

    return Problem(
        "sentiment" if flaky == 0 else "sentiment_flaky",
        _spec(parameters),
        evaluate,
        np.array([0.55, -1.0]),
        BEST_SENTIMENT,
        np.array([0.006, 0.01]),
        "ours: a text classifier, accuracy against time, 3 ints, noise"
        + (f"; {flaky:.0%} more fail at random" if flaky else ""),
        flaky,
    )


def _crash() -> Problem:
    """DTLZ2 in five dimensions where a training that needs too much memory gives no values.

    A hard cliff: values are best right before it, and nothing in them tells that it comes.
    """
    function = DTLZ2(dim=5, num_objectives=2, negate=True)
    plain = _from_botorch("crash", function, "ours: DTLZ2 beside a hard cliff of failures")

    def evaluate(point: Point) -> Array | None:
        x = [float(point[f"x{i}"]) for i in range(5)]
        # Two in five random points fail; the front, where x1 to x4 are 1/2, lies on the safe side.
        return None if (0.4 + x[1]) * (0.4 + x[2]) + 0.3 * x[3] > 1.0 else plain.evaluate(point)

    return replace(plain, evaluate=evaluate)


#: Centres of the boxes that succeed; the front runs through the first and the third.
ISLANDS = np.array(
    [
        [0.50, 0.50, 0.50, 0.50, 0.50],
        [0.87, 0.01, 0.82, 0.80, 0.47],
        [0.30, 0.28, 0.25, 0.45, 0.50],
        [0.55, 1.00, 0.79, 0.62, 0.99],
        [0.22, 0.16, 0.61, 0.04, 0.04],
        [0.51, 0.47, 0.92, 0.63, 0.51],
    ]
)
HALF_WIDTH = 0.2


def _islands() -> Problem:
    """DTLZ2 in five dimensions of which six boxes succeed: the first found is seldom the best."""
    function = DTLZ2(dim=5, num_objectives=2, negate=True)
    about = "ours: DTLZ2 of which six boxes succeed, 4 % of the cube"
    plain = _from_botorch("islands", function, about, best=BEST_ISLANDS)

    def evaluate(point: Point) -> Array | None:
        x = np.array([float(point[f"x{i}"]) for i in range(5)])
        succeeds = (np.abs(x - ISLANDS) <= HALF_WIDTH).all(axis=1).any()
        return plain.evaluate(point) if succeeds else None

    return replace(plain, evaluate=evaluate)


def _schools() -> Problem:
    """Choosing among three ways to train, each with parameters of its own.

    Two of them reach the same accuracy, one of which is slower; the third is worse and fast.
    """
    networks: list[dict[str, Any]] = [
        *ints({"width": (8, 256)}),
        *logs({"rate": (1e-5, 1.0)}),
        number("dropout", 0.0, 0.8),
        category("activation", ["relu", "tanh"]),
    ]
    parameters = [{**each, "conditions": {"school": ["adam", "sgd"]}} for each in networks]
    for name, high, school in (("momentum", 0.99, "sgd"), ("beta", 0.999, "adam")):
        parameters.append(number(name, 0.0, high, conditions={"school": [school]}))
    parameters.append(number("trees", 10, 500, type="int", conditions={"school": ["forest"]}))

    def evaluate(point: Point) -> Array:
        if point["school"] == "forest":
            trees = math.log(float(point["trees"]) / 10) / math.log(50)
            return np.array([0.6 + 0.12 * trees, -(0.02 + 0.08 * trees)])
        size = math.log2(float(point["width"]) / 8) / 5
        rate = math.log10(float(point["rate"]))
        if point["school"] == "sgd":
            momentum = float(point["momentum"])
            off, slower = rate - math.log10(1 - momentum) - 0.3 * (momentum - 0.9) + 0.5, 1.0
        else:
            off, slower = rate + 3 + 2 * (float(point["beta"]) - 0.9) ** 2, 1.15
        tuned = math.exp(-0.5 * (off / 0.6) ** 2)
        over = 0.1 * (float(point["dropout"]) - 0.15 - 0.3 * size) ** 2
        tanh = point["activation"] == "tanh"
        accuracy = 0.5 + tuned * (0.25 + 0.2 * size - 0.05 * size**2 - over - 0.03 * tanh)
        return np.array([accuracy, -(0.05 + 0.6 * size**1.5) * slower])

    schools = {"name": "school", "values": ["adam", "forest", "sgd"]}
    return Problem(
        "schools",
        _spec(parameters, conditionals=[schools]),
        evaluate,
        np.array([0.55, -0.6]),
        BEST_SCHOOLS,
        np.array([0.004, 0.01]),
        "ours: three ways to train, each with parameters of its own, noise",
    )


def _mixed(
    name: str,
    problem: mixed.Mixed,
    about: str,
    *,
    reference: list[float],
    best: float,
    noise: Sequence[float] = (0.0,),
) -> Problem:
    parameters, evaluate = problem
    spec = _spec(parameters, len(reference))
    return Problem(name, spec, evaluate, np.array(reference), best, np.array(noise), about)


#: Best known hypervolumes of our own problems, by a long evolutionary search without noise.
BEST_NETWORK, BEST_NETWORK_3, BEST_SENTIMENT = 0.2035, 0.0765, 0.186
#: Of the front itself: every width with all else at its best, and every number of trees.
BEST_SCHOOLS = 0.1636
#: Of the front itself, from two million points on it.
BEST_ZDT3 = 1.33176
#: Of the arcs that are best within each box, from 200,001 points on each.
BEST_ISLANDS = 0.35720
#: From the reference (0, -80), of the front that is known in closed form [Osyczka1995].
BEST_OSY = 16_795.8
#: Where all three are the six-hump camel: -0.7221399 at (0.0449, -0.7127).
BEST_FUNC3C = 0.72214
#: By an evolutionary search without noise, whose last 60,000 evaluations of 120,000 gained 1e-5.
BEST_RECIPE = 0.19613
#: Below a cost of 5, by differential evolution; BoTorch's own best value, 1.7282, is not the best.
BEST_WELDED_BEAM = 5 - 1.58708

_PROBLEMS: dict[str, Callable[[], Problem]] = {
    "branin_currin": lambda: _from_botorch(
        "branin_currin", BraninCurrin(negate=True), "[Belakaria2019]"
    ),
    "constrained_branin_currin": lambda: _from_botorch(
        "constrained_branin_currin",
        ConstrainedBraninCurrin(negate=True),
        "[Daulton2022]; the constraint is a metric",
    ),
    "dtlz2": lambda: _from_botorch(
        "dtlz2", DTLZ2(dim=6, num_objectives=2, negate=True), "[Deb2005]"
    ),
    "c2dtlz2": lambda: _from_botorch(
        "c2dtlz2",
        C2DTLZ2(dim=4, num_objectives=2, negate=True),
        "[Deb2019]; breaking the constraint is a failure",
        fails=True,
    ),
    # BoTorch's reference point (11, 11) lies so far off that everything scores 0.9.
    "zdt3": lambda: _from_botorch(
        "zdt3",
        ZDT3(dim=12, num_objectives=2, negate=True),
        "[Zitzler2000]; a nearer reference",
        reference=np.array([-1.1, -1.1]),
        best=BEST_ZDT3,
    ),
    "vehicle": lambda: _from_botorch("vehicle", VehicleSafety(negate=True), "[Tanabe2020]"),
    "penicillin": lambda: _from_botorch("penicillin", Penicillin(negate=True), "[Liang2021]"),
    "hartmann6": lambda: _from_botorch(
        "hartmann6",
        Hartmann(negate=True),
        "[Picheny2013]; the best value, 1 at the optimum",
        reference=np.zeros(1),
        best=Hartmann(negate=True).optimal_value,
    ),
    "network": _network,
    "sentiment": _sentiment,
    "crash": _crash,
    "islands": _islands,
    "sentiment_flaky": lambda: _sentiment(flaky=0.1),
    "network3": lambda: _network(3),
    "car": lambda: _from_botorch("car", CarSideImpact(negate=True), "[Tanabe2020]; four metrics"),
    "schools": _schools,
    "osy": lambda: _from_botorch(
        "osy",
        OSY(negate=True),
        "[Osyczka1995]; six constraints, each a metric",
        reference=np.array([0.0, -80.0]),
        best=BEST_OSY,
    ),
    "welded_beam": lambda: _from_botorch(
        "welded_beam",
        WeldedBeamSO(negate=True),
        "[Coello2002]; cost below 5 under six constraints, some over many magnitudes",
        reference=np.array([-5.0]),
        best=BEST_WELDED_BEAM,
    ),
    "recipe": lambda: _mixed(
        "recipe",
        mixed.recipe(),
        "ours: a network, accuracy against time, 5 categories, 2 ints, noise",
        reference=[0.55, -0.6],
        best=BEST_RECIPE,
        noise=[0.004, 0.01],
    ),
    "func3c": lambda: _mixed(
        "func3c",
        mixed.func3c(),
        "[Ru2020]; 3 categories, 2 numbers; the best value",
        reference=[0.0],
        best=BEST_FUNC3C,
    ),
    "ackley_mixed": lambda: _mixed(
        "ackley_mixed",
        mixed.ackley(),
        "[Ru2020]; 12 categories, 3 numbers; the best value beyond the median random one",
        reference=[-4.1],
        best=4.1,
    ),
}
#: Those that say how well an optimizer searches, as against those that show one trait of it.
QUALITY = tuple(_PROBLEMS)[:10]
NAMES = tuple(_PROBLEMS)

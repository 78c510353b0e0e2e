"""Functions of categories and numbers, for `benchmarks.problems`.

Each comes as its parameters, in the form of an experiment's spec, and a function of a point that is
maximised.

References:
    [Ru2020] B. Ru, A. Alvi, V. Nguyen, M. Osborne, S. Roberts. Bayesian optimisation over multiple
        continuous and categorical inputs. ICML, 2020 (Func3C, Ackley of categories).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.parameters import category, ints, logs, number
from tradeoff.spec.values import Value

Array = npt.NDArray[np.float64]
Mixed = tuple[list[dict[str, Any]], Callable[[Mapping[str, Value]], Array]]


def func3c() -> Mixed:
    """Three categories choose which functions of two numbers are summed [Ru2020]; one metric."""
    parameters = [category("a", "rcb"), category("b", "rcbde"), category("c", "rcbd")]
    parameters += [number("x", -1, 1), number("y", -1, 1)]

    def evaluate(point: Mapping[str, Value]) -> Array:
        x, y = float(point["x"]), float(point["y"])
        u = 2 * x
        rosenbrock = (100 * (2 * y - u**2) ** 2 + (1 - u) ** 2) / 300
        camel = ((4 - 2.1 * u**2 + u**4 / 3) * u**2 + u * y + (-4 + 4 * y**2) * y**2) / 10
        beale = (
            (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2
        ) / 50
        first = {"r": rosenbrock, "c": camel, "b": beale}
        second = {**first, "d": camel, "e": beale}
        third = {"r": 2 * rosenbrock, "c": 5 * camel, "b": 2 * beale, "d": 3 * beale}
        total = first[str(point["a"])] + second[str(point["b"])] + third[str(point["c"])]
        return np.array([-total])

    return parameters, evaluate


def ackley(categories: int = 12, numbers: int = 3) -> Mixed:
    """Ackley's function, most of whose coordinates are categories without an order [Ru2020].

    The best choice of each category and the best numbers give 0.
    """
    choices = "pqrst"
    values = np.linspace(-1, 1, len(choices))
    rng = np.random.default_rng(7)
    orders = [rng.permutation(len(choices)) for _ in range(categories)]
    parameters = [category(f"c{i}", choices) for i in range(categories)]
    parameters += [number(f"x{i}", -1, 1) for i in range(numbers)]

    def evaluate(point: Mapping[str, Value]) -> Array:
        chosen = [values[orders[i][choices.index(str(point[f"c{i}"]))]] for i in range(categories)]
        z = np.array([*chosen, *(float(point[f"x{i}"]) - 0.2 for i in range(numbers))])
        root = math.sqrt(float((z * z).mean()))
        waves = math.exp(float(np.cos(2 * np.pi * z).mean()))
        return np.array([20 * math.exp(-0.2 * root) + waves - 20 - math.e])

    return parameters, evaluate


def recipe() -> Mixed:
    """Tuning a network with five ways to train it to choose from: accuracy, and minus seconds.

    Each optimizer has learning rates of its own; a deep network without a norm hardly learns;
    augmenting helps large ones and costs time.
    """
    #: By optimizer: logarithm of the best rate, how far from it still learns, accuracy, time.
    optimizers = {
        "sgd": (-0.8, 0.35, 0.0, 1.0),
        "adam": (-2.6, 0.7, -0.004, 1.1),
        "adamw": (-3.2, 0.6, 0.004, 1.15),
        "rmsprop": (-1.6, 0.45, -0.02, 1.0),
    }
    activations = {
        "relu": (0.0, 1.0),
        "gelu": (0.006, 1.1),
        "elu": (-0.01, 1.05),
        "tanh": (-0.05, 0.95),
        "sigmoid": (-0.12, 0.9),
    }
    norms = {"none": (-0.03, 1.0), "batch": (0.0, 1.12), "layer": (0.008, 1.2)}
    schedules = {"constant": -0.02, "cosine": 0.01, "step": -0.005, "linear": 0.004}
    parameters = [
        category("optimizer", optimizers),
        category("activation", activations),
        category("norm", norms),
        category("schedule", schedules),
        category("augment", ["no", "yes"]),
        *logs({"rate": (1e-5, 1.0), "decay": (1e-7, 1e-1)}),
        number("dropout", 0.0, 0.7),
        *ints({"width": (16, 512), "depth": (1, 8)}),
    ]

    def evaluate(point: Mapping[str, Value]) -> Array:
        best, reach, gain, slower = optimizers[str(point["optimizer"])]
        activated, activation_time = activations[str(point["activation"])]
        normed, norm_time = norms[str(point["norm"])]
        plain, augmented = point["norm"] == "none", point["augment"] == "yes"
        width = math.log2(float(point["width"]) / 16) / 5
        depth = (float(point["depth"]) - 1) / 7
        size = 0.6 * width + 0.4 * depth
        off = math.log10(float(point["rate"])) - best + 0.5 * depth * plain + 0.3 * width
        learnt = math.exp(-0.5 * (off / reach / (1.0 if plain else 1.6)) ** 2)
        if plain and depth > 0.6:
            learnt *= 0.3
        decayed = 0.012 * ((math.log10(float(point["decay"])) + 3.5 - size) / 1.5) ** 2
        dropped = (float(point["dropout"]) - 0.2 - 0.3 * size * (1 - 0.5 * augmented)) ** 2
        quality = 0.3 + 0.17 * size - 0.05 * size**2 - decayed - 0.08 * dropped
        quality += gain + activated + normed + schedules[str(point["schedule"])]
        quality += augmented * (0.03 * size - 0.006)
        seconds = 0.05 + 0.7 * width**2 * (0.2 + depth) + 0.1 * depth
        seconds *= norm_time * activation_time * (1 + 0.3 * augmented) * slower
        return np.array([0.5 + learnt * quality, -seconds])

    return parameters, evaluate

"""The question: which networks, how good, how large at most. It needs no Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: 200 kB in single precision. About one in three random configurations is over it.
WEIGHT_LIMIT = 50_000
#: Images that are read at once where the time is taken.
TIMED_BATCH = 256

PARAMETERS: list[dict[str, Any]] = [
    {"name": "blocks", "type": "int", "bounds": {"min": 1, "max": 3}},
    {"name": "filters", "type": "int", "bounds": {"min": 4, "max": 48}},
    {"name": "kernel_size", "type": "int", "bounds": {"min": 2, "max": 5}},
    {"name": "pooling", "type": "categorical", "categorical_values": ["max", "average"]},
    {"name": "dense_units", "type": "int", "bounds": {"min": 8, "max": 128}},
    {
        "name": "activation",
        "type": "categorical",
        "categorical_values": ["relu", "gelu", "tanh", "sigmoid"],
    },
    {"name": "dropout", "type": "double", "bounds": {"min": 0.0, "max": 0.6}},
    {
        "name": "learning_rate",
        "type": "double",
        "bounds": {"min": 1e-5, "max": 1e-1},
        "transformation": "log",
    },
]

#: A network as a tutorial has it, to be beaten.
PLAIN: dict[str, Any] = {
    "blocks": 2,
    "filters": 16,
    "kernel_size": 3,
    "pooling": "max",
    "dense_units": 64,
    "activation": "relu",
    "dropout": 0.25,
    "learning_rate": 2e-3,
}


class TooLarge(Exception):
    """The network has more weights than the limit.

    Attributes:
        weights: how many it has.
    """

    def __init__(self, weights: int) -> None:
        self.weights = weights
        super().__init__(f"{weights:,} weights; the limit is {WEIGHT_LIMIT:,}")


def metrics(*, accuracy: float, inference_ms: float) -> list[Mapping[str, Any]]:
    """The two metrics as the API takes them.

    Args:
        accuracy: threshold; of interest above this.
        inference_ms: threshold; of interest below this.
    """
    return [
        {"name": "accuracy", "objective": "maximize", "threshold": accuracy},
        {"name": "inference_ms", "objective": "minimize", "threshold": inference_ms},
    ]

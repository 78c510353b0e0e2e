"""The question: which networks, how good, how fast. Twelve parameters and two metrics.

The names that begin with `log_` are natural logarithms: the learning rate is `exp(log_lr)`, and the
two betas of Adam are `1 - exp(log_beta)`, so that 0.9 and 0.99 are as far apart as 0.99 and 0.999.
"""

from __future__ import annotations

from typing import Any


def _whole(name: str, low: int, high: int) -> dict[str, Any]:
    return {"name": name, "type": "int", "bounds": {"min": low, "max": high}}


def _real(name: str, low: float, high: float) -> dict[str, Any]:
    return {"name": name, "type": "double", "bounds": {"min": low, "max": high}}


PARAMETERS: list[dict[str, Any]] = [
    _whole("batch_size", 8, 32),
    _whole("conv_1_filter_size", 2, 10),
    _whole("conv_1_num_filters", 32, 256),
    _whole("conv_2_filter_size", 2, 10),
    _whole("conv_2_num_filters", 32, 256),
    _whole("conv_3_filter_size", 2, 10),
    _whole("conv_3_num_filters", 32, 256),
    _real("log_beta_1", -4.6, -0.7),
    _real("log_beta_2", -13.8, -0.7),
    _real("log_decay", -23.0, -2.3),
    _real("log_epsilon", -23.0, -13.8),
    _real("log_lr", -23.0, 0.0),
]

METRICS: list[dict[str, Any]] = [
    {"name": "accuracy", "objective": "maximize"},
    {"name": "inference_ms", "objective": "minimize"},
]

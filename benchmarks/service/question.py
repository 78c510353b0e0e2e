"""What is optimised in every figure: 12 parameters, two objectives, and a training of no time.

Only the standard library, since Optuna's environment reads it as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DOUBLES = tuple(f"rate_{number}" for number in range(5))
INTS = tuple(f"size_{number}" for number in range(7))
LARGEST_INT = 1000

PARAMETERS: list[dict[str, Any]] = [
    *({"name": name, "type": "double", "bounds": {"min": 0.0, "max": 1.0}} for name in DOUBLES),
    *({"name": name, "type": "int", "bounds": {"min": 0, "max": LARGEST_INT}} for name in INTS),
]
#: More than is ever reported.
BUDGET = 100_000
METRICS: list[dict[str, Any]] = [
    {"name": "quality", "objective": "maximize"},
    {"name": "cost", "objective": "minimize"},
]


def measure(assignments: Mapping[str, Any]) -> tuple[float, float]:
    """Quality and cost of a configuration; they compete."""
    scaled = [float(assignments[name]) for name in DOUBLES]
    scaled += [assignments[name] / LARGEST_INT for name in INTS]
    quality = -sum((each - 0.2) ** 2 for each in scaled)
    return quality, sum((each - 0.8) ** 2 for each in scaled)

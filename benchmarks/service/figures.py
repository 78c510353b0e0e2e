"""Percentiles, and how a figure is written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of them do not exceed; not a number when there are none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


@dataclass(frozen=True, slots=True)
class Latency:
    """How long one kind of request took, in milliseconds."""

    count: int
    p50: float
    p95: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latency:
        """Sum up what was measured."""
        shares = (percentile(seconds, share) * 1e3 for share in (0.5, 0.95, 0.99, 1.0))
        return cls(len(seconds), *shares)


def write(value: float | None, unit: str = "") -> str:
    """A figure with three digits that count, or a dash when there is none."""
    if value is None or math.isnan(value):
        return "-"
    digits = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}{unit}"


def ratio(value: float, baseline: float) -> float:
    """How many times the baseline a figure is; not a number without a baseline."""
    return value / baseline if baseline else math.nan

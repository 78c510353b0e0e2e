"""Parameters in the form of an experiment's spec, for what is searched in benchmarks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def number(name: str, low: float, high: float, **more: Any) -> dict[str, Any]:
    """A `double`, unless `more` says what else."""
    return {"name": name, "type": "double", "bounds": {"min": low, "max": high}, **more}


def category(name: str, choices: Iterable[str], **more: Any) -> dict[str, Any]:
    """A `categorical`."""
    return {"name": name, "type": "categorical", "categorical_values": list(choices), **more}


def ints(bounds: Mapping[str, tuple[int, int]]) -> list[dict[str, Any]]:
    """Several ints, by name their ends."""
    return [number(name, low, high, type="int") for name, (low, high) in bounds.items()]


def logs(bounds: Mapping[str, tuple[float, float]]) -> list[dict[str, Any]]:
    """Several doubles on a log scale, by name their ends."""
    return [number(name, *ends, transformation="log") for name, ends in bounds.items()]

"""What was seen so far, as the engine reads it: plain values, no rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tradeoff.spec.values import Value


@dataclass(frozen=True, slots=True)
class Observation:
    """One finished training.

    A transient failure is none: the machine died, and nothing was learnt about the configuration.

    Attributes:
        assignments: value by parameter name, in original units; may lie outside the bounds.
        values: measured value by metric key; empty when `failed`.
        stddevs: standard deviation by metric key, where it is known.
        failed: the configuration could not be evaluated; its region is to be avoided.
    """

    assignments: Mapping[str, Value]
    values: Mapping[str, float]
    stddevs: Mapping[str, float]
    failed: bool


@dataclass(frozen=True, slots=True)
class History:
    """The past of an experiment.

    Attributes:
        observations: in the order of their creation.
        pending: assignments handed out and not observed yet.
    """

    observations: tuple[Observation, ...] = ()
    pending: tuple[Mapping[str, Value], ...] = ()

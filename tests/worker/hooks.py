"""Engines for the child process that answer at once, or do not behave; found by their names."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

from tradeoff.engine import design
from tradeoff.engine.exchange import Candidate, Effort, Suggested
from tradeoff.engine.state import State
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.history import History

#: An experiment with this budget is the poisonous one.
POISON_BUDGET = 666
#: More than these engines need by themselves, and soon eaten up.
MEMORY = 500 * 2**20


def quick(
    spec: ExperimentSpec,
    history: History,
    q: int,
    state: State,
    *,
    device: str = "cpu",
    effort: Effort = "full",
) -> Suggested:
    """Points that tell what they were asked for."""
    first = 1_000 + len(history.observations) + len(history.pending)
    points = design.space_filling(spec, seed=state.seed, start=first, count=q)
    told = {
        "reason": None,
        "device": device,
        "effort": effort,
        "observations": len(history.observations),
    }
    return Suggested(tuple(Candidate(point, "model", told) for point in points), state)


def raises_for_poison(spec: ExperimentSpec, *asked: Any, **options: Any) -> Suggested:
    """Never answers the poisonous experiment."""
    if spec.observation_budget == POISON_BUDGET:
        raise ArithmeticError("poison")
    return quick(spec, *asked, **options)


def takes_long_for_poison(spec: ExperimentSpec, *asked: Any, **options: Any) -> Suggested:
    """Answers the poisonous experiment when all the others are forgotten."""
    if spec.observation_budget == POISON_BUDGET:
        time.sleep(3_600)
    return quick(spec, *asked, **options)


def eats_memory_for_poison(spec: ExperimentSpec, *asked: Any, **options: Any) -> Suggested:
    """Takes ever more memory for the poisonous experiment."""
    eaten: list[bytes] = []
    while spec.observation_budget == POISON_BUDGET:
        eaten.append(os.urandom(1) * 2**25)
        time.sleep(0.01)
    return quick(spec, *asked, **options)


def gpu_breaks(*asked: Any, device: str, **options: Any) -> Suggested:
    """As the engine does when a CUDA call raises: the CPU answers, and it says so."""
    answer = quick(*asked, device=device, **options)
    return answer if device == "cpu" else replace(answer, gpu_failed=True)


def gpu_kills(*asked: Any, device: str, **options: Any) -> Suggested:
    """A driver that takes the whole process down."""
    if device != "cpu":
        os.abort()
    return quick(*asked, device=device, **options)

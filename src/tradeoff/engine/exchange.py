"""What passes between the engine and whoever asks it.

Nothing here computes, so that asking takes no torch, which costs seconds and 150 MB to import.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tradeoff.engine.state import State
from tradeoff.spec.values import Value

#: Who made a suggestion.
Source = Literal["model", "space_filling"]
#: How much to attempt: everything; a model of fewer observations; of these, and a shorter search.
Effort = Literal["full", "subset", "light"]

#: Below this many rows times metrics launching kernels costs a GPU more than one core computes.
WORTH_A_GPU = 1_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """One suggestion.

    Attributes:
        assignments: value by parameter and conditional name.
        source: who made it.
        explanation: why this point, JSON-able; see `engine.suggest.suggest`.
    """

    assignments: dict[str, Value]
    source: Source
    explanation: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Suggested:
    """Candidates, and what to remember for the next call.

    Attributes:
        candidates: best first; each takes those before it for granted.
        state: to be given to the next call.
        gpu_failed: the GPU raised and the CPU answered; a CUDA context that had an error is not to
            be used again, so the caller should end this process.
    """

    candidates: tuple[Candidate, ...]
    state: State
    gpu_failed: bool = False


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well one metric was predicted at observations that were left out.

    Attributes:
        observations: how many were left out, one at a time.
        explained: share of the variance that the predictions explain, at most 1; below 0 the
            average would have been a better prediction.
        coverage: share of the observations inside their 95 % interval; 0.95 is right.
    """

    observations: int
    explained: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the models say about an experiment as a whole.

    Attributes:
        importances: by metric key, the share of each dimension by its name.
        failure: the share of each dimension in whether a configuration fails; `None` when
            nothing failed.
        calibrations: by metric key.
    """

    importances: dict[str, dict[str, float]]
    failure: dict[str, float] | None
    calibrations: dict[str, Calibration]


def is_worth_a_gpu(*, rows: int, metrics: int) -> bool:
    """Whether a GPU, where there is one, is faster than one core.

    Args:
        rows: number of observations.
        metrics: number of modelled metrics.
    """
    return rows * metrics >= WORTH_A_GPU

"""Two searches with one budget, side by side, and the numbers that compare them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tradeoff.client.resources import Experiment
from tradeoff.engine import pareto


@dataclass(frozen=True)
class Trial:
    """One configuration that was tried.

    Attributes:
        number: from 1.
        source: who proposed it, as its suggestion says: `model`, `space_filling`, `random`, …
        weights: number of the network's weights.
        accuracy: `None` if the configuration failed.
        inference_ms: `None` if the configuration failed.
    """

    number: int
    source: str
    weights: int
    accuracy: float | None = None
    inference_ms: float | None = None

    @property
    def failed(self) -> bool:
        """Whether it was over the size limit."""
        return self.accuracy is None


@dataclass(frozen=True)
class Reference:
    """The worst values of interest; only what is better in both metrics counts.

    Attributes:
        accuracy: of interest above this.
        inference_ms: of interest below this.
    """

    accuracy: float
    inference_ms: float

    def is_met(self, trial: Trial) -> bool:
        """Tell whether a trial is better in both metrics."""
        return (
            trial.accuracy is not None
            and trial.inference_ms is not None
            and trial.accuracy > self.accuracy
            and trial.inference_ms < self.inference_ms
        )

    def hypervolume(self, trials: Sequence[Trial]) -> float:
        """The area between the reference and the trials' front, as a share of all there is.

        Returns:
            0 while no trial is better than the reference; 1 would be accuracy 1 in no time.
        """
        outcomes = [
            (trial.accuracy, -trial.inference_ms)
            for trial in trials
            if trial.accuracy is not None and trial.inference_ms is not None
        ]
        area = pareto.hypervolume(outcomes, (self.accuracy, -self.inference_ms))
        return area / ((1.0 - self.accuracy) * self.inference_ms)


@dataclass
class Search:
    """An experiment, and what became of its suggestions.

    Attributes:
        name: as the user reads it.
        experiment: on the server.
        trials: in their order.
    """

    name: str
    experiment: Experiment
    trials: list[Trial] = field(default_factory=list)

    def failures_by_source(self) -> dict[str, tuple[int, int]]:
        """How many trials failed, and of how many, by who proposed them."""
        return failures_by_source(self.trials)


def failures_by_source(trials: Sequence[Trial]) -> dict[str, tuple[int, int]]:
    """Count failures and trials by source, in the order of appearance."""
    counts: dict[str, tuple[int, int]] = {}
    for trial in trials:
        failed, count = counts.get(trial.source, (0, 0))
        counts[trial.source] = (failed + trial.failed, count + 1)
    return counts

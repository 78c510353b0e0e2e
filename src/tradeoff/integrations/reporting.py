"""From what a library logs to the checkpoints of a suggestion."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tradeoff.client.suggestions import Suggestion

logger = logging.getLogger(__name__)

#: The experiment's metric, and what the library calls it; or names that both share.
Names = Mapping[str, str] | Sequence[str] | str


class Reporter:
    """Reports some of what a library logs as checkpoints of a suggestion.

    Args:
        suggestion: what is trained.
        metrics: the name that each metric of the experiment has in the library's logs, such as
            `{"accuracy": "val_accuracy"}`; or the names alone where they are the same.
        every: only each so many steps are reported, the first, and those that are divisible.

    Raises:
        ValueError: when no metric is named, or `every` is no positive number.
    """

    def __init__(self, suggestion: Suggestion, metrics: Names, *, every: int = 1) -> None:
        self.suggestion = suggestion
        self.metrics = _named(metrics)
        if not self.metrics:
            raise ValueError("metrics: name one at least, such as {'accuracy': 'val_accuracy'}")
        if every < 1:
            raise ValueError(f"every: must be 1 or more, not {every}")
        self.every = every
        self._warned = False

    def should_stop(self, step: int, logged: Mapping[str, Any]) -> bool:
        """Report a step, and tell whether the training should end.

        Nothing is reported when none of the metrics was measured in this step; a library may well
        validate in every other epoch only.

        Args:
            step: how far the training is, counted from 1.
            logged: everything that the library logged, by its own names.

        Raises:
            BadRequest: when the experiment has no such metric.
            ValueError: when a value is not finite: in `with suggestion:` that is a failure.
        """
        if step != 1 and step % self.every:
            return False
        measured = {
            metric: float(logged[name]) for metric, name in self.metrics.items() if name in logged
        }
        if not measured:
            self._warn(logged)
            return False
        return self.suggestion.checkpoint(measured, step=step).should_stop

    def _warn(self, logged: Mapping[str, Any]) -> None:
        if not self._warned:
            logger.warning(
                "nothing is reported: %s not among what was logged: %s",
                ", ".join(self.metrics.values()),
                ", ".join(sorted(logged)) or "nothing",
            )
            self._warned = True


def _named(metrics: Names) -> dict[str, str]:
    if isinstance(metrics, Mapping):
        return dict(metrics)
    names = [metrics] if isinstance(metrics, str) else metrics
    return {name: name for name in names}

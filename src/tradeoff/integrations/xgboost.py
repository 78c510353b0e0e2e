"""A callback for XGBoost: rounds of boosting are checkpoints, and the server may end them.

with suggestion:
    booster = xgboost.train(
        suggestion.assignments, train, num_boost_round=500, evals=[(valid, "valid")],
        callbacks=[TradeoffCallback(suggestion, {"auc": "valid-auc"}, every=10)],
    )
    suggestion.observe(auc=float(booster.eval(valid).split(":")[1]))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xgboost

from tradeoff.client.suggestions import Suggestion
from tradeoff.integrations.reporting import Names, Reporter


class TradeoffCallback(xgboost.callback.TrainingCallback):
    """Reports the evaluation of rounds, and stops the training when the server says so.

    Args:
        suggestion: what is trained.
        metrics: the name that each metric of the experiment has in XGBoost's output, such as
            `{"auc": "valid-auc"}`: the data's name, a dash, and the metric's. With
            `xgboost.cv` it is the mean over the folds.
        every: only each so many rounds are reported; rounds are fast, and a report is a request.
    """

    def __init__(self, suggestion: Suggestion, metrics: Names, *, every: int = 10) -> None:
        super().__init__()
        self._reporter = Reporter(suggestion, metrics, every=every)

    def after_iteration(
        self, model: Any, epoch: int, evals_log: Mapping[str, Mapping[str, list[Any]]]
    ) -> bool:
        """Report a round, which XGBoost counts from 0; true ends the training."""
        logged = {
            f"{data}-{metric}": _mean(values[-1])
            for data, metrics in evals_log.items()
            for metric, values in metrics.items()
        }
        return self._reporter.should_stop(epoch + 1, logged)


def _mean(value: Any) -> Any:
    """Cross-validation logs mean and standard deviation."""
    return value[0] if isinstance(value, tuple) else value

"""A callback for LightGBM: rounds of boosting are checkpoints, and the server may end them.

with suggestion:
    booster = lightgbm.train(
        suggestion.assignments, train, num_boost_round=500, valid_sets=[valid],
        callbacks=[TradeoffCallback(suggestion, {"auc": "valid_0-auc"}, every=10)],
    )
    suggestion.observe(auc=booster.best_score["valid_0"]["auc"])
"""

from __future__ import annotations

from typing import Any

from lightgbm.callback import CallbackEnv, EarlyStopException

from tradeoff.client.suggestions import Suggestion
from tradeoff.integrations.reporting import Names, Reporter


class TradeoffCallback:
    """Reports the evaluation of rounds, and stops the training when the server says so.

    Stopped, a booster predicts with all rounds that it has trained.

    Args:
        suggestion: what is trained.
        metrics: the name that each metric of the experiment has in LightGBM's output, such as
            `{"auc": "valid_0-auc"}`: the data's name, a dash, and the metric's.
        every: only each so many rounds are reported; rounds are fast, and a report is a request.
    """

    #: After LightGBM's own callbacks, which have 30 at most.
    order = 40
    before_iteration = False

    def __init__(self, suggestion: Suggestion, metrics: Names, *, every: int = 10) -> None:
        self._reporter = Reporter(suggestion, metrics, every=every)

    def __call__(self, env: CallbackEnv) -> None:
        """Report a round, which LightGBM counts from 0.

        Raises:
            EarlyStopException: to end the training, as LightGBM asks of its callbacks.
        """
        results: list[Any] = env.evaluation_result_list or []
        # The first three of what may be a plain tuple: data, metric, value.
        logged = {f"{each[0]}-{each[1]}": each[2] for each in results}
        if self._reporter.should_stop(env.iteration + 1, logged):
            raise EarlyStopException(env.iteration, results)

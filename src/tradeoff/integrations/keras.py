"""A callback for Keras 3: each epoch is a checkpoint, and the server may end the training.

    with suggestion:
        history = model.fit(x, y, epochs=50, validation_split=0.2, callbacks=[
            TradeoffCallback(suggestion, {"accuracy": "val_accuracy"}),
        ])
        suggestion.observe(accuracy=max(history.history["val_accuracy"]))

A loss that is no number raises, so that the `with` block reports a failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tradeoff.client.suggestions import Suggestion
from tradeoff.integrations.reporting import Names, Reporter


class TradeoffCallback(keras.callbacks.Callback):
    """Reports the metrics of each epoch, and stops the training when the server says so.

    Args:
        suggestion: what is trained.
        metrics: the name that each metric of the experiment has in Keras's logs, such as
            `{"accuracy": "val_accuracy"}`.
        every: only each so many epochs are reported.
    """

    def __init__(self, suggestion: Suggestion, metrics: Names, *, every: int = 1) -> None:
        super().__init__()
        self._reporter = Reporter(suggestion, metrics, every=every)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report what the epoch, which Keras counts from 0, has logged."""
        if self._reporter.should_stop(epoch + 1, logs or {}):
            self.model.stop_training = True

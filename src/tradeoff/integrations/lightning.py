"""A callback for Lightning: each epoch is a checkpoint, and the server may end the training.

    with suggestion:
        trainer = Trainer(max_epochs=50, callbacks=[TradeoffCallback(suggestion, ["val_acc"])])
        trainer.fit(model, data)
        suggestion.observe(val_acc=trainer.callback_metrics["val_acc"].item())

With several processes the first one reports, and all of them stop together.
"""

from __future__ import annotations

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from tradeoff.client.suggestions import Suggestion
from tradeoff.integrations.reporting import Names, Reporter


class TradeoffCallback(Callback):
    """Reports what was logged in each epoch, and stops the training when the server says so.

    Args:
        suggestion: what is trained.
        metrics: the name that each metric of the experiment has in `self.log(...)`, such as
            `{"accuracy": "val_acc"}`.
        every: only each so many epochs are reported.
    """

    def __init__(self, suggestion: Suggestion, metrics: Names, *, every: int = 1) -> None:
        self._reporter = Reporter(suggestion, metrics, every=every)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the epoch, whose validation is over by now."""
        stop = False
        if trainer.is_global_zero:
            stop = self._reporter.should_stop(trainer.current_epoch + 1, trainer.callback_metrics)
        # One process that goes on alone would wait for the others for ever.
        if trainer.strategy.broadcast(stop):
            trainer.should_stop = True

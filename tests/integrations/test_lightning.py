from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integrations.conftest import Begin, checkpoints_of

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("libraries")]


def fit(callback: Any, *, epochs: int, folder: Path) -> int:
    """Train a line, and say for how many epochs."""
    import lightning.pytorch as pl
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    class Line(pl.LightningModule):  # type: ignore[misc]  # without types
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            return torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])

        def validation_step(self, batch: Any, index: int) -> None:
            self.log("val_loss", torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1]))

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    x = torch.linspace(-1, 1, 32).reshape(-1, 1)
    data = DataLoader(TensorDataset(x, 3 * x), batch_size=16)
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[callback],
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Line(), data, data)
    return int(trainer.current_epoch)


def test_each_epoch_is_a_checkpoint(begin: Begin, tmp_path: Path) -> None:
    from tradeoff.integrations.lightning import TradeoffCallback

    suggestion = begin(hopeless=False)

    trained = fit(TradeoffCallback(suggestion, {"loss": "val_loss"}), epochs=3, folder=tmp_path)

    assert trained == 3
    found = checkpoints_of(suggestion)
    assert [each["step"] for each in found] == [1, 2, 3]
    losses = [each["values"][0]["value"] for each in found]
    assert losses == sorted(losses, reverse=True)


def test_a_hopeless_training_ends_early(begin: Begin, tmp_path: Path) -> None:
    from tradeoff.integrations.lightning import TradeoffCallback

    suggestion = begin(hopeless=True)

    trained = fit(TradeoffCallback(suggestion, {"loss": "val_loss"}), epochs=8, folder=tmp_path)

    assert trained == len(checkpoints_of(suggestion)) == 1

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.integrations.conftest import Begin, checkpoints_of

pytest.importorskip("keras")

pytestmark = pytest.mark.filterwarnings("ignore")


def fit(*callbacks: Any, epochs: int) -> Any:
    import keras

    x = np.linspace(-1, 1, 64, dtype="float32").reshape(-1, 1)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    return model.fit(
        x, 3 * x, epochs=epochs, validation_split=0.5, verbose=0, callbacks=list(callbacks)
    )


def test_each_epoch_is_a_checkpoint(begin: Begin) -> None:
    from tradeoff.integrations.keras import TradeoffCallback

    suggestion = begin(hopeless=False)

    history = fit(TradeoffCallback(suggestion, {"loss": "val_loss"}), epochs=3)

    found = checkpoints_of(suggestion)
    assert [each["step"] for each in found] == [1, 2, 3]
    assert [each["values"][0]["value"] for each in found] == history.history["val_loss"]


def test_a_hopeless_training_ends_early(begin: Begin) -> None:
    from tradeoff.integrations.keras import TradeoffCallback

    suggestion = begin(hopeless=True)

    history = fit(TradeoffCallback(suggestion, {"loss": "val_loss"}), epochs=8)

    assert len(history.history["loss"]) == 1
    (told,) = checkpoints_of(suggestion)
    assert told["should_stop"]

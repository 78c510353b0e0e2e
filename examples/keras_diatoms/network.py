"""The training: Wang et al.'s fully convolutional network, in Keras 3.

Three blocks of convolution, batch normalisation and ReLU, then the mean over time and a softmax.
Keras takes its back end from the environment as it is imported; whoever imports this has set it.

    Z. Wang, W. Yan, T. Oates. Time series classification from scratch with deep neural networks: a
    strong baseline. IJCNN, 2017.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from diatoms import Diatoms, Series
from keras import layers

WARM_UPS = 5
REPEATS = 30
#: With the default of 0.99 the averages lag so far behind in short trainings that a network which
#: reads its training series well reads no others (0.08 against 0.32 after 40 epochs).
MOMENTUM = 0.9


class Diverged(Exception):
    """The training has left all numbers behind: its steps are too long."""


@dataclass(frozen=True)
class Measured:
    """What a training gave.

    Attributes:
        accuracy: share of the validation series that are read rightly after the last epoch.
        inference_ms: time to read all of them at once, from array to array.
        weights: number of the network's weights.
        train_seconds: what the training took.
    """

    accuracy: float
    inference_ms: float
    weights: int
    train_seconds: float


def measure(
    assignments: Mapping[str, Any],
    data: Diatoms,
    *,
    epochs: int,
    after_epoch: Callable[[int, float], None] = lambda _epoch, _loss: None,
) -> Measured:
    """Build a network, train it, and measure it.

    Args:
        assignments: a value for each parameter of `question`.
        data: to train and to validate with.
        epochs: of the training.
        after_epoch: is told the number of each epoch, from 1, and its loss.

    Raises:
        Diverged: if the loss is not finite.
    """
    began = time.perf_counter()
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    model = build(assignments, length=data.train.shape[1], classes=data.classes)
    model.compile(optimizer=adam(assignments), loss="sparse_categorical_crossentropy")
    model.fit(
        data.train,
        data.train_labels,
        batch_size=assignments["batch_size"],
        epochs=epochs,
        verbose=0,
        callbacks=[_Watch(after_epoch)],
    )
    train_seconds = time.perf_counter() - began
    scores = model.predict_on_batch(data.validate)
    if not np.isfinite(scores).all():
        raise Diverged("the network answers what is not a number")
    return Measured(
        accuracy=float((scores.argmax(axis=1) == data.validate_labels).mean()),
        inference_ms=time_inference(model, data.validate),
        weights=model.count_params(),
        train_seconds=train_seconds,
    )


def build(assignments: Mapping[str, Any], *, length: int, classes: int) -> Any:
    """Build the network for series of a length."""
    model = keras.Sequential([keras.Input((length, 1))])
    for block in (1, 2, 3):
        filters = assignments[f"conv_{block}_num_filters"]
        size = assignments[f"conv_{block}_filter_size"]
        model.add(layers.Conv1D(filters, size, padding="same"))
        model.add(layers.BatchNormalization(momentum=MOMENTUM))
        model.add(layers.Activation("relu"))
    model.add(layers.GlobalAveragePooling1D())
    model.add(layers.Dense(classes, activation="softmax"))
    return model


def time_inference(model: Any, batch: Series) -> float:
    """Take the time that a network needs for a batch, in milliseconds.

    The first calls compile and fill caches, and are not counted; of the others the median is taken.
    On a CPU the clock is this thread's own, which stands still while another program has the core,
    so the network has to run in one thread (`tune.prepare` sees to it).
    """
    device = str(getattr(model.weights[0].value, "device", "cpu")).lower()
    clock = time.thread_time if "cpu" in device else time.perf_counter
    for _ in range(WARM_UPS):
        model.predict_on_batch(batch)
    seconds = []
    for _ in range(REPEATS):
        began = clock()
        model.predict_on_batch(batch)  # gives an array, so the device is done when it returns
        seconds.append(clock() - began)
    return float(1e3 * np.median(seconds))


def adam(assignments: Mapping[str, Any]) -> Any:
    """Build the optimizer, whose steps shrink as time goes on."""
    rate = keras.optimizers.schedules.InverseTimeDecay(
        math.exp(assignments["log_lr"]), 1, math.exp(assignments["log_decay"])
    )
    return keras.optimizers.Adam(
        rate,
        beta_1=1 - math.exp(assignments["log_beta_1"]),
        beta_2=1 - math.exp(assignments["log_beta_2"]),
        epsilon=math.exp(assignments["log_epsilon"]),
    )


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Tells of each epoch, and ends a training whose loss is no number any more."""

    def __init__(self, after_epoch: Callable[[int, float], None]) -> None:
        super().__init__()
        self._after_epoch = after_epoch

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        loss = (logs or {})["loss"]
        if not math.isfinite(loss):
            raise Diverged(f"the loss is {loss} after {epoch + 1} epochs")
        self._after_epoch(epoch + 1, loss)

"""The training: a convolutional network on scikit-learn's handwritten digits.

Two things are wanted of it that pull apart: accuracy on images that it was not trained on, and the
time that it takes to read a batch of them. Networks over `WEIGHT_LIMIT` fail before training, as
they would on the device that has to hold them.

Keras takes its back end, and torch the number of its threads, from the environment: whoever
imports this module has set it before (`run.prepare_libraries`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers
from sklearn import datasets, model_selection

from tradeoff.demo.question import TIMED_BATCH, WEIGHT_LIMIT, TooLarge

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

EPOCHS = 7
TRAINING_BATCH = 64
WARM_UPS = 5
REPEATS = 40


@dataclass(frozen=True)
class Measured:
    """What a training gave.

    Attributes:
        accuracy: share of the validation images that are read rightly.
        inference_ms: time to read `TIMED_BATCH` images at once, from array to array, on one core.
        weights: number of the network's weights.
        seconds: what the training took.
    """

    accuracy: float
    inference_ms: float
    weights: int
    seconds: float


class Digits:
    """The 1,797 images of 8 x 8 pixels, half to train with and half to validate.

    Args:
        seed: of the split, and of each network's first weights.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        images, labels = datasets.load_digits(return_X_y=True)
        scaled = (images / 16).astype(np.float32).reshape(-1, 8, 8, 1)
        self._train: tuple[Images, Labels]
        self._validate: tuple[Images, Labels]
        train, validate, train_labels, validate_labels = model_selection.train_test_split(
            scaled, labels, test_size=0.5, random_state=seed, stratify=labels
        )
        self._train = (train, train_labels)
        self._validate = (validate, validate_labels)

    def measure(self, assignments: Mapping[str, Any]) -> Measured:
        """Build a network, train it, and measure it.

        Raises:
            TooLarge: if it is over `WEIGHT_LIMIT`; it is not trained then.
        """
        began = time.perf_counter()
        keras.utils.clear_session()
        keras.utils.set_random_seed(self._seed)
        model = build(**assignments)
        weights = model.count_params()
        if weights > WEIGHT_LIMIT:
            raise TooLarge(weights)
        _fit(model, *self._train, learning_rate=assignments["learning_rate"])
        images, labels = self._validate
        scores = model.predict_on_batch(images)
        return Measured(
            accuracy=float((scores.argmax(axis=1) == labels).mean()),
            inference_ms=time_inference(model, images[:TIMED_BATCH]),
            weights=weights,
            seconds=time.perf_counter() - began,
        )


def build(
    *,
    blocks: int,
    filters: int,
    kernel_size: int,
    pooling: str,
    dense_units: int,
    activation: str,
    dropout: float,
    learning_rate: float,
) -> Any:
    """Build a network; the learning rate is for its training."""
    model = keras.Sequential([keras.Input((8, 8, 1))])
    for _ in range(blocks):
        model.add(layers.Conv2D(filters, kernel_size, padding="same", activation=activation))
    model.add({"max": layers.MaxPooling2D, "average": layers.AveragePooling2D}[pooling](2))
    model.add(layers.Flatten())
    model.add(layers.Dropout(dropout))
    model.add(layers.Dense(dense_units, activation=activation))
    model.add(layers.Dense(10))
    return model


def time_inference(model: Any, batch: Images) -> float:
    """Take the time that a network needs for one batch.

    The first calls are slower and not counted. The clock is this thread's own, which on a quiet
    machine goes as the one on the wall, and stands still while another program has the core:
    on two cores with a load of six the medians of one network varied by a fifth with it, and by
    the fourfold on the wall.

    Returns:
        Milliseconds, the median of `REPEATS`.
    """
    for _ in range(WARM_UPS):
        model.predict_on_batch(batch)
    seconds = []
    for _ in range(REPEATS):
        began = time.thread_time()
        model.predict_on_batch(batch)
        seconds.append(time.thread_time() - began)
    return float(1e3 * np.median(seconds))


def _fit(model: Any, images: Images, labels: Labels, *, learning_rate: float) -> None:
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(images, labels, batch_size=TRAINING_BATCH, epochs=EPOCHS, verbose=0)

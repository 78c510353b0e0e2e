"""The training: Kim's convolutional text classifier, in MXNet's Gluon.

Y. Kim. Convolutional neural networks for sentence classification. EMNLP, 2014.
"""

import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import mxnet as mx
import numpy as np
from mxnet import autograd, gluon
from mxnet.gluon import nn
from reviews import Reviews

#: As in the paper: so many words at once, and so many filters for each.
WIDTHS, FILTERS = (3, 4, 5), 100
#: Of the search that leaves the architecture alone.
EMBED_DIM = 200


class TooLong(Exception):
    """The training has taken longer than it may."""


class TooWeak(Exception):
    """The training has ended below the accuracy that is of use."""


class Trained(NamedTuple):
    """What a training gave: share of the validation sentences read rightly, and seconds."""

    accuracy: float
    seconds: float


class TextCNN(gluon.HybridBlock):
    """Words, filters over three, four and five of them, the largest answer of each, a score."""

    def __init__(self, words: int, embed_dim: int, dropout: float, filters: int) -> None:
        super().__init__()
        with self.name_scope():
            # A step meets few of the words: sparse gradients nearly halve its time. A word's vector
            # begins about as long as 1: Xavier's, for so many words, has next to no length.
            self.embedding = nn.Embedding(
                words,
                embed_dim,
                weight_initializer=mx.init.Uniform(math.sqrt(3 / embed_dim)),
                sparse_grad=True,
            )
            self.filters = nn.HybridSequential()
            for width in WIDTHS:
                self.filters.add(nn.Conv1D(filters, width, activation="relu"))
            self.dropout = nn.Dropout(dropout)
            self.score = nn.Dense(1)

    def hybrid_forward(self, ops: Any, x: Any) -> Any:
        """Scores, above 0 for a good review."""
        embedded = self.embedding(x).transpose((0, 2, 1))
        largest = [ops.max(convolve(embedded), axis=2) for convolve in self.filters]
        return self.score(self.dropout(ops.concat(*largest, dim=1)))


def train(
    assignments: Mapping[str, Any],
    data: Reviews,
    *,
    least_accuracy: float,
    most_seconds: float,
    context: mx.Context,
    divided_by: int = 1,
) -> Trained:
    """Train a classifier.

    Args:
        assignments: `dropout`, `log_learning_rate`, `batch_size`, `max_grad_norm`, `epochs`, and
            perhaps `embed_dim`.
        data: to train and to validate with.
        least_accuracy: what is below fails.
        most_seconds: what trains longer is given up and fails.
        context: where.
        divided_by: so many times fewer filters, and shorter vectors of words unless `embed_dim` is
            given; for a trial.

    Raises:
        TooLong: after `most_seconds`.
        TooWeak: below `least_accuracy`.
    """
    mx.random.seed(0)
    embed_dim = assignments.get("embed_dim", EMBED_DIM // divided_by)
    model = TextCNN(data.words, embed_dim, assignments["dropout"], FILTERS // divided_by)
    model.initialize(mx.init.Xavier(), ctx=context)
    model.hybridize(static_alloc=True, static_shape=True)
    rate = math.exp(assignments["log_learning_rate"])
    trainer = gluon.Trainer(model.collect_params(), "sgd", {"learning_rate": rate, "wd": 0.0})
    loss_of = gluon.loss.SigmoidBinaryCrossEntropyLoss()
    loss_of.hybridize()
    # The weights get their shapes when first used, and the trainer needs those that are dense.
    model(mx.nd.array(data.train[:1], ctx=context))
    orders = np.random.RandomState(0)
    began = time.perf_counter()
    for _ in range(assignments["epochs"]):
        order = orders.permutation(len(data.train))
        for start in range(0, len(order), assignments["batch_size"]):
            some = order[start : start + assignments["batch_size"]]
            x = mx.nd.array(data.train[some], ctx=context)
            y = mx.nd.array(data.train_labels[some], ctx=context)
            with autograd.record():
                loss = loss_of(model(x), y)
            loss.backward()
            # Gradients are sums, which the step divides; a larger divisor shortens all of them.
            length = _gradient_norm(model, context) / len(x)
            trainer.step(len(x) * max(1.0, length / assignments["max_grad_norm"]))
            # MXNet works behind our back; without waiting the clock would tell nothing.
            mx.nd.waitall()
            if time.perf_counter() - began > most_seconds:
                raise TooLong(f"more than {most_seconds:g} seconds")
    seconds = time.perf_counter() - began
    accuracy = _accuracy(model, data, context)
    if not accuracy >= least_accuracy:
        raise TooWeak(f"accuracy {accuracy:.3f}, and {least_accuracy:g} is wanted")
    return Trained(accuracy, seconds)


def _gradient_norm(model: TextCNN, context: mx.Context) -> float:
    """Length of the gradient, all weights together."""
    gradients = [each.grad(context) for each in model.collect_params().values()]
    # Of a sparse one the rows that are there, or MXNet would fill in the others.
    values = [each.data if each.stype == "row_sparse" else each for each in gradients]
    # Asked for once: each number that is waited for costs as much as a small layer.
    return float(mx.nd.concat(*(each.norm() for each in values), dim=0).norm().asscalar())


def _accuracy(model: TextCNN, data: Reviews, context: mx.Context) -> float:
    right = 0
    for start in range(0, len(data.validate), 200):
        scores = model(mx.nd.array(data.validate[start : start + 200], ctx=context)).asnumpy()
        right += int(((scores[:, 0] > 0) == (data.validate_labels[start : start + 200] > 0)).sum())
    return right / len(data.validate)

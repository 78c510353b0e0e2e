"""The training: Kim's convolutional text classifier, in MXNet's Gluon.

Y. Kim. Convolutional neural networks for sentence classification. EMNLP, 2014.
"""

import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import mxnet as mx
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

    def __init__(self, words: int, embed_dim: int, dropout: float) -> None:
        super().__init__()
        with self.name_scope():
            # A step meets few of the words: sparse gradients nearly halve its time.
            self.embedding = nn.Embedding(words, embed_dim, sparse_grad=True)
            self.filters = nn.HybridSequential()
            for width in WIDTHS:
                self.filters.add(nn.Conv1D(FILTERS, width, activation="relu"))
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
) -> Trained:
    """Train a classifier.

    Args:
        assignments: `dropout`, `log_learning_rate`, `batch_size`, `max_grad_norm`, `epochs`, and
            perhaps `embed_dim`.
        data: to train and to validate with.
        least_accuracy: what is below fails.
        most_seconds: what trains longer is given up and fails.
        context: where.

    Raises:
        TooLong: after `most_seconds`.
        TooWeak: below `least_accuracy`.
    """
    mx.random.seed(0)
    model = TextCNN(data.words, assignments.get("embed_dim", EMBED_DIM), assignments["dropout"])
    model.initialize(mx.init.Xavier(), ctx=context)
    rate = math.exp(assignments["log_learning_rate"])
    trainer = gluon.Trainer(model.collect_params(), "sgd", {"learning_rate": rate, "wd": 0.0})
    loss_of = gluon.loss.SigmoidBinaryCrossEntropyLoss()
    # The weights get their shapes when first used, and the trainer needs those that are dense.
    model(mx.nd.array(data.train[:1], ctx=context))
    batches = gluon.data.DataLoader(
        gluon.data.ArrayDataset(data.train, data.train_labels),
        batch_size=assignments["batch_size"],
        shuffle=True,
    )
    began = time.perf_counter()
    for _ in range(assignments["epochs"]):
        for x, y in batches:
            with autograd.record():
                loss = loss_of(model(x.as_in_context(context)), y.as_in_context(context))
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
    return math.sqrt(sum(float(each.norm().asscalar()) ** 2 for each in values))


def _accuracy(model: TextCNN, data: Reviews, context: mx.Context) -> float:
    right = 0
    for start in range(0, len(data.validate), 200):
        scores = model(mx.nd.array(data.validate[start : start + 200], ctx=context)).asnumpy()
        right += int(((scores[:, 0] > 0) == (data.validate_labels[start : start + 200] > 0)).sum())
    return right / len(data.validate)

"""Many fully convolutional networks trained at once, each as `examples/keras_diatoms` trains one.

Networks are padded to the largest of their number: kernels with zeros around them, filters with
channels whose normalisation has the scale 0. Neither gets a gradient, so each network learns as if
it were alone; `tests/benchmarks/test_headline.py` holds it against Keras, step by step.

`B` networks, `N` series in a step, `C` channels in, `F` filters, `K` kernel size, `L` length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from examples.keras_diatoms.diatoms import Diatoms

MOMENTUM = 0.9
#: Keras adds it to a variance.
EPSILON = 1e-3
BLOCKS = (1, 2, 3)
#: Series that are read at once to validate.
READ = 64


def train(
    configurations: Sequence[Mapping[str, Any]],
    data: Diatoms,
    *,
    epochs: int,
    seeds: Sequence[int],
    device: torch.device,
    after_step: Callable[[int, int], None] = lambda _step, _steps: None,
) -> list[float | None]:
    """Train networks together.

    Args:
        configurations: a value for each parameter of the question, `B` of them.
        data: to train and to validate with.
        epochs: of each.
        seeds: of each network's first weights and of the order of its series.
        device: where.
        after_step: is told how many of how many steps are done.

    Returns:
        The validation accuracy of each; `None` where the training has diverged.
    """
    stack = Stack(configurations, length_classes=data.classes, seeds=seeds, device=device)
    x = torch.as_tensor(data.train[..., 0], device=device)
    y = torch.as_tensor(data.train_labels, device=device)
    orders = [
        _order(len(x), c["batch_size"], epochs, seed)
        for c, seed in zip(configurations, seeds, strict=True)
    ]
    rows = max(c["batch_size"] for c in configurations)
    steps = [epochs * math.ceil(len(x) / c["batch_size"]) for c in configurations]
    for step in range(max(steps)):
        chosen = np.zeros((rows, len(orders)), dtype=np.int64)
        weight = np.zeros((rows, len(orders)), dtype=np.float32)
        for k, order in enumerate(orders):
            some = next(order, ())
            chosen[: len(some), k] = some
            weight[: len(some), k] = 1.0
        index = torch.as_tensor(chosen, device=device)
        stack.step(x[index], y[index], torch.as_tensor(weight, device=device))
        after_step(step + 1, max(steps))
    return stack.accuracies(data)


class Stack:
    """`B` networks and their optimizers.

    Attributes:
        parameters: weights by name, each `B x …`.
        averages: running mean and variance of each normalisation, `B x F`.
    """

    def __init__(
        self,
        configurations: Sequence[Mapping[str, Any]],
        *,
        length_classes: int,
        seeds: Sequence[int],
        device: torch.device,
    ) -> None:
        self.device = device
        self.parameters: dict[str, Tensor] = {}
        self.averages: dict[str, Tensor] = {}
        self._masks: dict[str, Tensor] = {}
        self._sizes: dict[int, int] = {}
        generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        before = [1] * len(configurations)
        for block in BLOCKS:
            filters = [c[f"conv_{block}_num_filters"] for c in configurations]
            sizes = [c[f"conv_{block}_filter_size"] for c in configurations]
            self._add_block(block, before, filters, sizes, generators)
            before = filters
        self._add_dense(before, length_classes, generators)
        weights = torch.cat([value.flatten(1) for value in self.parameters.values()], 1).to(device)
        parts = torch.split(weights, [value[0].numel() for value in self.parameters.values()], 1)
        for (name, value), part in zip(list(self.parameters.items()), parts, strict=True):
            self.parameters[name] = part.view_as(value).detach().requires_grad_()
        self._masks = {name: mask.to(device) for name, mask in self._masks.items()}
        self.averages = {name: value.to(device) for name, value in self.averages.items()}
        self._adam = Adam(configurations, weights)

    def _add_block(
        self,
        block: int,
        before: Sequence[int],
        filters: Sequence[int],
        sizes: Sequence[int],
        generators: Sequence[torch.Generator],
    ) -> None:
        B, C, K = len(filters), max(before), max(sizes)
        F = max(filters)
        kernels, mask, exists = torch.zeros(B, F, C, K), torch.zeros(B, F, C, K), torch.zeros(B, F)
        for k, (c, o, size) in enumerate(zip(before, filters, sizes, strict=True)):
            left = (K - 1) // 2 - (size - 1) // 2  # keeps the middle of "same" where it was
            drawn = _glorot((o, c, size), size * c, size * o, generators[k])
            kernels[k, :o, :c, left : left + size] = drawn
            mask[k, :o, :c, left : left + size] = 1
            exists[k, :o] = 1
        self._sizes[block] = K
        self.parameters[f"kernel_{block}"] = kernels
        self.parameters[f"bias_{block}"] = torch.zeros(B, F)
        self.parameters[f"gamma_{block}"] = torch.ones(B, F)
        self.parameters[f"beta_{block}"] = torch.zeros(B, F)
        self.averages[f"mean_{block}"] = torch.zeros(B, F)
        self.averages[f"var_{block}"] = torch.ones(B, F)
        self._masks[f"kernel_{block}"] = mask
        self._masks[f"filters_{block}"] = exists

    def _add_dense(
        self, before: Sequence[int], classes: int, generators: Sequence[torch.Generator]
    ) -> None:
        dense = torch.zeros(len(before), classes, max(before))
        for k, c in enumerate(before):
            dense[k, :, :c] = _glorot((classes, c), c, classes, generators[k])
        self.parameters["dense"] = dense
        self.parameters["dense_bias"] = torch.zeros(len(before), classes)

    def step(self, x: Tensor, y: Tensor, weight: Tensor) -> None:
        """One step of each network on its own series.

        Args:
            x: `N x B x L`.
            y: `N x B` classes.
            weight: `N x B`, 1 for a series and 0 for filling; a network with none stays as it is.
        """
        scores = self.forward(x, weight)
        losses = functional.cross_entropy(scores.flatten(0, 1), y.flatten(), reduction="none")
        counts = weight.sum(0).clamp(min=1)
        loss = ((losses.view_as(weight) * weight).sum(0) / counts).sum()
        gradients = torch.autograd.grad(loss, list(self.parameters.values()))
        together = torch.cat([gradient.flatten(1) for gradient in gradients], 1)
        self._adam.step(together, active=weight.sum(0) > 0)

    def forward(self, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """Scores, `N x B x classes`; with weights as in training, and averages are updated."""
        N, B, L = x.shape
        h = x.unsqueeze(2)  # N x B x C x L
        for block in BLOCKS:
            K = self._sizes[block]
            kernel = self.parameters[f"kernel_{block}"] * self._masks[f"kernel_{block}"]
            padded = functional.pad(h, ((K - 1) // 2, K // 2))
            # One product of matrices a network. A convolution in groups does the same, and takes
            # longer on a CPU.
            windows = padded.unfold(-1, K, 1).permute(1, 2, 4, 0, 3)  # B x C x K x N x L
            z = kernel.flatten(2) @ windows.reshape(B, -1, N * L)  # B x F x NL
            z = (
                z.view(B, -1, N, L).permute(2, 0, 1, 3)
                + self.parameters[f"bias_{block}"][..., None]
            )
            h = functional.relu(self._normalise(block, z, weight))
        mean = h.mean(-1)  # N x B x C
        dense, bias = self.parameters["dense"], self.parameters["dense_bias"]
        return torch.einsum("nbc,bkc->nbk", mean, dense) + bias

    def _normalise(self, block: int, z: Tensor, weight: Tensor | None) -> Tensor:
        if weight is None:
            mean, var = self.averages[f"mean_{block}"], self.averages[f"var_{block}"]
        else:
            w = weight[..., None, None]
            count = weight.sum(0).clamp(min=1)[:, None] * z.shape[-1]
            mean = (z * w).sum((0, 3)) / count
            var = ((z - mean[..., None]).square() * w).sum((0, 3)) / count
            self._average(block, mean.detach(), var.detach(), weight.sum(0) > 0)
        exists = self._masks[f"filters_{block}"]
        gamma = self.parameters[f"gamma_{block}"] * exists
        beta = self.parameters[f"beta_{block}"] * exists
        scale = gamma * torch.rsqrt(var + EPSILON)
        return (z - mean[..., None]) * scale[..., None] + beta[..., None]

    def _average(self, block: int, mean: Tensor, var: Tensor, active: Tensor) -> None:
        for name, now in ((f"mean_{block}", mean), (f"var_{block}", var)):
            old = self.averages[name]
            new = MOMENTUM * old + (1 - MOMENTUM) * now
            self.averages[name] = torch.where(active[:, None], new, old)

    @torch.no_grad()
    def accuracies(self, data: Diatoms) -> list[float | None]:
        """The share of the validation series that each network reads rightly."""
        x = torch.as_tensor(data.validate[..., 0], device=self.device)
        y = torch.as_tensor(data.validate_labels, device=self.device)[:, None]
        B = len(self.parameters["dense"])
        some = [x[start : start + READ] for start in range(0, len(x), READ)]
        parts = [self.forward(each[:, None].expand(-1, B, -1)) for each in some]
        scores = torch.cat(parts)
        right = (scores.argmax(-1) == y).double().mean(0)
        finite = torch.isfinite(scores).all(-1).all(0)
        pairs = zip(right.tolist(), finite.tolist(), strict=True)
        return [share if is_finite else None for share, is_finite in pairs]


class Adam:
    """Keras's Adam with an inverse decay, and settings of its own for each network.

    Args:
        configurations: `B` of them.
        weights: `B x …`, all of a network in one row; steps change them in place.
    """

    def __init__(self, configurations: Sequence[Mapping[str, Any]], weights: Tensor) -> None:
        def column(name: str) -> Tensor:
            logs = [[c[name]] for c in configurations]
            return torch.tensor(logs, dtype=torch.float64).exp().to(weights.device)

        self._rate, self._decay = column("log_lr"), column("log_decay")
        self._beta_1, self._beta_2 = 1 - column("log_beta_1"), 1 - column("log_beta_2")
        self._epsilon = column("log_epsilon").to(weights.dtype)
        self._ratios = [(1 - beta).to(weights.dtype) for beta in (self._beta_1, self._beta_2)]
        self._weights = weights
        self._first, self._second = torch.zeros_like(weights), torch.zeros_like(weights)
        self._steps = 0

    @torch.no_grad()
    def step(self, gradients: Tensor, *, active: Tensor) -> None:
        """One step of those that are active; the others have ended and stay so.

        Args:
            gradients: as the weights.
            active: `B` booleans.
        """
        rate = self._rate / (1 + self._decay * self._steps)
        self._steps += 1
        rate = rate * (1 - self._beta_2**self._steps).sqrt() / (1 - self._beta_1**self._steps)
        self._first.add_((gradients - self._first) * self._ratios[0])
        self._second.add_((gradients.square() - self._second) * self._ratios[1])
        change = self._first / (self._second.sqrt() + self._epsilon)
        change *= rate.to(change.dtype)
        # A product would not do: what has diverged is no number.
        self._weights.sub_(torch.where(active[:, None], change, torch.zeros_like(change)))


def _glorot(
    shape: tuple[int, ...], fan_in: int, fan_out: int, generator: torch.Generator
) -> Tensor:
    limit = math.sqrt(6 / (fan_in + fan_out))
    return (2 * torch.rand(shape, generator=generator) - 1) * limit


def _order(count: int, size: int, epochs: int, seed: int) -> Iterator[np.ndarray[Any, Any]]:
    """The series of each step, shuffled anew each epoch."""
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        shuffled = rng.permutation(count)
        for start in range(0, count, size):
            yield shuffled[start : start + size]

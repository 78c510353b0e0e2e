"""Which task to run where: values count at the full task, and cheap ones tell about it.

The cost of the task is one more column of the surrogate, as fidelities are in multi-fidelity
optimisation [Poloczek2017]. Where to look is decided at the full task: the improvement that the
full task may bring there, over what it brought elsewhere. How to look is decided after that
[Kandasamy2017]: by the share of the variance of the full task's value there that a task takes away,
noise and all that is pending considered, per cost. A cheap task is worth nothing more where it was
run already, and the full task is the turn of a point that still looks best then.

References:
    [Kandasamy2017] K. Kandasamy, G. Dasarathy, J. Schneider, B. Póczos. Multi-fidelity Bayesian
        optimisation with continuous approximations. ICML, 2017.
    [Poloczek2017] M. Poloczek, J. Wang, P. Frazier. Multi-information source optimization. NeurIPS,
        2017.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tradeoff.engine.acquisition import Utility
from tradeoff.engine.device import tensor
from tradeoff.engine.optimize import is_seen
from tradeoff.engine.space import Space, row_key

Array = npt.NDArray[np.float64]

#: At least this share of what is spent goes to the full task, whatever cheap ones promise: a cheap
#: task that misleads then costs half of the budget at most.
FULL_SHARE = 0.5


class FullTaskUtility(Utility):
    """What a point is worth at the full task; its rows are without the column of the cost."""

    def __init__(self, *arguments: Any, full: float):
        """Set up for a model whose last column is the cost.

        Args:
            *arguments: as `Utility` takes them.
            full: where that column has the full task.
        """
        self._full = full
        super().__init__(*arguments)

    def __call__(self, Z: Tensor, *, screen: bool = False) -> Tensor:
        """`N` log utilities of the rows of `Z`."""
        full = Z.new_full((*Z.shape[:-1], 1), self._full)
        value: Tensor = super().__call__(torch.cat([Z, full], -1), screen=screen)
        return value

    def _permitted(self) -> Tensor:
        base = self.model.X[len(self.model.model.X) :]
        counts: Tensor = is_full(base, self._full)
        return super()._permitted() & counts[:, None]


def is_full(X: Any, full: float) -> Any:
    """`n` booleans: which rows, of a tensor or an array, are of the full task."""
    return X[:, -1] > full - 1e-9


def without_task(space: Space) -> Space:
    """The space of the points alone, which lacks the last column."""
    return Space(space.spec.model_copy(update={"tasks": None}))


def exhausted(space: Space, seen: Array) -> Array:
    """The points, without the cost, that every task was run at."""
    assert space.task is not None, "the space has tasks"
    costs_at: dict[bytes, set[float]] = {}
    first: dict[bytes, Array] = {}
    for row in seen:
        key = row_key(row[:-1])
        costs_at.setdefault(key, set()).add(round(float(row[-1]), 6))
        first.setdefault(key, row[:-1])
    rows = [first[key] for key, costs in costs_at.items() if len(costs) >= space.task.size]
    return np.array(rows).reshape(-1, space.width - 1)


def choose(space: Space, utility: Utility, x: Array, seen: Array) -> Array:
    """The row of the task that is to be run at a point.

    Args:
        space: the search space, with tasks.
        utility: knows the model, and everything that is pending.
        x: `width - 1`, the point.
        seen: `n x width`, what was run or is going to be.

    Returns:
        `width`; a row that was not seen, as long as there is one.
    """
    assert space.task is not None, "the space has tasks"
    costs = np.array(space.task.values, dtype=float)
    levels = (np.arange(len(costs)) + 0.5) / len(costs)
    rows = np.column_stack([np.tile(x, (len(costs), 1)), levels])
    new = np.array([not is_seen(row, seen) for row in rows])
    if not new.any() or (new[-1] and _is_due(space, costs, seen)):
        return np.asarray(rows[-1])
    if new.sum() == 1:
        return np.asarray(rows[int(new.argmax())])
    gains = _explained(utility, tensor(rows, utility.model.X.device))
    return np.asarray(rows[int(np.where(new, gains / costs, -math.inf).argmax())])


def _is_due(space: Space, costs: Array, seen: Array) -> bool:
    """Whether the full task has had less than its share of what was spent."""
    spent = np.interp(seen[:, -1], (np.arange(len(costs)) + 0.5) / len(costs), costs)
    return bool(spent[is_full(seen, space.full_task)].sum() < FULL_SHARE * spent.sum())


def _explained(utility: Utility, rows: Tensor) -> Array:
    """The share of the variance at the last row that a measurement at each row takes away."""
    with torch.no_grad():
        covariance = utility.model.covariance(rows)[0]
    noise = math.exp(float(utility.model.model.thetas[0][-1]))
    measured = covariance.diagonal() + noise
    share = covariance[:, -1] ** 2 / (measured * covariance[-1, -1]).clamp_min(1e-12)
    return np.asarray(share.cpu().numpy())

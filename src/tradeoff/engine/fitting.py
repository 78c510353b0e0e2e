"""Fit the models of a history, beginning where the last call ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from tradeoff.engine import pareto
from tradeoff.engine.data import MAX_ROWS, Data, thin
from tradeoff.engine.device import tensor
from tradeoff.engine.feasibility import Classifier, SuccessModel
from tradeoff.engine.models import (
    CONSTRAINT_PRIOR,
    MAX_FIT_ROWS,
    METRIC_PRIOR,
    Layout,
    SurrogateModel,
    fit_map,
)
from tradeoff.engine.space import Space
from tradeoff.engine.state import State, WarmStart

Array = npt.NDArray[np.float64]

#: Hyperparameters are fitted at every new row below so many rows, then ever more rarely.
REFIT_SCHEDULE = ((64, 1), (256, 4))
REFIT_LAST = 8


@dataclass(frozen=True, slots=True)
class Fitted:
    """The models of one call.

    Attributes:
        layout: which lengthscale each column has.
        surrogate: of the metrics.
        metrics: what to remember of the metrics for the next call, by key.
        success: of where observations succeed; `None` when none failed.
    """

    layout: Layout
    surrogate: SurrogateModel
    metrics: Mapping[str, WarmStart]
    success: SuccessModel | None = None


def fit_models(
    space: Space, data: Data, state: State, device: torch.device, rng: np.random.Generator
) -> Fitted:
    """The models of the metrics, and of success when anything failed; see `fit_surrogate`."""
    fitted = fit_surrogate(space, data, state, device, rng)
    if not data.failed.any():
        return fitted
    # From fewer successes next to nothing is known of the metrics where configurations fail.
    enough = len(data.Y) > len(space.dimensions)
    metrics = fitted.surrogate if enough else None
    return replace(fitted, success=fit_success(data, fitted.layout, state, device, metrics))


def fit_surrogate(
    space: Space, data: Data, state: State, device: torch.device, rng: np.random.Generator
) -> Fitted:
    """Fit what is stale of the metrics' models to the data, and take the rest as it was.

    Args:
        space: the search space.
        data: with at least one success.
        state: what was fitted before.
        device: to compute on.
        rng: chooses the rows that a large history is fitted on.
    """
    layout = Layout.of(space)
    kept = thin(data.successes, data.Y)
    X, Y = tensor(data.successes[kept], device), tensor(data.Y[kept], device)
    Yvar = tensor(data.Yvar[kept], device)
    rows = _rows_to_fit(data.Y[kept], rng)
    rows_on_device = torch.as_tensor(rows, device=device)
    metrics: dict[str, WarmStart] = {}
    thetas = []
    for column, metric in enumerate(data.metrics):
        warm = state.metrics.get(metric.key)
        if warm is None or _is_stale(warm, len(data.successes), layout):
            usable = warm is not None and len(warm.theta) == layout.size + 1
            theta = fit_map(
                X[rows_on_device],
                Y[rows_on_device, column],
                Yvar[rows_on_device, column],
                layout,
                start=warm.theta if warm is not None and usable else None,
                prior=METRIC_PRIOR if column < data.objectives else CONSTRAINT_PRIOR,
            )
            warm = WarmStart(tuple(map(float, theta)), len(data.successes))
        metrics[metric.key] = warm
        thetas.append(np.array(warm.theta))
    surrogate = SurrogateModel(X, Y, Yvar, thetas, layout)
    return Fitted(layout, surrogate, metrics)


def fit_success(
    data: Data,
    layout: Layout,
    state: State,
    device: torch.device,
    metrics: SurrogateModel | None = None,
) -> SuccessModel:
    """The model of where observations succeed; at least one failed.

    Args:
        data: all observations.
        layout: which lengthscale each column has.
        state: what was fitted before.
        device: to compute on.
        metrics: their surrogate, where it can say what failures follow from.
    """
    labels = data.failed.astype(np.float64)[:, None]
    kept = thin(data.X, np.zeros_like(labels), limit=MAX_ROWS)
    failed = torch.as_tensor(data.failed[kept], device=device)
    X = tensor(data.X[kept], device)
    classifiers = [Classifier(X, failed, layout, state.success)]
    if metrics is not None:
        classifiers.append(Classifier(X, failed, layout, state.success_by_metrics, metrics))
    return SuccessModel(classifiers)


def _is_stale(warm: WarmStart, rows: int, layout: Layout) -> bool:
    if len(warm.theta) != layout.size + 1 or rows < warm.fitted_on:
        return True
    every = next((every for below, every in REFIT_SCHEDULE if rows < below), REFIT_LAST)
    return rows - warm.fitted_on >= every


def _rows_to_fit(Y: Array, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """The front, the newest and random others."""
    if len(Y) <= MAX_FIT_ROWS:
        return np.arange(len(Y))
    chosen = pareto.non_dominated(Y)
    chosen[-MAX_FIT_ROWS // 5 :] = True
    others = rng.permutation(np.flatnonzero(~chosen))
    chosen[others[: max(0, MAX_FIT_ROWS - int(chosen.sum()))]] = True
    return np.flatnonzero(chosen)

"""How much each parameter matters, and how far the models can be trusted.

Importance is the total effect of a parameter [Sobol2001]: the share of what a model predicts over
the whole space that changes when this parameter alone is drawn anew, interactions included. It is
estimated after [Jansen1999] on the surrogate that chooses the suggestions, so few observations
suffice, and a parameter that is switched off half of the time counts half. Shares are scaled to
sum to one, as SigOpt's importances do.

Trust is told by leaving out one observation at a time and predicting it from the others, which
costs no refit of a Gaussian process [Rasmussen2006, equations 5.10 to 5.12].

References:
    [Jansen1999] M. J. W. Jansen. Analysis of variance designs for model output. Computer Physics
        Communications, 1999.
    [Rasmussen2006] C. E. Rasmussen, C. K. I. Williams. Gaussian processes for machine learning.
        MIT Press, 2006.
    [Sobol2001] I. M. Sobol'. Global sensitivity indices for nonlinear mathematical models and their
        Monte Carlo estimates. Mathematics and Computers in Simulation, 2001.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import qmc

from tradeoff.engine import fitting
from tradeoff.engine.data import build_data
from tradeoff.engine.device import tensor
from tradeoff.engine.exchange import Analysis, Calibration
from tradeoff.engine.feasibility import SuccessModel
from tradeoff.engine.models import Layout, SurrogateModel
from tradeoff.engine.space import Space
from tradeoff.engine.state import State
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.history import History
from tradeoff.spec.metrics import Metric
from tradeoff.spec.tasks import COST

Array = npt.NDArray[np.float64]
#: From `n x width` rows of `X` to `n x k` predictions.
Predict = Callable[[Array], Array]

#: Pairs of points that an effect is averaged over; a share is then good to about 0.02.
PAIRS = 1_024
#: Less variance than this, relative to the prior's, is none: all parameters matter the same.
NO_VARIANCE = 1e-9
#: Half-width of a 95 % interval, in standard deviations.
TWO_SIDED = 1.959963984540054


def analyse(spec: ExperimentSpec, history: History, state: State) -> Analysis:
    """Ask the models of every metric, stored ones included, what matters and how sure they are.

    Same arguments, same answer. It is computed on the CPU, one metric at a time.

    Args:
        spec: what was asked.
        history: what was seen.
        state: of the last `suggest`, which spares most of the fitting.

    Returns:
        No importances and calibrations when nothing succeeded.
    """
    analysed = {metric.key: _analyse(spec, metric, history, state) for metric in spec.metrics}
    found = {key: each for key, each in analysed.items() if each is not None}
    return Analysis(
        importances={key: shares for key, (shares, _) in found.items()},
        failure=_analyse_failure(spec, history, state),
        calibrations={key: calibration for key, (_, calibration) in found.items()},
    )


def _analyse(
    spec: ExperimentSpec, metric: Metric, history: History, state: State
) -> tuple[dict[str, float], Calibration] | None:
    """One metric alone, as if it were the one to optimise; `None` when nothing succeeded."""
    alone = metric.model_copy(update={"strategy": "optimize", "threshold": None})
    space = Space(spec.model_copy(update={"metrics": (alone,)}))
    data = build_data(space, history)
    if not len(data.Y):
        return None
    rng = np.random.default_rng(state.seed)
    fitted = fitting.fit_surrogate(space, data, state, torch.device("cpu"), rng)
    shares = of_metrics(space, fitted.surrogate, seed=state.seed)[0]
    (calibration,) = calibrations(fitted.surrogate)
    return _by_name(space, shares), calibration


def _analyse_failure(
    spec: ExperimentSpec, history: History, state: State
) -> dict[str, float] | None:
    space = Space(spec)
    data = build_data(space, history)
    if not data.failed.any():
        return None
    # By the parameters alone: what failures follow from in the metrics has no share of its own.
    model = fitting.fit_success(data, Layout.of(space), state, torch.device("cpu"))
    return _by_name(space, of_failure(space, model, seed=state.seed))


def _by_name(space: Space, shares: Array) -> dict[str, float]:
    """The shares of all but the task, which are 1 together."""
    names = [dimension.name for dimension in space.dimensions if dimension.name != COST]
    kept = shares[: len(names)]
    total = float(kept.sum())
    kept = kept / total if total > 0 else np.full(len(names), 1 / len(names))
    return dict(zip(names, map(float, kept), strict=True))


def importances(space: Space, predict: Predict, *, seed: int) -> Array:
    """Total effects of each dimension on each prediction, scaled to sum to one.

    Args:
        space: the search space.
        predict: the mean of a model, for `k` quantities at once.
        seed: fixes the points.

    Returns:
        `k x p`, one row per quantity; equal shares where the model is constant.
    """
    p = len(space.dimensions)
    both = qmc.Sobol(2 * p, scramble=True, seed=seed).random(PAIRS)
    A, B = both[:, :p], both[:, p:]
    here = predict(space.from_unit(A))  # PAIRS x k
    effects = np.empty((here.shape[1], p))
    for index in range(p):
        changed = A.copy()
        changed[:, index] = B[:, index]
        there = predict(space.from_unit(changed))
        effects[:, index] = 0.5 * ((here - there) ** 2).mean(axis=0)
    total = effects.sum(axis=1, keepdims=True)
    flat = total[:, 0] <= NO_VARIANCE
    return np.where(flat[:, None], 1.0 / p, effects / np.where(flat[:, None], 1.0, total))


def of_metrics(space: Space, model: SurrogateModel, *, seed: int) -> Array:
    """`m x p`: how much each dimension matters for each metric; see `importances`."""

    def predict(X: Array) -> Array:
        with torch.no_grad():
            mean = model.mean(tensor(X, model.X.device))
        return np.asarray(mean.T.cpu().numpy())

    return importances(space, predict, seed=seed)


def of_failure(space: Space, model: SuccessModel, *, seed: int) -> Array:
    """`p`: how much each dimension matters for success; see `importances`."""

    def predict(X: Array) -> Array:
        with torch.no_grad():
            log_probability = model.log_probability(tensor(X, model.classifiers[0].device))
        return np.asarray(log_probability.exp().cpu().numpy())[:, None]

    return np.asarray(importances(space, predict, seed=seed)[0])


def calibrations(model: SurrogateModel) -> list[Calibration]:
    """How well each metric's model predicts what it was not shown."""
    Y = model.Y.cpu().numpy()
    mean, variance = model.leave_one_out()
    errors = Y - mean.T.cpu().numpy()
    inside = np.abs(errors) <= TWO_SIDED * variance.T.sqrt().cpu().numpy()
    spread = ((Y - Y.mean(axis=0)) ** 2).sum(axis=0)
    missed = (errors**2).sum(axis=0)
    return [
        Calibration(
            observations=len(Y),
            # Of a constant metric there is nothing to explain.
            explained=1.0 - float(missed[k] / spread[k]) if spread[k] > NO_VARIANCE else 1.0,
            coverage=float(inside[:, k].mean()),
        )
        for k in range(Y.shape[1])
    ]

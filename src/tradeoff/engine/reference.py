"""BoTorch's stock loop behind our interface: for tests, benchmarks and doubt.

Nothing here is ours but the way in and out: a `SingleTaskGP` per metric, fitted by
`fit_gpytorch_mll`, and `optimize_acqf` with BoTorch's usual numbers of restarts and samples on its
own acquisition function: for one metric `qLogNoisyExpectedImprovement`, for two to four
`qLogNoisyExpectedHypervolumeImprovement`, for more `qLogNParEGO`, for none
`qLogProbabilityOfFeasibility`. The stock loop knows no failures: they are left out of the data.
Categories are relaxed and levels rounded afterwards, as is usual with it.

References:
    [Ament2023] S. Ament, S. Daulton, D. Eriksson, M. Balandat, E. Bakshy. Unexpected improvements
        to expected improvement for Bayesian optimization. NeurIPS, 2023.
    [Daulton2021] S. Daulton, M. Balandat, E. Bakshy. Parallel Bayesian optimization of multiple
        noisy objectives with expected hypervolume improvement. NeurIPS, 2021.
    [Knowles2006] J. Knowles. ParEGO. IEEE Transactions on Evolutionary Computation, 2006.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.acquisition.logei import (
    qLogNoisyExpectedImprovement,
    qLogProbabilityOfFeasibility,
)
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
from botorch.acquisition.multi_objective.parego import qLogNParEGO
from botorch.acquisition.objective import GenericMCObjective
from botorch.exceptions.warnings import BotorchWarning
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.model_list_gp_regression import ModelListGP
from botorch.models.transforms import Standardize
from botorch.optim.optimize import optimize_acqf
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils.multi_objective.hypervolume import infer_reference_point
from gpytorch.mlls import SumMarginalLogLikelihood
from torch import Tensor

from tradeoff.engine import pareto
from tradeoff.engine.data import Data
from tradeoff.engine.device import tensor
from tradeoff.engine.space import Space

Array = npt.NDArray[np.float64]
Constraint = Callable[[Tensor], Tensor]

#: BoTorch's usual numbers.
SAMPLES = 128
RESTARTS = 20
RAW_SAMPLES = 512
BATCH = 5
MAX_ITERATIONS = 200
#: From so many optimised metrics on the hypervolume costs too much.
MANY_METRICS = 5


def fit(data: Data, device: torch.device) -> ModelListGP:
    """A stock model of each metric, in the order of `data.metrics`.

    Args:
        data: with at least one success.
        device: to compute on.
    """
    X = tensor(data.successes, device)
    models = []
    for column in range(len(data.metrics)):
        known = bool((data.Yvar[:, column] > 0).all())
        models.append(
            SingleTaskGP(
                X,
                tensor(data.Y[:, [column]], device),
                tensor(data.Yvar[:, [column]], device) if known else None,
                outcome_transform=Standardize(m=1),
            )
        )
    model = ModelListGP(*models)
    with warnings.catch_warnings():
        # A fit that is tried anew is the loop's own business.
        warnings.simplefilter("ignore", BotorchWarning)
        fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
    return model


def propose(
    space: Space, data: Data, model: ModelListGP, q: int, *, seed: int
) -> tuple[Array, list[float]]:
    """`q` points, one after the other, each with those before it pending.

    Args:
        space: the search space.
        data: what `model` was fitted to.
        model: of `fit`.
        q: how many points.
        seed: fixes everything random.

    Returns:
        `q x width` snapped rows of `X`, which may repeat an observation, and their acquisition
        values before snapping.
    """
    device = _rows(model).device
    pending = tensor(data.X_pending, device)
    picks, values = [], []
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for number in range(q):
            acquisition = _acquisition(data, model, pending, seed + number)
            x, value = _optimize(space, acquisition, device, seed + number)
            picks.append(x)
            values.append(value)
            pending = torch.cat([pending, tensor(x[None], device)])
    return np.array(picks), values


def predict(model: ModelListGP, X: Array) -> tuple[Array, Array]:
    """Means and standard deviations of the metrics without noise, each `m x q`, standardised."""
    with torch.no_grad():
        posterior = model.posterior(tensor(X, _rows(model).device))
        mean, variance = posterior.mean, posterior.variance
    return np.asarray(mean.T.cpu().numpy()), np.asarray(variance.T.sqrt().cpu().numpy())


def _acquisition(data: Data, model: ModelListGP, pending: Tensor, seed: int) -> AcquisitionFunction:
    m = data.objectives
    X = _rows(model)
    sampler = SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=seed)
    constraints = _constraints(data, X)
    waiting = pending if len(pending) else None
    if m == 0:
        assert constraints is not None, "a search has constraint metrics"
        return qLogProbabilityOfFeasibility(model, constraints, sampler, X_pending=waiting)
    if m == 1:
        return qLogNoisyExpectedImprovement(
            model,
            X,
            sampler,
            objective=GenericMCObjective(_first),
            constraints=constraints,
            X_pending=waiting,
        )
    objective = IdentityMCMultiOutputObjective(outcomes=list(range(m)))
    if m >= MANY_METRICS:
        return qLogNParEGO(
            model,
            X,
            sampler=sampler,
            objective=objective,
            constraints=constraints,
            X_pending=waiting,
        )
    return qLogNoisyExpectedHypervolumeImprovement(
        model,
        _reference_point(data, X.device),
        X,
        sampler=sampler,
        objective=objective,
        constraints=constraints,
        X_pending=waiting,
        prune_baseline=True,
    )


def _rows(model: ModelListGP) -> Tensor:
    """`n x width`, what the models were fitted to."""
    inputs = model.models[0].train_inputs
    assert isinstance(inputs, tuple), "an exact model keeps its rows"
    return torch.as_tensor(inputs[0])


def _first(samples: Tensor, X: Tensor | None = None) -> Tensor:
    return samples[..., 0]


def _constraints(data: Data, X: Tensor) -> list[Constraint] | None:
    """Negative where a constraint metric meets its limit, as BoTorch has it."""
    limits = tensor(data.limits, X.device)
    functions = [_shortfall(data.objectives + index, limit) for index, limit in enumerate(limits)]
    return functions or None


def _shortfall(column: int, limit: Tensor) -> Constraint:
    return lambda samples: limit - samples[..., column]


def _reference_point(data: Data, device: torch.device) -> Tensor:
    """The thresholds, and where there are none BoTorch's guess from the front."""
    Y = data.Y[:, : data.objectives]
    permitted = (data.Y[:, data.objectives :] >= data.limits).all(axis=1)
    Y = Y[permitted] if permitted.any() else Y
    front = tensor(Y[pareto.non_dominated(Y)], device)
    guess = infer_reference_point(front, scale=0.1)
    thresholds = tensor(data.thresholds, device)
    return torch.where(thresholds.isnan(), guess, thresholds)


def _optimize(
    space: Space, acquisition: AcquisitionFunction, device: torch.device, seed: int
) -> tuple[Array, float]:
    """The best point of the relaxed space, snapped to one that exists."""
    bounds = tensor(np.array([np.zeros(space.width), np.ones(space.width)]), device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BotorchWarning)
        x, value = optimize_acqf(
            acquisition,
            bounds,
            q=1,
            num_restarts=RESTARTS,
            raw_samples=RAW_SAMPLES,
            options={"batch_limit": BATCH, "maxiter": MAX_ITERATIONS, "seed": seed},
            inequality_constraints=_inequalities(space, device) or None,
        )
    assert value is not None, "one best point is returned with its value"
    found = float(value)
    if not math.isfinite(found):
        raise ArithmeticError("no point has a finite acquisition value")
    return _snap(space, x.detach().cpu().numpy()[0]), found


def _snap(space: Space, x: Array) -> Array:
    return np.asarray(space.snap(x[None])[0])


def _inequalities(space: Space, device: torch.device) -> list[tuple[Tensor, Tensor, float]]:
    """The linear constraints on columns of `X`; a number has one column."""
    rows = []
    for weights, offset in zip(space.weights, space.offsets, strict=True):
        used = np.flatnonzero(weights)
        columns = torch.as_tensor(space.first_columns[used], device=device)
        rows.append((columns, tensor(weights[used], device), float(offset)))
    return rows

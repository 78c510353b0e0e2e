"""Surrogate models of the metrics: one exact Gaussian process each, with a closed-form fit.

Per metric y = c + f(x) + noise with f ~ GP(0, k), k Matérn-5/2 with a lengthscale per parameter and
unit amplitude (the values are standardised). The constant is profiled out, and the hyperparameters
maximise a posterior whose gradient is written down below: far faster than automatic
differentiation through a Cholesky factor.

The penalty on long lengthscales is essential. Expected improvement likes corners, where variance is
largest; a function that is symmetric along an axis has equal values at both ends of it; a free fit
then makes that lengthscale long, the middle of the axis counts as known, and the search walks from
corner to corner. A category has no middle, and its lengthscale goes without the penalty.

Notation: `n` rows, `D` columns of `X`, `m` metrics, `b` noise-free rows, `S` joint samples,
`N` points to predict; `theta = (log lengthscale per parameter, log noise variance)`.

References:
    [Hvarfner2024] C. Hvarfner, E. Orm Hellsten, L. Nardi. Vanilla Bayesian optimization performs
        great in high dimensions. ICML, 2024 (lengthscale prior that grows with dimension).
    [Rasmussen2006] C. E. Rasmussen, C. K. I. Williams. Gaussian processes for machine learning.
        MIT Press, 2006 (equation 5.9: gradient of the marginal likelihood).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import optimize
from torch import Tensor

# Models and their layout are asked for together.
from tradeoff.engine.layout import Layout as Layout
from tradeoff.engine.layout import default_lengths

Array = npt.NDArray[np.float64]

LENGTH_BOUNDS = (0.025, 100.0)
MAX_NOISE_VARIANCE = 2.0
#: Noise-free rows get this variance, and ten times more until the factorisation succeeds.
JITTER = 1e-6
MAX_ITERATIONS = 60
#: Hyperparameters are fitted on at most so many rows; the posterior uses all.
MAX_FIT_ROWS = 500
#: Triangles are multiplied in so many blocks; of fewer rows each is slower than the whole.
BLOCKS, BLOCK_ROWS = 4, 64
#: What a hyperparameter costs whose covariance has no Cholesky factor.
HOPELESS = 1e25


@dataclass(frozen=True, slots=True)
class Prior:
    """Belief about the hyperparameters of a model of standardised values.

    Attributes:
        noise: mean of the logarithm of the noise's variance, which is log-normal.
        deviation: of that logarithm.
        floor: the least variance of the noise.
        tail: strength of the penalty on long lengthscales; 0.3 to 3 were alike where it matters.
    """

    noise: float = -4.0
    deviation: float = 1.0
    floor: float = 1e-4
    tail: float = 1.0


METRIC_PRIOR = Prior()
#: Nothing is gained from the variance of a constraint, so corners do not attract; many constraints
#: are linear; and what is met by a little must be told from what is missed by a little.
CONSTRAINT_PRIOR = Prior(noise=-6.0, floor=1e-6, tail=0.0)


def default_theta(layout: Layout) -> Array:
    """Where a fit without warm start begins."""
    return np.append(np.log(default_lengths(layout)), math.log(1e-2))


def fit_map(
    X: Tensor,
    y: Tensor,
    known_noise: Tensor,
    layout: Layout,
    *,
    start: Sequence[float] | None = None,
    prior: Prior = METRIC_PRIOR,
) -> Array:
    """Hyperparameters with the highest posterior density.

    Args:
        X: `n x D`, unit cube.
        y: `n`, standardised.
        known_noise: `n`, variance that is known; learned noise comes on top.
        layout: which lengthscale each column has.
        start: theta to start from; `None` starts cold.
        prior: belief about the hyperparameters.

    Returns:
        theta.
    """
    bounds = [np.log(LENGTH_BOUNDS)] * layout.size
    bounds.append(np.log([prior.floor, MAX_NOISE_VARIANCE]))
    low, high = np.array(bounds).T
    theta = default_theta(layout) if start is None else np.asarray(start, dtype=np.float64)
    found = optimize.minimize(
        negative_log_posterior,
        np.clip(theta, low, high),
        args=(X, y, known_noise, layout, prior),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxiter": MAX_ITERATIONS, "gtol": 1e-2, "ftol": 1e-5},
    )
    return np.asarray(found.x)


def negative_log_posterior(
    theta: Array,
    X: Tensor,
    y: Tensor,
    known_noise: Tensor,
    layout: Layout,
    prior: Prior = METRIC_PRIOR,
) -> tuple[float, Array]:
    """Negative log posterior density of theta, and its gradient [Rasmussen2006].

    Args:
        theta: logarithms of the lengthscales and of the noise variance.
        X: `n x D`.
        y: `n`.
        known_noise: `n`.
        layout: which lengthscale each column has.
        prior: belief about the hyperparameters.
    """
    columns = torch.as_tensor(theta[layout.groups], dtype=X.dtype, device=X.device)
    z = X * torch.exp(-columns)
    K, slope = _matern_and_slope(squared_distance(z, z))
    variance = math.exp(theta[-1])
    K.diagonal().add_(variance + known_noise)
    factor, info = torch.linalg.cholesky_ex(K)
    if int(info) != 0:
        return HOPELESS, np.zeros_like(theta)
    inverse = torch.cholesky_inverse(factor)
    # The constant has a standard normal prior and is set to its best value for this theta.
    ones = inverse.sum(0)
    constant = (ones @ y) / (ones.sum() + 1.0)
    weights = inverse @ (y - constant)
    loss = 0.5 * ((y - constant) @ weights + constant**2) + factor.diagonal().log().sum()
    # d loss / d K = -W / 2 with W = weights weights' - inverse; no n x n x D tensor is needed.
    W = torch.outer(weights, weights).sub_(inverse)
    M = slope.mul_(W)
    by_column = (M.sum(0)[:, None] * z * z - z * (M @ z)).sum(0)
    gradient = np.zeros_like(theta)
    np.subtract.at(gradient, layout.groups, by_column.cpu().numpy())
    gradient[-1] = -0.5 * variance * float(W.diagonal().sum())
    belief, belief_gradient = _negative_log_prior(theta, layout, prior)
    return float(loss) + belief, gradient + belief_gradient


def squared_distance(A: Tensor, B: Tensor) -> Tensor:
    """`... x N x n` squared distances of rows, by one matrix product."""
    squared = (A @ B.transpose(-1, -2)).mul_(-2.0)
    squared = squared.add_((A * A).sum(-1)[..., :, None]).add_((B * B).sum(-1)[..., None, :])
    # A tiny floor instead of zero keeps the gradient of the root finite.
    return squared.clamp_min_(1e-20)


def matern(squared: Tensor) -> Tensor:
    """Matérn-5/2 correlation of squared distances in lengthscales."""
    r = torch.sqrt(5.0 * squared)
    fall = torch.exp(-r)
    if squared.requires_grad:  # the gradient needs `r` as it is
        return (1 + r + (5.0 / 3.0) * squared) * fall
    # Of whole pools, mostly: new memory for each step costs as much as the steps.
    return r.add_(1.0).add_(squared, alpha=5.0 / 3.0).mul_(fall)


class SurrogateModel:
    """Posterior of `m` independent Gaussian processes that share their rows.

    Attributes:
        X: `n x D`.
        Y: `n x m`, standardised values.
        thetas: `m` hyperparameter vectors.
        layout: which lengthscale each column has.
        noise: `m x n`, variances, learned and known.
        inverse_lengths: `m x 1 x D`.
        inverse_factor: `m x n x n`, inverse of the Cholesky factor of the noisy covariance.
        alpha: `m x n x 1`, covariance inverse times centred values.
        constant: `m x 1`.
    """

    def __init__(self, X: Tensor, Y: Tensor, Yvar: Tensor, thetas: Sequence[Array], layout: Layout):
        n, m = Y.shape
        theta = torch.as_tensor(np.stack(thetas), dtype=X.dtype, device=X.device)  # m x (G + 1)
        groups = torch.as_tensor(layout.groups, device=X.device)
        self.X, self.Y, self.thetas, self.layout = X, Y, list(thetas), layout
        self.inverse_lengths = torch.exp(-theta[:, None, groups])  # m x 1 x D
        K = self.correlation(X, X)  # m x n x n
        self.noise = torch.exp(theta[:, -1:]) + Yvar.T
        K.diagonal(dim1=-2, dim2=-1).add_(self.noise)
        eye = torch.eye(n, dtype=X.dtype, device=X.device).expand(m, n, n)
        factor = torch.linalg.cholesky(K)
        self.inverse_factor = torch.linalg.solve_triangular(factor, eye, upper=False)
        ones = self.inverse_factor.sum(-1, keepdim=True)  # m x n x 1
        values = self.inverse_factor @ Y.T[..., None]  # m x n x 1
        self.constant = (ones * values).sum(1) / ((ones * ones).sum(1) + 1.0)  # m x 1
        centred = values - ones * self.constant[..., None]
        self.alpha = self.inverse_factor.transpose(-1, -2) @ centred  # m x n x 1

    def correlation(self, A: Tensor, B: Tensor) -> Tensor:
        """`m x N x n` prior correlations of rows of `A` and `B`."""
        return matern(squared_distance(A * self.inverse_lengths, B * self.inverse_lengths))

    def predict(self, Z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the metrics without noise, each `m x N`, at the rows of `Z`."""
        k = self.correlation(Z, self.X)  # m x N x n
        V = times_upper(k, self.inverse_factor.transpose(-1, -2))
        mean = (k @ self.alpha)[..., 0] + self.constant
        return mean, (1.0 - (V * V).sum(-1)).clamp_min(1e-10)

    def predict_observed(self) -> tuple[Tensor, Tensor]:
        """What `predict` gives at the rows of `X`, of what the fit left: `n` times cheaper.

        There the covariances are `C - N`, with `C` of the values and `N` their noise, and
        `(C - N) C^-1 = I - N C^-1`.
        """
        variance = self.noise - self.noise**2 * self._precision()
        return self.Y.T - self.noise * self.alpha[..., 0], variance.clamp_min(1e-10)

    def mean(self, Z: Tensor) -> Tensor:
        """The mean alone, `m x N`, at the rows of `Z`: linear, not quadratic, in `n`."""
        mean: Tensor = (self.correlation(Z, self.X) @ self.alpha)[..., 0] + self.constant
        return mean

    def leave_one_out(self) -> tuple[Tensor, Tensor]:
        """Each value predicted from the others, noise included [Rasmussen2006, 5.10 to 5.12].

        The hyperparameters and the constant stay as they were fitted to all of them.

        Returns:
            Mean and variance, each `m x n`.
        """
        precision = self._precision()
        return self.Y.T - self.alpha[..., 0] / precision, 1 / precision

    def _precision(self) -> Tensor:
        """`m x n`, diagonals of the inverse covariances, noise included."""
        precision: Tensor = (self.inverse_factor**2).sum(-2)
        return precision


class ConditionedModel:
    """A surrogate that also knows, in `S` jointly sampled versions, the metrics at some points.

    Those points (the front's candidates, what is pending, what was just picked) are noise-free rows
    of an extended system: their values differ between samples, the variance elsewhere does not.

    Attributes:
        model: the surrogate without them.
        X: `(n + b) x D`.
        samples: `m x b x S`, sampled values at the noise-free rows.
        inverse_factor_T: `m x (n + b) x (n + b)`, transposed inverse of the extended factor.
        alpha: `m x (n + b) x S`.
    """

    def __init__(self, model: SurrogateModel, X_base: Tensor, normals: Tensor):
        """Sample the metrics jointly at `X_base`.

        Args:
            model: the surrogate.
            X_base: `b x D`, distinct rows, at least one.
            normals: `m x b x S`, standard normal draws.
        """
        self.model = model
        n, b, m = len(model.X), len(X_base), len(model.constant)
        k = model.correlation(model.X, X_base)  # m x n x b
        V = model.inverse_factor @ k
        mean = (k.transpose(-1, -2) @ model.alpha)[..., 0] + model.constant  # m x b
        covariance = model.correlation(X_base, X_base) - V.transpose(-1, -2) @ V
        factor = _factorise(covariance)
        self.samples = mean[..., None] + factor @ normals
        eye = torch.eye(b, dtype=k.dtype, device=k.device).expand(m, b, b)
        inverse = torch.linalg.solve_triangular(factor, eye, upper=False)
        base_weights = inverse.transpose(-1, -2) @ normals  # m x b x S
        data_weights = model.alpha - model.inverse_factor.transpose(-1, -2) @ (V @ base_weights)
        self.alpha = torch.cat([data_weights, base_weights], 1)
        extended = k.new_zeros(m, n + b, n + b)
        extended[:, :n, :n] = model.inverse_factor
        extended[:, n:, :n] = -(inverse @ V.transpose(-1, -2) @ model.inverse_factor)
        extended[:, n:, n:] = inverse
        self.inverse_factor_T = extended.transpose(-1, -2)
        self.X = torch.cat([model.X, X_base])

    def predict(self, Z: Tensor, *, count: int | None = None) -> tuple[Tensor, Tensor]:
        """Mean `m x N x S` in the first `count` samples, and the variance `m x N` of all."""
        mean, variance, _ = self._predict(Z, count)
        return mean, variance

    def covariance(self, Z: Tensor) -> Tensor:
        """`m x N x N`, of the metrics without noise between the rows of `Z`."""
        _, _, V = self._predict(Z, 0)
        joint: Tensor = self.model.correlation(Z, Z) - V @ V.transpose(-1, -2)
        return joint

    def append(self, x: Tensor, normals: Tensor) -> None:
        """Add one more noise-free row, its values drawn from what is known of it.

        Args:
            x: `D`.
            normals: `m x S`, standard normal draws.
        """
        mean, variance, V = self._predict(x[None], None)
        deviation = (variance + JITTER).sqrt()  # m x 1
        size = len(self.X)
        extended = V.new_zeros(len(V), size + 1, size + 1)
        extended[:, :size, :size] = self.inverse_factor_T
        extended[:, :size, size] = -(self.inverse_factor_T @ V[:, 0, :, None])[..., 0] / deviation
        extended[:, size, size] = 1 / deviation[:, 0]
        value = mean[:, 0] + deviation * normals  # m x S
        grown = torch.nn.functional.pad(self.alpha, (0, 0, 0, 1))
        self.alpha = grown + extended[:, :, size, None] * normals[:, None, :]
        self.inverse_factor_T = extended
        self.X = torch.cat([self.X, x[None]])
        self.samples = torch.cat([self.samples, value[:, None, :]], 1)

    def _predict(self, Z: Tensor, count: int | None) -> tuple[Tensor, Tensor, Tensor]:
        k = self.model.correlation(Z, self.X)
        V = times_upper(k, self.inverse_factor_T)  # m x N x (n + b)
        mean = k @ self.alpha[..., :count] + self.model.constant[..., None]
        return mean, (1.0 - (V * V).sum(-1)).clamp_min(1e-9), V


def times_upper(k: Tensor, upper: Tensor) -> Tensor:
    """`k @ upper`, of which the lower triangle holds zeros.

    Most of them are left out, by blocks of columns. A GPU is better off with one product.
    """
    n = upper.shape[-1]
    if n < BLOCKS * BLOCK_ROWS or k.device.type != "cpu":
        return k @ upper
    ends = [n * block // BLOCKS for block in range(BLOCKS + 1)]
    blocks = [k[..., :end] @ upper[:, :end, start:end] for start, end in itertools.pairwise(ends)]
    return torch.cat(blocks, -1)


def _matern_and_slope(squared: Tensor) -> tuple[Tensor, Tensor]:
    """The correlation, and g with dk / d log l_i = g (difference in column i / l_i)^2."""
    r = torch.sqrt(5.0 * squared)
    fall = torch.exp(-r)
    decay = (1 + r).mul_(fall)
    return fall.mul_(squared).mul_(5.0 / 3.0).add_(decay), decay.mul_(5.0 / 3.0)


def _negative_log_prior(theta: Array, layout: Layout, prior: Prior) -> tuple[float, Array]:
    """Log-normal densities in the lengthscales and the noise themselves, and the tail penalty.

    (Densities in their logarithms lost one run in three completely.)
    """
    logs, gradient = theta[:-1], np.empty_like(theta)
    z = (logs - math.sqrt(2) - 0.5 * math.log(layout.size)) / math.sqrt(3)  # [Hvarfner2024]
    tail = prior.tail / layout.size * np.exp(2 * logs) * layout.is_number
    gradient[:-1] = z / math.sqrt(3) + 1.0 + 2 * tail
    z_noise = (theta[-1] - prior.noise) / prior.deviation
    gradient[-1] = z_noise / prior.deviation + 1.0
    value = 0.5 * (z @ z) + logs.sum() + tail.sum() + 0.5 * z_noise**2 + theta[-1]
    return float(value), gradient


def _factorise(covariance: Tensor) -> Tensor:
    """Cholesky factor with as little jitter as does it."""
    eye = torch.eye(covariance.shape[-1], dtype=covariance.dtype, device=covariance.device)
    jitter = JITTER
    factor, info = torch.linalg.cholesky_ex(covariance + jitter * eye)
    while int(info.max()) != 0 and jitter < 1.0:
        jitter *= 10
        factor, info = torch.linalg.cholesky_ex(covariance + jitter * eye)
    return torch.as_tensor(factor)

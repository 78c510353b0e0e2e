"""The model of success: where a training gives values at all.

Kernel logistic regression: a latent Gaussian process with logistic likelihood. The search goes by
its mode, which is calibrated over the space; averaging over the Laplace variance is underconfident
there, and found less. What is suggested is no random point of the space, though, but where the mode
promises much, often too much: the probability that a suggestion is shown with is an average
(benchmarks/RESULTS.md). The lengthscales are those of a plain regression on labels of plus and
minus one; the amplitude maximises the Laplace evidence.

Failures often follow from what is measured: a training that is hardly better than chance, or takes
too long, is called off. So once there are successes enough to predict the metrics, a second
classifier sees, beside the parameters, what is expected of the metrics. Where they explain nothing
it is the worse one, and it takes part by its evidence: the probability is the average of both
[Hoeting1999].

References:
    [Hoeting1999] J. A. Hoeting, D. Madigan, A. E. Raftery, C. T. Volinsky. Bayesian model
        averaging: a tutorial. Statistical Science, 1999.
    [Rasmussen2006] C. E. Rasmussen, C. K. I. Williams. Gaussian processes for machine learning.
        MIT Press, 2006 (algorithms 3.1 and 3.2: Newton's method for the mode, the variance).
    [MacKay1992] D. J. C. MacKay. The evidence framework applied to classification networks. Neural
        Computation, 1992 (the average of a sigmoid).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tradeoff.engine.models import (
    MAX_FIT_ROWS,
    Layout,
    Prior,
    SurrogateModel,
    fit_map,
    matern,
    squared_distance,
)
from tradeoff.engine.state import WarmStart

Array = npt.NDArray[np.float64]

LABEL_PRIOR = Prior(noise=-2.0, deviation=1.0, floor=1e-2)
AMPLITUDES = (1.5, 3.0, 6.0)
#: Up to so many rows every call fits the lengthscales anew, then every few rows.
REFIT_ALWAYS_BELOW, REFIT_EVERY = 64, 5
NEWTON_STEPS, CONVERGED, DIVERGED = 20, 1e-4, 1e-1
#: The share of the probability in the utility: avoiding failures this hard cost no hypervolume.
POWER = 4.0
#: Below this probability the utility falls faster still.
DOUBTFUL, PENALTY = 0.5, 6.0
#: What is expected to bring so much more, probability included, is worth a failure: the logarithm.
#: Below a probability of 0.4 the utility is this much less than the expectation, and falls with it.
LONG_SHOT = 4.0
#: The share of the Laplace variance that suggestions' probabilities are averaged over.
VARIANCE_SHARE = 0.5
#: So many standard deviations of a metric are as long as a parameter's range.
DEVIATIONS = 4.0
#: A classifier that is less likely than this is not asked.
NEGLIGIBLE = 1e-3


@dataclass(frozen=True, slots=True)
class Mode:
    """The most probable latent function.

    Attributes:
        weights: `n`, the latent function is `k(x)' weights + base`.
        base: the logit of the smoothed share of successes, which holds far from data.
        amplitude: standard deviation of the latent prior.
        log_evidence: Laplace's approximation.
        step: size of the last Newton step; large when it did not converge.
        root: `n`, square roots of the curvature of the likelihood.
        factor: `n x n`, Cholesky factor of `I + root K root`.
    """

    weights: Tensor
    base: float
    amplitude: float
    log_evidence: float
    step: float
    root: Tensor
    factor: Tensor


class Classifier:
    """Probability of success at any point, learned from all observations.

    Attributes:
        device: where it computes.
        warm: what to start from next time.
    """

    def __init__(
        self,
        X: Tensor,
        failed: Tensor,
        layout: Layout,
        warm: WarmStart | None = None,
        metrics: SurrogateModel | None = None,
    ):
        """Fit the classifier.

        Args:
            X: `n x D`, all observations.
            failed: `n`, booleans.
            layout: which lengthscale each column has.
            warm: the last fit, if there was one.
            metrics: whose expected values it sees as well; `None` for the parameters alone.
        """
        self.device, self._metrics = X.device, metrics
        if metrics is not None:
            layout = layout.with_numbers(len(metrics.thetas))
        with torch.no_grad():
            X = self._see(X)
        labels = torch.where(failed, -1.0, 1.0).to(X)
        if warm is None or _is_stale(warm, len(X), layout):
            warm = _fit(X, labels, layout, warm)
        self.warm, theta = warm, np.array(warm.theta)
        self._lengths = _lengths(theta, layout, X)
        self._scaled = X / self._lengths
        correlation = matern(squared_distance(self._scaled, self._scaled))
        self._mode = find_mode(correlation, labels, warm.amplitude)
        # Newton's method hardly ever fails here; the regression behind it always has an answer.
        self._regression: SurrogateModel | None = None
        if not self._mode.step < DIVERGED:
            Yvar = torch.zeros_like(labels)[:, None]
            self._regression = SurrogateModel(X, labels[:, None], Yvar, [theta], layout)
            self._label_noise = math.exp(theta[-1])

    @property
    def log_evidence(self) -> float:
        """Laplace's approximation; of no weight where the mode was not found."""
        return self._mode.log_evidence if self._regression is None else -math.inf

    def log_probability(self, Z: Tensor) -> Tensor:
        """`N` logarithms of the probability of success at the rows of `Z`."""
        if self._regression is not None:
            mean, variance = self._regression.predict(self._see(Z))
            z = mean[0] / (variance[0] + self._label_noise).sqrt()
            return torch.as_tensor(torch.special.log_ndtr(z))
        return torch.nn.functional.logsigmoid(self._latent(self._covariance(Z)))

    def expected_probability(self, Z: Tensor) -> Tensor:
        """`N` probabilities of success at points that were chosen for being promising [MacKay1992].

        Nearer to one half than the mode's, the less is known of the point.
        """
        if self._regression is not None:
            return self.log_probability(Z).exp()
        K = self._covariance(Z)
        known = torch.linalg.solve_triangular(
            self._mode.factor, self._mode.root[:, None] * K.T, upper=False
        )
        variance = (self._mode.amplitude**2 - known.square().sum(0)).clamp_min(0.0)
        shrunk = (1 + math.pi / 8 * VARIANCE_SHARE * variance).sqrt()
        return torch.sigmoid(self._latent(K) / shrunk)

    def _see(self, Z: Tensor) -> Tensor:
        """`N x (D + m)`: the rows of `Z` and what is expected of the metrics there."""
        if self._metrics is None:
            return Z
        return torch.cat([Z, self._metrics.mean(Z).T / DEVIATIONS], 1)

    def _covariance(self, Z: Tensor) -> Tensor:
        k = matern(squared_distance(self._see(Z) / self._lengths, self._scaled))
        return self._mode.amplitude**2 * k

    def _latent(self, covariance: Tensor) -> Tensor:
        return covariance @ self._mode.weights + self._mode.base


class SuccessModel:
    """The average of classifiers, each as likely as its evidence says.

    Attributes:
        classifiers: the first one sees the parameters alone.
        shares: how likely each one is; their sum is 1.
    """

    def __init__(self, classifiers: Sequence[Classifier]):
        """Weigh them; there is at least one."""
        self.classifiers = classifiers
        evidence = np.array([each.log_evidence for each in classifiers])
        if not np.isfinite(evidence).any():
            evidence = np.zeros(len(classifiers))
        self.shares = np.exp(evidence - np.logaddexp.reduce(evidence))

    def log_probability(self, Z: Tensor) -> Tensor:
        """`N` logarithms of the probability of success at the rows of `Z`."""
        terms = [
            each.log_probability(Z) + math.log(share)
            for each, share in zip(self.classifiers, self.shares, strict=True)
            if share > NEGLIGIBLE
        ]
        return torch.logsumexp(torch.stack(terms), 0)

    def expected_probability(self, Z: Tensor) -> Tensor:
        """`N` probabilities as of `Classifier.expected_probability`."""
        terms = [
            each.expected_probability(Z) * share
            for each, share in zip(self.classifiers, self.shares, strict=True)
        ]
        return torch.stack(terms).sum(0)

    def log_utility(self, Z: Tensor) -> Tensor:
        """`N` terms of a log utility: a power of the probability, and a penalty on doubt.

        Not without end, or a search would stay where it first succeeded: a long shot pays a price.
        """
        log_p = self.log_probability(Z)
        cautious = POWER * log_p - PENALTY * (math.log(DOUBTFUL) - log_p).clamp_min(0.0)
        return torch.maximum(cautious, log_p - LONG_SHOT)


def find_mode(correlation: Tensor, labels: Tensor, amplitude: float) -> Mode:
    """The mode of the latent values by Newton's method [Rasmussen2006].

    Args:
        correlation: `n x n`.
        labels: `n`, 1 for success and -1 for failure.
        amplitude: standard deviation of the latent prior.
    """
    n = len(labels)
    K = amplitude**2 * correlation
    K.diagonal().add_(1e-6)
    targets = (labels + 1) / 2
    share = (float(targets.sum()) + 1) / (n + 2)
    base = math.log(share / (1 - share))
    latent = torch.full_like(targets, base)
    weights, step = torch.zeros_like(targets), math.inf
    for _ in range(NEWTON_STEPS):
        p = torch.sigmoid(latent)
        curvature = (p * (1 - p)).clamp_min(1e-9)
        root = curvature.sqrt()
        B = root[:, None] * K * root[None]
        B.diagonal().add_(1.0)
        factor, info = torch.linalg.cholesky_ex(B)
        if int(info) != 0:
            return Mode(weights, base, amplitude, -math.inf, math.inf, root, factor)
        b = curvature * (latent - base) + (targets - p)
        solved = torch.cholesky_solve((root * (K @ b))[:, None], factor)[:, 0]
        weights = b - root * solved
        new = K @ weights + base
        step, latent = float((new - latent).abs().max()), new
        if step < CONVERGED:
            break
    fit = torch.nn.functional.logsigmoid(labels * latent).sum()
    evidence = fit - 0.5 * (weights @ (latent - base)) - factor.diagonal().log().sum()
    return Mode(weights, base, amplitude, float(evidence), step, root, factor)


def _fit(X: Tensor, labels: Tensor, layout: Layout, last: WarmStart | None) -> WarmStart:
    """Lengthscales and amplitude, from at most `MAX_FIT_ROWS` rows, old and new alike."""
    rows = np.linspace(0, len(X) - 1, min(len(X), MAX_FIT_ROWS)).astype(np.intp)
    on_device = torch.as_tensor(rows, device=X.device)
    seen, told = X[on_device], labels[on_device]
    start = None if last is None or len(last.theta) != layout.size + 1 else last.theta
    theta = fit_map(seen, told, torch.zeros_like(told), layout, start=start, prior=LABEL_PRIOR)
    scaled = seen / _lengths(theta, layout, X)
    correlation = matern(squared_distance(scaled, scaled))
    modes = [find_mode(correlation, told, amplitude) for amplitude in AMPLITUDES]
    best = max(modes, key=lambda mode: mode.log_evidence)
    return WarmStart(tuple(map(float, theta)), len(X), best.amplitude)


def _lengths(theta: Array, layout: Layout, X: Tensor) -> Tensor:
    """`D` lengthscales, where `X` is."""
    return torch.as_tensor(np.exp(theta[layout.groups]), dtype=X.dtype, device=X.device)


def _is_stale(warm: WarmStart, rows: int, layout: Layout) -> bool:
    if len(warm.theta) != layout.size + 1 or rows < warm.fitted_on:
        return True
    return rows - warm.fitted_on >= (1 if rows < REFIT_ALWAYS_BELOW else REFIT_EVERY)

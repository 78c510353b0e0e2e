"""How much a new point is worth: noisy expected hypervolume improvement, in closed form.

The front is uncertain, so it is sampled: in each of `S` joint samples of the metrics at the
candidates for the front (points in work among them) the expected improvement of one more point is
a sum of products of one-dimensional improvements. It is exact in the new point's own uncertainty,
so a few samples do where Monte Carlo needs a hundred, and it is smooth. Everything is kept in
logarithms: far from the front improvements of 1e-300 still have a slope to follow.

Where the user gave no threshold, nobody knows from which level on a metric is of interest. Then
each sample has a reference point of its own, drawn from what random points would score; averaging
over samples is the gain of a hypervolume integrated over users whom we cannot ask. (Inferring one
from the front was measured worse: too tight where the front is unexplored, too loose at its
worthless end.)

Notation: `m` optimised metrics, `c` constraints, `b` rows that may be on the front, `S` samples,
`N` points; z = (mean - t) / sd; h(z) = phi(z) + z Phi(z), the expected excess of a standard normal
over -z.

References:
    [Emmerich2011] M. T. M. Emmerich, A. H. Deutz, J. W. Klinkenberg. Hypervolume-based expected
        improvement: monotonicity properties and exact computation. IEEE CEC, 2011.
    [Daulton2021] S. Daulton, M. Balandat, E. Bakshy. Parallel Bayesian optimization of multiple
        noisy objectives with expected hypervolume improvement. NeurIPS, 2021.
    [Ament2023] S. Ament, S. Daulton, D. Eriksson, M. Balandat, E. Bakshy. Unexpected improvements
        to expected improvement for Bayesian optimization. NeurIPS, 2023 (stable log h).
    [Deng2019] J. Deng, Q. Zhang. Approximating hypervolume and hypervolume contributions using
        polar coordinate. IEEE Transactions on Evolutionary Computation, 2019 (rays, for m > 3).
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.utils.multi_objective.box_decompositions.non_dominated import (
    FastNondominatedPartitioning,
)
from scipy import special
from scipy.stats import qmc
from torch import Tensor
from torch.autograd.function import once_differentiable

from tradeoff.engine import design, pareto
from tradeoff.engine.device import tensor
from tradeoff.engine.feasibility import SuccessModel
from tradeoff.engine.interior import Interior
from tradeoff.engine.models import ConditionedModel, SurrogateModel
from tradeoff.engine.space import Space, unique_rows

Array = npt.NDArray[np.float64]

#: Joint samples of the front; with three metrics boxes are dear. Below four runs get worse.
SAMPLES, SAMPLES_OF_BOXES = 8, 4
#: Samples that are enough to screen a pool.
SCREENING = 4
#: Unknown references are quantiles of what so many random points score, drawn from 0 up to this.
REFERENCE_POINTS, HIGHEST_QUANTILE = 256, 0.5
#: From so many metrics on the draw begins this far below the quantile 0, where a reference is as
#: much worse than the worst random point as that one is worse than the median.
MANY_ENDS, BELOW_QUANTILES = 3, 0.3
#: At most so many observed points stand for the front in the samples.
MAX_BASELINE = 64
DIRECTIONS, QUADRATURE = 32, 16
#: The logarithm of nothing.
LOG_ZERO = -1e30

#: Above this z the expected excess is z itself, and below minus this it is its asymptote.
LINEAR, EXTREME = 8.0, 1e3

_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)
_ROOT_HALF_PI = math.sqrt(math.pi / 2)
_ROOT_HALF = math.sqrt(0.5)


class Improvement(Protocol):
    """Expected improvement over the sampled fronts.

    Attributes:
        sample_of: for each of the `k` terms the index of its sample.
    """

    sample_of: Tensor

    def log_value(self, mean: Tensor, variance: Tensor, count: int) -> Tensor:
        """`N x k'` logarithms of the improvement, in the terms of the first `count` samples.

        Args:
            mean: `m x N x count`.
            variance: `m x N`.
            count: number of samples.
        """


class Utility:
    """The logarithm of what a point is worth: improvement, constraints, success and belief."""

    def __init__(
        self,
        model: ConditionedModel,
        references: Tensor,
        limits: Tensor,
        success: SuccessModel | None,
        directions: Tensor | None = None,
        interior: Interior | None = None,
    ):
        """Set up for a model.

        Args:
            model: the metrics, optimised ones first, then constraints.
            references: `m x S`, from where on each optimised metric counts in each sample.
            limits: `c`, constraints are met at or above.
            success: the model of success, when failures were seen.
            directions: `L x m`, from `draw_directions`; needed from four optimised metrics on.
            interior: the belief that good values lie inside the ranges.
        """
        self.model, self.references, self.limits, self.success = model, references, limits, success
        self.directions, self.interior = directions, interior
        self.objectives = len(references)
        self.samples = model.samples.shape[-1]
        self._improvement = self._build()

    def __call__(self, Z: Tensor, *, screen: bool = False) -> Tensor:
        """`N` log utilities of the rows of `Z`; with `screen` faster, from fewer samples."""
        count = min(SCREENING, self.samples) if screen else self.samples
        mean, variance = self.model.predict(Z, count=count)
        value = self._log_gain(mean, variance, count)
        if self.interior is not None:
            value = value + self.interior.log_density(Z)
        return value if self.success is None else value + self.success.log_utility(Z)

    def append(self, x: Tensor, normals: Tensor) -> None:
        """Take a pick for granted, so that the next one differs.

        Args:
            x: `D`.
            normals: `(m + c) x S`, standard normal draws.
        """
        self.model.append(x, normals)
        self._improvement = self._build()

    def _build(self) -> Improvement | None:
        m = self.objectives
        if m == 0:
            return None
        F, permitted = self.model.samples[:m], self._permitted()
        if m == 1:
            return BestValue(F, self.references, permitted)
        if m == 2:
            return Strips(F, self.references, permitted)
        if self.directions is None:
            return Boxes(F, self.references, permitted)
        return Directions(F, self.references, permitted, self.directions)

    def _permitted(self) -> Tensor:
        """`b x S`: which sampled rows count as reached, in which samples."""
        margins = self.model.samples[self.objectives :] - self.limits[:, None, None]
        met: Tensor = (margins >= 0).all(0)
        return met

    def _log_gain(self, mean: Tensor, variance: Tensor, count: int) -> Tensor:
        m = self.objectives
        deviation = variance[m:, :, None].sqrt()
        z = (mean[m:] - self.limits[:, None, None]) / deviation
        log_met = torch.special.log_ndtr(z).sum(0)  # N x S
        if self._improvement is None:
            # Only constraints: find points that meet them, and different ones.
            spread = variance.sqrt().mean(0).log()
            return torch.logsumexp(log_met, -1) - math.log(count) + spread
        terms = self._improvement.log_value(mean[:m], variance[:m], count)  # N x k
        terms = terms + log_met[:, self._improvement.sample_of[: terms.shape[-1]]]
        return torch.logsumexp(terms, -1) - math.log(terms.shape[-1])


class BestValue:
    """One metric: improvement over the best value of each sample."""

    def __init__(self, F: Tensor, references: Tensor, permitted: Tensor):
        """Find the best values; arguments as for `Strips`."""
        values = torch.where(permitted, F[0], references)
        self.best = torch.maximum(values.max(0).values, references[0])  # S
        self.sample_of = torch.arange(F.shape[-1], device=F.device)

    def log_value(self, mean: Tensor, variance: Tensor, count: int) -> Tensor:
        """As `Improvement.log_value`."""
        deviation = variance[0, :, None].sqrt()
        return log_h((mean[0] - self.best[:count]) / deviation) + deviation.log()


class Strips:
    """Two metrics: the space above a front is one strip between each two of its points.

    Attributes:
        edges: `S x (K + 1)`, where strips begin in the first metric, ascending.
        heights: `S x (K + 1)`, where they begin in the second; the last has no end in the first.
    """

    def __init__(self, F: Tensor, references: Tensor, permitted: Tensor):
        """Cut the space above each sample's front into strips.

        Args:
            F: `m x b x S`, sampled values.
            references: `m x S`.
            permitted: `b x S`, which rows meet the constraints in which samples.
        """
        first, second = F[0].T, F[1].T  # S x b
        low, bottom = references[0][:, None], references[1][:, None]  # S x 1
        counts = (first > low) & (second > bottom) & permitted.T
        first, order = torch.where(counts, first, low).sort(dim=1)
        second = torch.where(counts, second, bottom).gather(1, order)
        # Ascending in the first metric, a point is on the front if nothing to its right is higher.
        right = second.flip(1).cummax(1).values.flip(1)
        right = torch.cat([right[:, 1:], bottom], 1)
        on_front = (second > right) & (first > low)
        K = max(int(on_front.sum(1).max()), 1)
        # The front's points to the left, in order; strips beyond the last one have no width.
        order = (~on_front).to(torch.int8).argsort(dim=1, stable=True)[:, :K]
        real = on_front.gather(1, order)
        last = torch.where(on_front, first, low).max(1, keepdim=True).values
        edges = torch.where(real, first.gather(1, order), last)
        heights = torch.where(real, second.gather(1, order), bottom)
        self.edges = torch.cat([low, edges], 1)
        self.heights = torch.cat([heights, bottom], 1)
        self.sample_of = torch.arange(F.shape[-1], device=F.device)

    def log_value(self, mean: Tensor, variance: Tensor, count: int) -> Tensor:
        """As `Improvement.log_value`; sum over strips of width times height [Emmerich2011]."""
        deviation = variance.sqrt()[..., None, None]  # 2 x N x 1 x 1
        across = log_h((mean[0, ..., None] - self.edges[:count]) / deviation[0])  # N x S x (K + 1)
        above = log_h((mean[1, ..., None] - self.heights[:count]) / deviation[1])
        width = torch.cat([log_difference(across[..., :-1], across[..., 1:]), across[..., -1:]], -1)
        return torch.logsumexp(width + above, -1) + deviation.log().sum(0)[..., 0]


class Boxes:
    """Any number of metrics: the space above each sample's front, cut into boxes.

    Attributes:
        low: `S x K x m`, lower corners.
        high: `S x K x m`, upper corners.
    """

    def __init__(self, F: Tensor, references: Tensor, permitted: Tensor):
        """Cut the space; arguments as for `Strips`."""
        bounds = [
            _boxes_above(F[:, permitted[:, s], s].T, references[:, s]) for s in range(F.shape[-1])
        ]
        K = max(low.shape[0] for low, _ in bounds)
        # Boxes without width make up the difference; their logarithm counts as nothing.
        corner = references.T[:, None, :].repeat(1, K, 1)
        self.low, self.high = corner.clone(), corner.clone()
        for s, (low, high) in enumerate(bounds):
            self.low[s, : len(low)], self.high[s, : len(high)] = low, high
        self.sample_of = torch.arange(F.shape[-1], device=F.device)

    def log_value(self, mean: Tensor, variance: Tensor, count: int) -> Tensor:
        """As `Improvement.log_value`; sum over boxes of products over metrics [Daulton2021]."""
        total = mean.new_zeros(())
        for j in range(len(mean)):
            deviation = variance[j].sqrt()[:, None, None]  # N x 1 x 1
            from_low = log_h((mean[j, ..., None] - self.low[:count, :, j]) / deviation)
            from_high = log_h((mean[j, ..., None] - self.high[:count, :, j]) / deviation)
            total = total + log_difference(from_low, from_high) + deviation.log()
        return torch.logsumexp(total, -1)


class Directions:
    """Many metrics: the hypervolume as an average over rays from the reference point [Deng2019].

    Along a ray with direction `lambda` a front reaches as far as `max over rows of
    min_k (f_k - r_k)_+ / lambda_k`, and the expected gain of a Gaussian point is an integral over
    one variable. The number of boxes would explode here.
    """

    def __init__(self, F: Tensor, references: Tensor, permitted: Tensor, directions: Tensor):
        """Measure the reach of each sample's front along its share of the directions.

        Args:
            F: `m x b x S`, sampled values.
            references: `m x S`.
            permitted: `b x S`, which rows meet the constraints in which samples.
            directions: `L x m`, unit vectors with positive entries.
        """
        L, S = len(directions), F.shape[-1]
        self.sample_of = torch.arange(L, device=F.device) * S // L
        self.directions = directions
        self.references = references[:, self.sample_of]  # m x L
        gains = (F[..., self.sample_of] - self.references[:, None]).clamp_min(0)  # m x b x L
        gains = gains * permitted[:, self.sample_of]
        self.reach = (gains / self.directions.T[:, None]).min(0).values.max(0).values  # L
        nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE)
        self._nodes = tensor((nodes + 1) / 2, F.device)
        self._log_weights = tensor(np.log(weights / 2), F.device)

    def log_value(self, mean: Tensor, variance: Tensor, count: int) -> Tensor:
        """As `Improvement.log_value`; one term per direction."""
        use = int((self.sample_of < count).sum())
        sample_of, directions = self.sample_of[:use], self.directions[:use]
        m = len(mean)
        deviation = variance.sqrt()[..., None]  # m x N x 1
        gain = mean[..., sample_of] - self.references[:, None, :use]  # m x N x L
        along = directions.T[:, None]  # m x 1 x L
        farthest = ((gain + 3 * deviation) / along).min(0).values  # N x L
        scale = (deviation / along).min(0).values
        beyond = torch.nn.functional.softplus((farthest - self.reach[:use]) / scale)
        length = beyond * scale + 0.05 * scale
        t = self.reach[:use, None] + length[..., None] * self._nodes  # N x L x nodes
        integrand = (m - 1) * t.clamp_min(1e-12).log() + self._log_weights
        for k in range(m):
            z = (gain[k][..., None] - directions[:, k, None] * t) / deviation[k][..., None]
            integrand = integrand + torch.special.log_ndtr(z)
        return torch.logsumexp(integrand, -1) + length.log()


class UtilityAcquisition(AcquisitionFunction):
    """A utility as BoTorch's optimizers take it: one point at a time, `batch x 1 x D`."""

    def __init__(self, utility: Utility):
        super().__init__(model=utility.model)  # type: ignore[arg-type]  # BoTorch only keeps it
        self.utility = utility

    def forward(self, X: Tensor) -> Tensor:
        """Log utilities of `batch x 1 x D` points, one per batch."""
        return self.utility(X.squeeze(-2))


def draw_references(
    model: SurrogateModel,
    space: Space,
    thresholds: Array,
    samples: int,
    rng: np.random.Generator,
) -> Tensor:
    """Reference points, one per sample: the threshold where given, else a plausible level.

    A level is what some share of random points falls short of. With three metrics or more the
    frontier also has ends that are worse in one of them than random points ever are: a corner of
    the cube, with the best of one metric at the cost of another. Beyond a reference among the
    random points nothing would be gained there, ever; so some of the references are lower.

    Args:
        model: the metrics.
        space: the search space.
        thresholds: `m`, standardised; NaN where none.
        samples: `S`.
        rng: source of the draws.

    Returns:
        `m x S`.
    """
    m, device = len(thresholds), model.X.device
    Z = design.sample(space, REFERENCE_POINTS, rng)
    if space.task is not None:
        Z[:, -1] = space.full_task  # what the full task would score
    with torch.no_grad():
        mean, variance = model.predict(tensor(Z, device))
    centres, deviations = mean[:m].cpu().numpy(), variance[:m].sqrt().cpu().numpy()
    scores = np.sort(centres + deviations * rng.standard_normal(centres.shape), axis=1)  # m x N
    level = qmc.Sobol(max(m, 1), scramble=True, seed=rng).random(samples)[:, :m]
    below = BELOW_QUANTILES if m >= MANY_ENDS else 0.0
    level = (HIGHEST_QUANTILE + below) * level.T - below  # m x S
    rows = np.rint(np.maximum(level, 0.0) * (scores.shape[1] - 1)).astype(int)
    references = np.take_along_axis(scores, rows, axis=1)
    reach = np.median(scores, axis=1) - scores[:, 0]
    references += np.minimum(level, 0.0) / BELOW_QUANTILES * reach[:, None]
    known = ~np.isnan(thresholds)
    references[known] = thresholds[known, None]
    return tensor(references, device)


def select_baseline(
    model: SurrogateModel,
    X_pending: Tensor,
    references: Tensor,
    limits: Tensor,
    counts: npt.NDArray[np.bool_] | None = None,
) -> Tensor:
    """The observed points that may be on the front, and all pending ones, without repeats.

    Args:
        model: the metrics, optimised ones first, then constraints.
        X_pending: `p x D`.
        references: `m x S`.
        limits: `c`.
        counts: `n`, which observed points can be on the front at all; `None`: all of them.

    Returns:
        `b x D`, at least one row.
    """
    m = len(references)
    mean, variance = model.predict_observed()
    hopeful = (mean + variance.sqrt()).T.cpu().numpy()  # n x (m + c)
    expected = mean.T.cpu().numpy()
    lowest = np.append(references.min(1).values.cpu().numpy(), limits.cpu().numpy())
    able = np.ones(len(expected), dtype=bool) if counts is None else counts
    permitted = able & (expected[:, m:] >= lowest[m:]).all(axis=1)
    front = expected[permitted, :m]
    front = front[pareto.non_dominated(front)]
    # How far each optimistic value rises above the front: negative for dominated ones.
    margin = np.full(len(hopeful), np.inf)
    for row in front:
        np.minimum(margin, (hopeful[:, :m] - row).max(axis=1, initial=-np.inf), out=margin)
    able = able & (margin >= 0) & (hopeful > lowest).all(axis=1)
    chosen = np.flatnonzero(able)
    chosen = chosen[np.argsort(-margin[chosen], kind="stable")[:MAX_BASELINE]]
    if not len(chosen):
        chosen = np.flatnonzero(pareto.non_dominated(expected))[:16]
    rows = torch.cat([model.X[torch.as_tensor(chosen, device=model.X.device)], X_pending])
    return tensor(unique_rows(rows.cpu().numpy()), model.X.device)


def sobol_normals(shape: tuple[int, ...], samples: int, rng: np.random.Generator) -> Array:
    """`*shape x samples` standard normal draws, evenly spread over the samples."""
    size = math.prod(shape)
    uniform = qmc.Sobol(size, scramble=True, seed=rng).random(samples)
    normals: Array = special.ndtri(np.clip(uniform, 1e-6, 1 - 1e-6))
    return normals.T.reshape(*shape, samples)


def draw_directions(objectives: int, rng: np.random.Generator) -> Array:
    """`L x m` unit vectors with positive entries, evenly spread."""
    uniform = qmc.Sobol(objectives, scramble=True, seed=rng).random(DIRECTIONS)
    normals = special.ndtri(np.clip(uniform, 1e-6, 1 - 1e-6))
    directions = np.maximum(np.abs(normals), 1e-3)
    unit: Array = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return unit


def samples_for(objectives: int) -> int:
    """How many joint samples to take."""
    return SAMPLES_OF_BOXES if objectives == 3 else SAMPLES


def log_h(z: Tensor) -> Tensor:
    """log(phi(z) + z Phi(z)), accurate and with finite gradients for all z [Ament2023]."""
    value: Tensor = _LogH.apply(z)  # type: ignore[no-untyped-call]  # torch has no types here
    return value


def log_difference(larger: Tensor, smaller: Tensor) -> Tensor:
    """log(exp(larger) - exp(smaller)); practically minus infinity where they are equal."""
    value: Tensor = _LogDifference.apply(larger, smaller)  # type: ignore[no-untyped-call]  # torch has no types here
    return value


class _LogH(torch.autograd.Function):
    """`log_h`. Its slope Phi(z) / h(z) is a by-product; torch would go back through each branch."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        size = (-z).clamp_min_(-LINEAR)
        # Phi(z) / phi(z), and h(z) / phi(z), which far down is a difference of equal numbers
        mills = torch.special.erfcx(size * _ROOT_HALF).mul_(_ROOT_HALF_PI)
        share = torch.where(size > EXTREME, size**-2, 1 - size * mills)
        beyond = z.clamp_min(LINEAR).div_(LINEAR)  # there h(z) = z
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(mills / (share * beyond))
        return (share * beyond).log_().sub_(size.square_(), alpha=0.5).sub_(_LOG_ROOT_2PI)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        slope: Tensor = ctx.saved_tensors[0]
        return gradients[0] * slope


class _LogDifference(torch.autograd.Function):
    """`log_difference`, with slopes of one exponential."""

    @staticmethod
    def forward(ctx: Any, larger: Tensor, smaller: Tensor) -> Tensor:
        gap = larger - smaller
        positive = gap > 1e-12
        share = torch.where(positive, -torch.expm1(-gap), torch.ones_like(gap))
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(torch.where(positive, 1 / share, torch.zeros_like(gap)), positive)
        return torch.where(positive, larger + share.log(), torch.full_like(gap, LOG_ZERO))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        slope, positive = ctx.saved_tensors
        of_larger = gradients[0] * slope
        return of_larger, torch.where(positive, gradients[0] - of_larger, torch.zeros_like(slope))


def _boxes_above(Y: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Lower and upper corners, each `K x m`, of boxes that fill the space above a front."""
    Y = Y[(reference < Y).all(-1)]
    partitioning = FastNondominatedPartitioning(ref_point=reference, Y=Y)
    low, high = partitioning.get_hypercell_bounds()
    return low, high.clamp(max=1e10)

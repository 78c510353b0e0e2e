"""A weak belief that good values lie inside the ranges; it fades as observations come in.

Whoever gives a range expects more of its inside than of its ends. A stationary model knows nothing
of that: its variance is largest in the corners of the cube, of which there are `2^d`, and with few
observations the improvement is mostly variance. A search without this belief spends its first
suggestions on corners, and learns little there.

The belief is a density in each number, which enters the utility with a power that falls with the
observations [Hvarfner2022]: as the square of how many there are for each number, so that it decides
while the model knows next to nothing, and is gone before the search is over.

It yields where the data speak against it. Of each wall, an end of one range, there are two
hypotheses: good values keep away from it, and are spread as `b(z)`, which falls towards it; or they
do not mind it. The belief is the mixture of both, and the observations that are efficient so far
update their probabilities by Bayes' rule. Where nobody looks there is nothing to observe, and with
three metrics or more much of the front lies at walls: there what the model is fairly sure to find
efficient at a wall counts as if it had been seen.

An end itself is another matter than what is next to it. Where more is always better the best value
is the end, exactly: of what lies at ends most lies at them and not near. So each end has a weight
of its own, a spike on the slab [Mitchell1988]. A search with it tries one end or two in the middle
of the others, where without any belief it tries corners. How much an end is worth is learned from
all of them together: how often what was tried at an end was efficient when it came in, beside how
often what lay inside was (`weigh_ends`). Of integers and grids with few levels half of all points
lie at ends anyway, and these have none. Nor have any once a training failed: at two ends at once
much more fails than the model of success expects from what it knows of the inside.

Of many numbers it lasts for many observations, and as long as nothing is tried at a wall nothing
speaks against it. So of more numbers than `TRUSTED` every third suggestion goes without it. What
all of that gained and cost is in benchmarks/RESULTS.md.

References:
    [Hvarfner2022] C. Hvarfner, D. Stoll, A. Souza, M. Lindauer, F. Hutter, L. Nardi. PiBO:
        augmenting acquisition functions with user beliefs for Bayesian optimization. ICLR, 2022.
    [Mitchell1988] T. J. Mitchell, J. J. Beauchamp. Bayesian variable selection in linear
        regression. Journal of the American Statistical Association, 1988 (spike and slab).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from scipy import special
from torch import Tensor

from tradeoff.engine.device import tensor
from tradeoff.engine.models import SurrogateModel
from tradeoff.engine.space import Space

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: The power of the density until there are as many observations as numbers.
STRENGTH = 2.0
#: Of more numbers than this each one counts less, or their sum would be all that counts.
MANY = 6
#: The probability that good values do not mind a wall, before any was seen. So it is what the
#: density, 1 in the middle of a range, has at its ends.
FLOOR = 0.05
#: What the density is exactly at an end before any was tried, and as how many trials that counts.
END, END_TRIALS = 0.6, 3
#: So many observations come first and are not counted as trials.
FIRST = 3
#: From so many levels on integers and grids have ends.
LEVELS = 20
#: So close to an end is at it.
TOLERANCE = 1e-12
#: Of more numbers than this one suggestion in so many goes without the belief.
TRUSTED, EVERY = 12, 3
#: From so many metrics on the model is asked. With two it speaks mostly for the ends of the front,
#: which add little.
ASKED = 3
#: By so much, in standard deviations of a metric, must be beyond the front what a model is fairly
#: sure of: what it expects less one standard deviation of its own.
MARGIN = 0.1
#: At most so many points at walls are looked at.
LOOKED_AT = 1_024
#: The probability never gets smaller than this, or the density would have no logarithm.
LEAST = 1e-3
#: After so many observations for each number nothing is left of the belief that matters.
FADED = 30
#: The integral of `b(z)`, which is 4 z (1 - z) on the half next to the wall and 1 on the other.
_MASS = 5 / 6


class Interior:
    """The logarithm of the belief, as a term of a log utility."""

    def __init__(
        self,
        space: Space,
        observations: int,
        device: torch.device,
        efficient: Array,
        promising: Array | None = None,
        end: float = END,
    ):
        """Set up for a space.

        Args:
            space: the search space. A parameter with a prior has a belief of its own already.
            observations: how many with values were seen.
            device: to compute on.
            efficient: `k x D`, those of them that are efficient.
            promising: from `count_promising`; `None` where no model was asked.
            end: from `weigh_ends`, what the density is exactly at an end, at least; 0 if it has
                no weight of its own.
        """
        numbers = _numbers(space)
        if promising is None:
            promising = np.zeros((2, len(numbers)))
        z, counts = _coordinates(space, efficient)
        columns = space.first_columns[numbers]
        self._columns = torch.as_tensor(columns, device=device)
        self._low = tensor(_probability(z, counts, promising[0]), device)
        self._high = tensor(_probability(1 - z, counts, promising[1]), device)
        self._ends = tensor(_ends(space), device)
        self.end = end
        self._power = _power(len(numbers), observations)
        self._is_trusted = len(numbers) <= TRUSTED

    def is_doubted(self, position: int) -> bool:
        """Whether a suggestion goes without the belief.

        Args:
            position: how many points were observed, are pending or were picked before.
        """
        return not self._is_trusted and position % EVERY == 0

    def log_density(self, Z: Tensor) -> Tensor:
        """`N` logarithms of the density at the rows of `Z`, times its power."""
        z = Z[..., self._columns].clamp(0.0, 1.0)
        floor = torch.where(z < 0.5, self._low, self._high)
        density = floor + (1 - floor) * 4 * z * (1 - z)
        at_end = torch.minimum(z, 1 - z) <= self._ends + TOLERANCE
        density = torch.where(at_end, density.clamp_min(self.end), density)
        value: Tensor = self._power * density.log().sum(-1)
        return value

    def is_held(self, X: Array) -> Mask:
        """`N x D`: which reals of rows lie at an end that is worth more than its vicinity.

        No gradient leads away from there, and with a step away the spike is lost.
        """
        low, high = (slab.cpu().numpy() < self.end for slab in (self._low, self._high))
        columns, is_real = self._columns.cpu().numpy(), self._ends.cpu().numpy() == 0
        at_low, at_high = X[:, columns] <= TOLERANCE, X[:, columns] >= 1 - TOLERANCE
        held = np.zeros(X.shape, dtype=bool)
        held[:, columns] = is_real & (at_low & low | at_high & high)
        return held


def weigh_ends(space: Space, X: Array, is_advance: Mask) -> float:
    """What the density is exactly at an end of a range, by what was tried there so far.

    It is how often a trial at an end was an advance, as a share of how often one inside was;
    `END_TRIALS` trials for which that share is `END` are added.

    Args:
        space: the search space.
        X: `n x D`, observations with values, oldest first.
        is_advance: `n`, as `Data.advances`.

    Returns:
        Between `FLOOR` and 1.
    """
    z, counts = _coordinates(space, X)
    at_end: Mask = np.any((np.minimum(z, 1 - z) <= _ends(space) + TOLERANCE) & counts, axis=1)
    # The first ones are advances wherever they lie.
    at_end, is_advance = at_end[FIRST:], is_advance[FIRST:]
    inside = (is_advance[~at_end].sum() + 1) / ((~at_end).sum() + 2)
    share = (is_advance[at_end].sum() / inside + END * END_TRIALS) / (at_end.sum() + END_TRIALS)
    return float(np.clip(share, FLOOR, 1.0))


def count_promising(space: Space, model: SurrogateModel, efficient: Array, limits: Array) -> Array:
    """How many points at each wall the model is fairly sure to find efficient.

    Each is an efficient observation, moved to the wall along one number.

    Args:
        space: the search space, of which `p` numbers have the belief.
        model: the metrics, optimised ones first, then constraints.
        efficient: `k x D`, the efficient observations.
        limits: `c`, standardised: a constraint is met at or above.

    Returns:
        `2 x p`, of the walls at 0 and of those at 1; zeros with fewer metrics than `ASKED`.
    """
    numbers, device = _numbers(space), model.X.device
    walls, m = 2 * len(numbers), len(model.thetas) - len(limits)
    if not walls or not len(efficient) or m < ASKED:
        return np.zeros((2, len(numbers)))
    looked_at = efficient[:: math.ceil(walls * len(efficient) / LOOKED_AT)]
    V = space.to_unit(looked_at)
    moved = np.tile(V, (2, len(numbers), 1, 1))  # 2 x p x k x dimensions
    for place, index in enumerate(numbers):
        moved[0, place, :, index], moved[1, place, :, index] = 0.0, 1.0
    X = space.from_unit(moved.reshape(-1, V.shape[1]))
    with torch.no_grad():
        mean, variance = model.predict(tensor(X, device))
        front = model.mean(tensor(efficient, device)).cpu().numpy()
    low = (mean - variance.sqrt()).cpu().numpy()
    ahead = low[:m, :, None] - front[:m, None]
    is_beyond = (ahead.max(axis=0) > MARGIN).all(axis=1)
    is_met = (low[m:] >= limits[:, None]).all(axis=0) & space.meets_constraints(X)
    # Of a number that is switched off nothing was moved, and so nothing is beyond the front.
    counts: Array = (is_beyond & is_met).reshape(2, len(numbers), -1).sum(axis=2)
    return counts


def _numbers(space: Space) -> list[int]:
    """Indices of the dimensions that the belief is about."""
    return [
        index
        for index, dimension in enumerate(space.dimensions)
        if dimension.kind != "choice"
        and dimension.parameter is not None
        and dimension.parameter.prior is None
    ]


def _ends(space: Space) -> Array:
    """`p` coordinates of the lower ends, which are as far from 0 as the upper ones are from 1.

    Infinitely far below it where there is none.
    """
    dimensions = [space.dimensions[index] for index in _numbers(space)]
    is_real = [each.kind == "real" for each in dimensions]
    sizes = np.array([each.size for each in dimensions])
    lowest_level = np.where(sizes >= LEVELS, 0.5 / np.maximum(sizes, 1), -math.inf)
    return np.where(is_real, 0.0, lowest_level)


def _coordinates(space: Space, X: Array) -> tuple[Array, Mask]:
    """Of rows the `k x p` coordinates of the numbers, and where those are switched on."""
    V, numbers = space.to_unit(X), _numbers(space)
    return V[:, numbers], space.active(V)[:, numbers]


def _probability(z: Array, counts: Mask, promising: Array) -> Array:
    """`p` probabilities that good values do not mind the walls at 0.

    Args:
        z: `k x p`, where efficient observations lie.
        counts: `k x p`, where a parameter is switched on.
        promising: `p`, how many more the model is sure of at these walls.
    """
    falling = np.where(z < 0.5, 4 * z * (1 - z), 1.0) / _MASS
    evidence = np.where(counts, -np.log(np.maximum(falling, FLOOR)), 0.0).sum(axis=0)
    evidence -= promising * np.log(FLOOR)
    posterior = special.expit(special.logit(FLOOR) + evidence)
    return np.asarray(np.maximum(posterior, LEAST))


def _power(numbers: int, observations: int) -> float:
    share = min(1.0, numbers / max(observations, 1))
    return STRENGTH * share**2 * min(1.0, MANY / max(numbers, 1))

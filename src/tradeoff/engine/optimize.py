"""The best point of a mixed and constrained space, by a log utility.

A pool of spread points and of neighbours of good ones is screened; from the best few a batched
L-BFGS climbs, all starts in one evaluation, in coordinates divided by the lengthscales. Ints are
relaxed on the way, then rounded and searched level by level; categories are only searched. What was
seen already is never returned while there is anything else.

Notation: `N` or `B` rows, `D` columns of `X`, `p` dimensions.

References:
    [Nocedal1980] J. Nocedal. Updating quasi-Newton matrices with limited storage. Mathematics of
        Computation, 1980.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tradeoff.engine import design
from tradeoff.engine.acquisition import Utility
from tradeoff.engine.device import tensor
from tradeoff.engine.space import SAME, Space, row_key, unique_rows

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Function = Callable[[Tensor], Tensor]

#: Pool: spread points and perturbations of good ones. Half of it lost, twice of it gained nothing.
SPREAD, NEIGHBOURS, SURVIVORS = 512, 512, 64
CHILDREN, PARENTS = 128, 8
#: Points of the pool moved to ends of ranges, as long as ends have a weight of their own; and the
#: probability that one is moved along a second dimension.
AT_ENDS, SECOND_END = 384, 0.3
#: So many of the pool are screened at once on a CPU: what is computed on the way fits its caches.
AT_ONCE = 256
#: Sizes of a perturbation, in widths of the range, and how many dimensions it moves on average.
POOL_STEPS, CHILD_STEPS, MOVED = (0.25, 0.1, 0.03), (0.15, 0.06, 0.02), 4.0
#: Starts of the climb, on one core and on a GPU, and how far apart they must be.
STARTS, STARTS_ON_GPU, APART = 4, 32, 0.1
CLIMB_EVALUATIONS, TOUCH_UP_EVALUATIONS = 25, 8
MEMORY = 8
LONGEST_STEP, FIRST_STEP, SHORTENING, ARMIJO = 0.5, 0.1, 0.35, 1e-4
NEGLIGIBLE_GAIN = 1e-5
SWEEPS = 2
#: From this many levels on a sweep also jumps by a twentieth of them.
MANY_LEVELS = 20
#: A sweep tries at most so many other choices of one category.
CHOICES_TRIED = 16
#: A finite space up to this size is evaluated whole.
WHOLE = 2_048
#: Tries to step off a point that was seen.
STEPS_OFF = 8


@dataclass(frozen=True, slots=True)
class Problem:
    """What is searched, and from where.

    Attributes:
        space: the search space.
        incumbents: `k x D`, good points to start from, at least one.
        seen: `n x D`, points that must not be returned again.
        scale: `D`, step size of each column; the lengthscales.
    """

    space: Space
    incumbents: Array
    seen: Array
    scale: Array


def optimize(
    utility: Utility, problem: Problem, rng: np.random.Generator, device: torch.device
) -> tuple[Array, float]:
    """The best point found that was not seen yet.

    Once a finite space is exhausted, the best point of all.

    Returns:
        One snapped row of `X`, and its log utility.
    """
    space = problem.space
    score = _scorer(utility, device)
    everything = space.points(WHOLE)
    if everything is not None and len(everything):
        return _best_unseen(everything, score(everything), problem)
    pool = _pool(utility, problem, rng)
    X, values = _screen(pool, utility, problem, rng, device)
    chosen = _spread_starts(X, values, STARTS if device.type == "cpu" else STARTS_ON_GPU)
    X, values = _climb_and_round(X[chosen], values[chosen], utility, problem, device)
    x = X[int(np.nanargmax(values))]
    if not is_seen(x, problem.seen):
        return x, float(np.nanmax(values))
    return _step_off(x, pool, score, problem, rng)


def screen(
    utility: Utility, problem: Problem, rng: np.random.Generator, device: torch.device
) -> tuple[Array, float]:
    """The best point of the pool: `optimize` without its climb, for when that takes too much.

    Returns:
        One snapped row of `X`, and its log utility.
    """
    pool = _pool(utility, problem, rng)
    x, value = _best_unseen(*_screen(pool, utility, problem, rng, device), problem)
    if not is_seen(x, problem.seen):
        return x, value
    return _step_off(x, pool, _scorer(utility, device), problem, rng)


def look_nearby(
    utility: Utility,
    problem: Problem,
    rng: np.random.Generator,
    device: torch.device,
    *,
    width: float,
) -> tuple[Array, float]:
    """The best unseen neighbour of the incumbents: `optimize` for when what it finds fails.

    Args:
        utility: to maximise.
        problem: what is searched, and from where.
        rng: source of the draws.
        device: to compute on.
        width: the largest size of a step, in widths of the range.

    Returns:
        One snapped row of `X`, and its log utility; what `optimize` finds when all are seen.
    """
    space, steps = problem.space, (width, width / 2, width / 4)
    near = perturb(space, problem.incumbents, NEIGHBOURS, rng, steps)
    near = _unseen(near[space.meets_constraints(near)], problem)
    if not len(near):
        return optimize(utility, problem, rng, device)
    return _best_of(near, _scorer(utility, device))


def is_seen(x: Array, seen: Array) -> bool:
    """Whether a row repeats one of `seen`."""
    return bool(len(seen)) and bool((np.abs(seen - x).max(axis=1) < SAME).any())


def perturb(
    space: Space,
    X: Array,
    count: int,
    rng: np.random.Generator,
    steps: tuple[float, ...] = POOL_STEPS,
) -> Array:
    """Snapped neighbours of rows: each moves a few dimensions by normal steps of a random size.

    An int moves by a level at least, a category is drawn anew, steps beyond a bound come back, and
    what a new choice switches on is drawn uniformly. Steps over a linear constraint are shortened.

    Args:
        space: the search space.
        X: `k x D`, parents.
        count: `N`.
        rng: source of the draws.
        steps: sizes of which each child takes one.

    Returns:
        `N x D`.
    """
    p = len(space.dimensions)
    parents = space.to_unit(X)[rng.integers(len(X), size=count)]  # N x p
    moved = rng.random((count, p)) < MOVED / p
    moved[np.arange(count), rng.integers(p, size=count)] = True
    size = np.asarray(steps)[rng.integers(len(steps), size=(count, 1))]
    V = parents + np.where(moved, size * rng.standard_normal((count, p)), 0.0)
    for index, dimension in enumerate(space.dimensions):
        if dimension.kind == "real":
            continue
        step = V[:, index] - parents[:, index]
        if dimension.kind == "choice":
            V[:, index] = np.where(moved[:, index], rng.random(count), parents[:, index])
        else:
            short = moved[:, index] & (np.abs(step) < 1 / dimension.size)
            level = parents[:, index] + np.sign(step) / dimension.size
            V[:, index] = np.where(short, level, V[:, index])
    V = np.clip(np.where(V > 1, 2 - V, np.abs(V)), 0.0, 1.0)
    switched_on = space.active(V) & ~space.active(parents)
    V = np.where(switched_on, rng.random((count, p)), V)
    return space.from_unit(_shorten(space, parents, V))


def climb(
    function: Function, X: Tensor, free: Tensor, scale: Tensor, *, walls: Walls, evaluations: int
) -> tuple[Tensor, Tensor]:
    """Maximise a function from several starts at once by L-BFGS in the unit cube [Nocedal1980].

    Every row has its own step size and curvature; all rows share each evaluation.

    Args:
        function: `B x D` to `B`, differentiable, each value by its own row.
        X: `B x D`, starts.
        free: `B x D`, 1 where a coordinate may move and 0 where it may not.
        scale: `D`, lengths in which steps are measured.
        walls: the linear constraints.
        evaluations: how many evaluations of all rows.

    Returns:
        `B x D` best points and `B` values.
    """
    u, ceiling = X / scale, 1.0 / scale
    value, gradient = _value_and_gradient(function, u, free, scale)
    best_value, best_u = value.clone(), u.clone()
    history = _Curvature(MEMORY)
    step = torch.ones_like(value)[:, None]
    for _ in range(evaluations - 1):
        direction = _ascent(gradient, u, ceiling, free, scale, history)
        # The clamp keeps coordinates inside that start inside; frozen ones may lie outside.
        target = torch.where(free > 0, (u + step * direction).clamp_min(0.0).minimum(ceiling), u)
        new_u = u + walls.share(u * scale, target * scale) * (target - u)
        new_value, new_gradient = _value_and_gradient(function, new_u, free, scale)
        rise = ((new_u - u) * gradient).sum(1)
        accepted = (new_value >= value + ARMIJO * rise) & torch.isfinite(new_value)
        gain = torch.where(accepted, new_value - value, torch.ones_like(value))
        keep = accepted[:, None]
        history.add(new_u - u, gradient - new_gradient, keep)
        u = torch.where(keep, new_u, u)
        gradient = torch.where(keep, new_gradient, gradient)
        value = torch.where(accepted, new_value, value)
        step = torch.where(keep, torch.ones_like(step), step * SHORTENING)
        better = value > best_value
        best_value = torch.where(better, value, best_value)
        best_u = torch.where(better[:, None], u, best_u)
        if float(gain.max()) < NEGLIGIBLE_GAIN:
            break
    return best_u * scale, best_value


class Walls:
    """The linear constraints on columns of `X`: `A x >= b`."""

    def __init__(self, space: Space, device: torch.device):
        """Spread the weights of dimensions over columns; only numbers take part."""
        A = np.zeros((len(space.offsets), space.width))
        A[:, space.first_columns] = space.weights
        self.A, self.b = tensor(A, device), tensor(space.offsets, device)

    def share(self, start: Tensor, end: Tensor) -> Tensor:
        """`B x 1`: which share of each way from `start` to `end` stays inside."""
        if not len(self.b):
            return start.new_ones(len(start), 1)
        slack = (start @ self.A.T - self.b).clamp_min(0.0)
        loss = ((start - end) @ self.A.T).clamp_min(1e-300)
        # Just short of the wall, so that rounding does not cross it.
        return (0.999999 * slack / loss).min(1, keepdim=True).values.clamp(max=1.0)


class _Curvature:
    """The last steps of all rows and how gradients changed; rows without news hold zeros."""

    def __init__(self, memory: int):
        self.memory = memory
        self.pairs: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, s: Tensor, y: Tensor, accepted: Tensor) -> None:
        sy = (s * y).sum(1, keepdim=True)
        useful = accepted & (sy > 1e-10 * (y * y).sum(1, keepdim=True))
        zero = torch.zeros_like(s)
        rho = torch.where(useful, 1 / sy.clamp_min(1e-30), torch.zeros_like(sy))
        pair = (torch.where(useful, s, zero), torch.where(useful, y, zero), rho)
        self.pairs = [*self.pairs[-(self.memory - 1) :], pair]

    def apply(self, q: Tensor, plain: Tensor) -> Tensor:
        """The inverse curvature times `q`; rows without a last pair are scaled by `plain`."""
        factors = []
        for s, y, rho in reversed(self.pairs):
            a = rho * (s * q).sum(1, keepdim=True)
            q = q - a * y
            factors.append(a)
        if self.pairs:
            s, y, rho = self.pairs[-1]
            size = (s * y).sum(1, keepdim=True) / (y * y).sum(1, keepdim=True).clamp_min(1e-30)
            q = q * torch.where(rho > 0, size, plain)
        else:
            q = q * plain
        for (s, y, rho), a in zip(self.pairs, reversed(factors), strict=True):
            q = q + s * (a - rho * (y * q).sum(1, keepdim=True))
        return q


def _ascent(
    gradient: Tensor,
    u: Tensor,
    ceiling: Tensor,
    free: Tensor,
    scale: Tensor,
    history: _Curvature,
) -> Tensor:
    """An uphill direction, at most `LONGEST_STEP` of the cube long, zero at active bounds."""
    blocked = ((u <= 0) & (gradient < 0)) | ((u >= ceiling) & (gradient > 0)) | (free == 0)
    zero = torch.zeros_like(gradient)
    short = FIRST_STEP / gradient.norm(dim=1, keepdim=True).clamp_min(1e-12)
    direction = history.apply(torch.where(blocked, zero, gradient), short)
    direction = torch.where(blocked, zero, direction)
    downhill = (direction * gradient).sum(1, keepdim=True) <= 0
    direction = torch.where(downhill, torch.where(blocked, zero, gradient) * short, direction)
    length = (direction * scale).abs().max(1, keepdim=True).values
    return direction * (LONGEST_STEP / length.clamp_min(LONGEST_STEP))


def _value_and_gradient(
    function: Function, u: Tensor, free: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        variable = u.detach().requires_grad_(True)
        value = function(variable * scale)
        (gradient,) = torch.autograd.grad(value.sum(), variable)
    return value.detach(), torch.nan_to_num(gradient, posinf=0.0, neginf=0.0) * free


def _scorer(utility: Utility, device: torch.device) -> Callable[[Array], Array]:
    """The utility on arrays; what is no number counts as worst."""

    def score(X: Array) -> Array:
        with torch.no_grad():
            values: Array = utility(tensor(X, device)).cpu().numpy()
        return np.where(np.isnan(values), -np.inf, values)

    return score


def move_to_ends(space: Space, X: Array, count: int, rng: np.random.Generator) -> Array:
    """Rows of which one number, at times two, is moved to an end of its range.

    Args:
        space: the search space, with a number at least.
        X: `k x D`, parents.
        count: `N`.
        rng: source of the draws.

    Returns:
        `N x D`, snapped; linear constraints may be broken.
    """
    numbers = np.flatnonzero(space.mask_of("real", "level"))
    V = space.to_unit(X[rng.integers(len(X), size=count)])
    for rows in (np.arange(count), np.flatnonzero(rng.random(count) < SECOND_END)):
        ends = rng.integers(2, size=len(rows))
        V[rows, numbers[rng.integers(len(numbers), size=len(rows))]] = ends
    return space.from_unit(V)


def _pool(utility: Utility, problem: Problem, rng: np.random.Generator) -> Array:
    space = problem.space
    spread = design.sample(space, SPREAD, rng)
    near = perturb(space, problem.incumbents, NEIGHBOURS, rng)
    pool = np.concatenate([spread, near])
    has_ends = utility.interior is not None and utility.interior.end > 0
    if has_ends and space.mask_of("real", "level").any():
        for parents, share in ((pool, 2), (problem.incumbents, 1)):
            moved = move_to_ends(space, parents, AT_ENDS * share // 3, rng)
            pool = np.concatenate([pool, moved])
    return pool[space.meets_constraints(pool) | (np.arange(len(pool)) < len(spread))]


def _screen(
    pool: Array, utility: Utility, problem: Problem, rng: np.random.Generator, device: torch.device
) -> tuple[Array, Array]:
    """The best of the pool and of one generation of their children, with exact utilities."""
    score = _scorer(utility, device)
    rows = len(pool) if device.type == "cuda" else AT_ONCE
    with torch.no_grad():
        parts = [utility(part, screen=True) for part in torch.split(tensor(pool, device), rows)]
        rough = torch.cat(parts).cpu().numpy()
    X = pool[np.argsort(-np.nan_to_num(rough, nan=-np.inf), kind="stable")[:SURVIVORS]]
    values = score(X)
    parents = X[np.argsort(-values, kind="stable")[:PARENTS]]
    children = perturb(problem.space, parents, CHILDREN, rng, CHILD_STEPS)
    children = children[problem.space.meets_constraints(children)]
    if len(children):
        X, values = np.concatenate([X, children]), np.concatenate([values, score(children)])
    return X, values


def _spread_starts(X: Array, values: Array, count: int) -> list[int]:
    """Indices of the best row and of the best ones apart from those chosen before."""
    chosen = [int(values.argmax())]
    distance = np.abs(X - X[chosen[0]]).max(axis=1)
    while len(chosen) < count:
        left = np.where(distance > APART, values, -np.inf)
        best = int(left.argmax())
        if left[best] == -np.inf:
            break
        chosen.append(best)
        np.minimum(distance, np.abs(X - X[best]).max(axis=1), out=distance)
    return chosen


def _climb_and_round(
    X: Array, values: Array, utility: Utility, problem: Problem, device: torch.device
) -> tuple[Array, Array]:
    """Climb from the starts; round ints and search around them; touch up the reals."""
    space = problem.space
    X, values = _climb(X, values, utility, problem, device, evaluations=CLIMB_EVALUATIONS)
    if not space.mask_of("level", "choice").any():
        return X, values
    best = np.argsort(-values, kind="stable")[:2]
    X, values = _sweep(X[best], values[best], _scorer(utility, device), problem)
    return _climb(
        X, values, utility, problem, device, only="real", evaluations=TOUCH_UP_EVALUATIONS
    )


def _climb(
    X: Array,
    values: Array,
    utility: Utility,
    problem: Problem,
    device: torch.device,
    *,
    only: str | None = None,
    evaluations: int,
) -> tuple[Array, Array]:
    """One climb over the numeric columns; a row that snapping makes worse stays at its start."""
    space = problem.space
    kinds = ("real", "level") if only is None else (only,)
    free = np.zeros_like(X)
    free[:, space.first_columns] = space.active(space.to_unit(X)) & space.mask_of(*kinds)
    if utility.interior is not None:
        free[utility.interior.is_held(X)] = 0.0
    if not free.any():
        return X, values
    climbed, _ = climb(
        utility,
        tensor(X, device),
        tensor(free, device),
        tensor(problem.scale, device),
        walls=Walls(space, device),
        evaluations=evaluations,
    )
    snapped = design.snap_inside(space, climbed.cpu().numpy())
    reached = _scorer(utility, device)(snapped)
    better = (reached > values) & space.meets_constraints(snapped)
    return np.where(better[:, None], snapped, X), np.where(better, reached, values)


def _sweep(
    X: Array, values: Array, score: Callable[[Array], Array], problem: Problem
) -> tuple[Array, Array]:
    """Move each row to the best of its neighbours on the levels while that helps."""
    X, values = X.copy(), values.copy()
    for _ in range(SWEEPS):
        neighbourhoods = [_level_neighbours(problem.space, x) for x in X]
        candidates = np.concatenate(neighbourhoods)
        if not len(candidates):
            break
        scores, start, moved = score(candidates), 0, False
        for row, neighbours in enumerate(neighbourhoods):
            own = scores[start : start + len(neighbours)]
            start += len(neighbours)
            if len(own) and own.max() > values[row] + 1e-6:
                X[row], values[row] = neighbours[int(own.argmax())], own.max()
                moved = True
        if not moved:
            break
    return X, values


def _level_neighbours(space: Space, x: Array) -> Array:
    """Snapped permitted points that differ from `x` by a level or by one choice."""
    v = space.to_unit(x[None])[0]
    active = space.active(v[None])[0]
    rows = []
    for index, dimension in enumerate(space.dimensions):
        if not active[index] or dimension.kind == "real":
            continue
        for target in _other_cells(dimension.kind, dimension.size, float(v[index])):
            row = v.copy()
            row[index] = target
            rows.append(row)
    if not rows:
        return np.empty((0, space.width))
    X = space.from_unit(np.array(rows))
    return X[space.meets_constraints(X)]


def _other_cells(kind: str, size: int, v: float) -> list[float]:
    if kind == "choice":
        own = int(v * size)
        others = [(own + k) % size for k in range(1, size)]
        return [(k + 0.5) / size for k in others[:CHOICES_TRIED]]
    jumps = [1] if size < MANY_LEVELS else [1, max(2, size // MANY_LEVELS)]
    cells = [v + sign * jump / size for jump in jumps for sign in (1, -1)]
    return [cell for cell in cells if 0 < cell < 1]


def _shorten(space: Space, start: Array, end: Array) -> Array:
    """Unit rows on the way from `start` to `end` that stay inside the linear constraints."""
    if not len(space.offsets):
        return end
    slack = np.maximum(start @ space.weights.T - space.offsets, 0.0)
    loss = (start - end) @ space.weights.T
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(loss > 0, slack / loss, np.inf).min(axis=1)
    moves = (space.weights != 0).any(axis=0)
    return np.where(moves, start + np.minimum(share, 1.0)[:, None] * (end - start), end)


def _best_unseen(X: Array, values: Array, problem: Problem) -> tuple[Array, float]:
    """The best of a finite space's points; seen ones only when there are no others."""
    seen = {row_key(row) for row in problem.seen}
    fresh = np.array([row_key(row) not in seen for row in X])
    ranked = np.where(fresh, values, -np.inf) if fresh.any() else values
    # Of points that are all worth nothing a fresh one is still better than a repeat.
    best = int(ranked.argmax()) if np.isfinite(ranked.max()) else int(fresh.argmax())
    return X[best], float(values[best])


def _step_off(
    x: Array,
    pool: Array,
    score: Callable[[Array], Array],
    problem: Problem,
    rng: np.random.Generator,
) -> tuple[Array, float]:
    """The best unseen neighbour of a point; else the best unseen one anywhere; else the point."""
    space = problem.space
    for _ in range(STEPS_OFF):
        near = perturb(space, x[None], PARENTS, rng, CHILD_STEPS)
        fresh = _unseen(near[space.meets_constraints(near)], problem)
        if len(fresh):
            return _best_of(fresh, score)
    fresh = _unseen(pool, problem)
    if not len(fresh):
        listed = space.points(design.LISTABLE)
        fresh = _unseen(listed, problem) if listed is not None else fresh
    return _best_of(fresh if len(fresh) else x[None], score)


def _unseen(X: Array, problem: Problem) -> Array:
    X = unique_rows(X)
    return X[[not is_seen(x, problem.seen) for x in X]]


def _best_of(X: Array, score: Callable[[Array], Array]) -> tuple[Array, float]:
    values = score(X)
    best = int(values.argmax())
    return X[best], float(values[best])

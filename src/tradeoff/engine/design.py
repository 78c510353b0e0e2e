"""Points that need no model: space-filling, random, and grid.

A space-filling sequence is fixed by the spec and a seed: point `i` is the same whoever asks for it
and however many are drawn at once. Points that break a linear constraint or repeat an earlier one
are left out of it, until a finite space is exhausted and the sequence starts over.

References:
    [Sobol1967] I. M. Sobol'. On the distribution of points in a cube and the approximate evaluation
        of integrals. 1967; scrambled after Owen, 1995, as SciPy does it.
    [Smith1984] R. L. Smith. Efficient Monte Carlo procedures for generating points uniformly
        distributed over bounded regions. Operations Research, 1984 (hit-and-run).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import optimize
from scipy.stats import qmc

from tradeoff.engine.space import Space, row_key, unique_rows
from tradeoff.spec import tasks
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.values import Value

Array = npt.NDArray[np.float64]

#: The design is over when this many results are in: as many as there are parameters, within these
#: limits, and numbers alone ask for no more than the lower one.
MIN_DESIGN, MAX_DESIGN = 5, 12
#: While successes are few, one suggestion in so many still fills the space.
DESIGN_EVERY = 3
#: After very many results so many successes are not few.
MIN_SUCCESSES = 3
#: A finite space of at most this many points is listed when the sequence runs dry.
LISTABLE = 20_000
#: After so many Sobol points the yield is looked at; below the rate a chain takes over.
CHECK_YIELD_AFTER = 8_192
LEAST_YIELD = 1 / 64
#: Random roundings that are tried where the plain one breaks a constraint.
ROUNDINGS = 64
#: Chains that run side by side, and how many rounds without a new point end them.
CHAINS = 256
STALE_BLOCKS = 4
# Streams of random numbers that must not coincide, by purpose.
_RANDOM, _CHAIN, _LISTED = 1, 2, 3


def initial_size(spec: ExperimentSpec) -> int:
    """How many successful results the initial design waits for.

    Of many numbers the model makes more from few points than a longer design finds; each category
    has choices that want to be seen once (benchmarks/RESULTS.md).
    """
    numbers = sum(parameter.type != "categorical" for parameter in spec.parameters)
    categories = len(spec.parameters) - numbers + len(spec.conditionals)
    return max(MIN_DESIGN, min(MAX_DESIGN, categories + min(numbers, MIN_DESIGN)))


def is_initial(spec: ExperimentSpec, *, succeeded: int, failed: int) -> bool:
    """Whether the next suggestion still belongs to the design, and to nothing else.

    One success will do when as many results are in as the design waits for. To go on until as many
    succeeded cost most where successes are rare: the only one knows best where others may be
    (benchmarks/RESULTS.md).

    Args:
        spec: what was asked; random and grid experiments never leave their design.
        succeeded: number of results with values.
        failed: number of failed results.
    """
    if spec.type != "offline":
        return True
    return succeeded + failed < initial_size(spec) or not succeeded


def missing_successes(spec: ExperimentSpec, *, succeeded: int, failed: int) -> int:
    """How many results end the initial design if they all succeed; at least one."""
    return max(initial_size(spec) - succeeded - failed, 1)


def places(
    spec: ExperimentSpec, *, succeeded: int, failed: int, pending: int, count: int
) -> list[int]:
    """Which of the next `count` suggestions the design makes once the model answers too.

    A few successes may all lie in one corner of what succeeds, so some suggestions still fill the
    space until there are as many of them as a design without failures would have had.

    Args:
        spec: what was asked.
        succeeded: number of results with values.
        failed: number of failed results.
        pending: number of suggestions without a result.
        count: of suggestions that are asked for.
    """
    size, results = initial_size(spec), succeeded + failed
    very_many = size + 2 * (len(spec.parameters) + len(spec.conditionals))
    if succeeded >= size or (succeeded >= MIN_SUCCESSES and results >= very_many):
        return []
    return [place for place in range(count) if (results + pending + place) % DESIGN_EVERY == 0]


def space_filling(
    spec: ExperimentSpec, *, seed: int, start: int, count: int
) -> list[dict[str, Value]]:
    """Points `start` to `start + count - 1` of the space-filling sequence.

    Conditions and linear constraints hold, priors shape the density. Where no two points can be
    alike the first `start` of them are passed over, drawn at once when there are linear
    constraints; elsewhere they are all looked at, one after the other.
    """
    space = Space(spec)
    rows = None if _may_repeat(space) else _sobol_range(space, seed, start, start + count)
    if rows is None:
        points = itertools.islice(sequence(space, seed=seed), start, start + count)
        rows = np.array(list(points)).reshape(-1, space.width)
    return space.decode(rows)


def random_points(
    spec: ExperimentSpec, *, seed: int, start: int, count: int
) -> list[dict[str, Value]]:
    """Points `start` to `start + count - 1` of independent draws, uniform or from the priors."""
    space = Space(spec)
    rows = [_random_row(space, seed, index) for index in range(start, start + count)]
    return space.decode(np.array(rows).reshape(-1, space.width))


def grid_size(spec: ExperimentSpec) -> int:
    """How many points the grid has.

    Raises:
        ValueError: when a parameter is continuous.
    """
    return math.prod(len(levels) for levels in _grid_levels(spec))


def grid_point(spec: ExperimentSpec, index: int) -> dict[str, Value]:
    """Point `index` of the grid: the first parameter by name varies fastest, and it wraps around.

    With tasks it is for the full one.

    Raises:
        ValueError: when a parameter is continuous.
    """
    point: dict[str, Value] = {}
    for parameter, levels in zip(spec.parameters, _grid_levels(spec), strict=True):
        index, k = divmod(index, len(levels))
        point[parameter.name] = levels[k]
    return point if spec.tasks is None else tasks.join(point, tasks.FULL_COST)


def sequence(space: Space, *, seed: int) -> Iterator[Array]:
    """The endless space-filling sequence, as rows of `X`."""
    yielded: list[Array] = []
    seen: set[bytes] = set()
    sobol_rows = itertools.chain.from_iterable(_sobol_blocks(space, seed))
    for row in itertools.chain(sobol_rows, _late_rows(space, seed)):
        key = row_key(row)
        if key not in seen:
            seen.add(key)
            yielded.append(row)
            yield row
    # A finite space is exhausted, or constraints leave next to nothing: start over.
    yield from itertools.cycle(yielded or [_least_violating(space, seed)])


def sample(space: Space, count: int, rng: np.random.Generator) -> Array:
    """About `count` snapped rows of `X` spread over the space, at least one, for candidates.

    Half of them follow the priors where there are any.
    """
    size = 1 << max(count - 1, 1).bit_length()
    V = qmc.Sobol(len(space.dimensions), scramble=True, seed=rng).random(size)[:count]
    X = space.from_unit(V)
    if any(d.parameter is not None and d.parameter.prior is not None for d in space.dimensions):
        X[::2] = space.from_unit(V[::2], priors=True)
    X = X[space.meets_constraints(X)]
    if len(X) < count // 4:
        X = np.concatenate([X, _chain_rows(space, rng, count)])
    return X if len(X) else _least_violating(space, int(rng.integers(2**31)))[None]


def snap_inside(space: Space, X: Array) -> Array:
    """Snapped rows; constrained ints are rounded so that the constraints hold, where that is found.

    All roundings are tried where there are few, random ones otherwise.
    """
    snapped = space.snap(X)
    for row in np.flatnonzero(~space.meets_constraints(snapped)):
        V = np.clip(_roundings(space, space.to_unit(X[row][None])[0]), 0.0, 1.0)
        rounded = space.from_unit(V)
        met = np.flatnonzero(space.meets_constraints(rounded))
        if len(met):
            snapped[row] = rounded[met[0]]
    return snapped


def _roundings(space: Space, v: Array) -> Array:
    """Unit rows with the constrained ints of one row rounded up and down."""
    ints = [
        index
        for index, dimension in enumerate(space.dimensions)
        if dimension.kind == "level" and (space.weights[:, index] != 0).any()
    ]
    if 2 ** len(ints) <= ROUNDINGS:
        ups = np.array(list(itertools.product((0.0, 1.0), repeat=len(ints))))
    else:
        ups = np.random.default_rng(0).integers(0, 2, (ROUNDINGS, len(ints))).astype(float)
    V = np.tile(v, (len(ups), 1))
    for column, index in enumerate(ints):
        size = space.dimensions[index].size
        V[:, index] = (np.floor(v[index] * size - 0.5) + ups[:, column] + 0.5) / size
    return V


def _grid_levels(spec: ExperimentSpec) -> list[tuple[Value, ...]]:
    levels = [parameter.levels for parameter in spec.parameters]
    if any(values is None for values in levels):
        raise ValueError("every parameter of a grid must have levels")
    return [values or () for values in levels]


def _may_repeat(space: Space) -> bool:
    """Whether two different Sobol points can be one row of `X`.

    A real that is always there tells all of them apart; a prior may crowd its values together.
    """
    return not any(
        dimension.kind == "real"
        and not dimension.conditions
        and dimension.parameter is not None
        and dimension.parameter.prior is None
        for dimension in space.dimensions
    )


def _sobol_range(space: Space, seed: int, start: int, stop: int) -> Array | None:
    """Rows `start` to `stop - 1` of the sequence of a space whose points never repeat.

    Returns:
        `n x width`; `None` when the Sobol points end before `stop`.
    """
    if not len(space.offsets):
        engine = _sobol(space, seed)
        if start == 0:
            # SciPy warns when the first draw is no power of two.
            V = engine.random(1 << max(stop - 1, 0).bit_length())[:stop]
        else:
            V = engine.fast_forward(start).random(stop - start)
        return space.from_unit(V, priors=True)
    wanted: list[Array] = []
    position = 0
    for block in _sobol_blocks(space, seed):
        wanted.append(block[max(start - position, 0) : max(stop - position, 0)])
        position += len(block)
        if position >= stop:
            return np.concatenate(wanted)
    return None


def _sobol(space: Space, seed: int) -> qmc.Sobol:
    return qmc.Sobol(len(space.dimensions), scramble=True, seed=np.random.default_rng(seed))


def _sobol_blocks(space: Space, seed: int) -> Iterator[Array]:
    """Sobol points that meet the constraints; ends when next to none do, or all are known.

    The yield is looked at only after fixed numbers of draws, so the sequence does not depend on
    how much of it is asked for.
    """
    engine = _sobol(space, seed)
    drawn, accepted, size = 0, 0, 64
    may_repeat = _may_repeat(space)
    known: set[bytes] = set()
    while drawn < CHECK_YIELD_AFTER or accepted > LEAST_YIELD * drawn:
        X = space.from_unit(engine.random(size), priors=True)
        drawn += size
        size = drawn
        X = X[space.meets_constraints(X)]
        if may_repeat:
            keys = {row_key(row) for row in X} - known
            known |= keys
            accepted += len(keys)
        else:
            accepted += len(X)
        yield X
        if len(known) >= space.size:
            return


def _late_rows(space: Space, seed: int) -> Iterator[Array]:
    """What follows the Sobol points: the rest of a finite space, or a chain in a narrow one."""
    listed = space.points(LISTABLE)
    if listed is not None:
        yield from np.random.default_rng([seed, _LISTED]).permutation(listed)
        return
    known: set[bytes] = set()
    last_news = 0
    for block in itertools.count():
        rows = _chain_rows(space, np.random.default_rng([seed, _CHAIN, block]), CHAINS)
        if not known.issuperset(map(row_key, rows)):
            last_news = block
        known.update(map(row_key, rows))
        if block - last_news >= STALE_BLOCKS or not len(rows):
            return
        yield from rows


def _random_row(space: Space, seed: int, index: int) -> Array:
    """One draw; its own stream, so that no other point has to be drawn before it."""
    rng = np.random.default_rng([seed, _RANDOM, index])
    V = rng.random((1 if not len(space.offsets) else CHAINS, len(space.dimensions)))
    X = space.from_unit(V, priors=True)
    met = np.flatnonzero(space.meets_constraints(X))
    if len(met):
        return np.asarray(X[met[0]])
    rows = _chain_rows(space, rng, CHAINS)
    return np.asarray(rows[0]) if len(rows) else _least_violating(space, seed)


def _chain_rows(space: Space, rng: np.random.Generator, count: int) -> Array:
    """Snapped rows by hit-and-run [Smith1984] inside the linear constraints, possibly fewer.

    Dimensions without a constraint are drawn independently. Ints are relaxed, then rounded in the
    way that meets the constraints.
    """
    V = rng.random((count, len(space.dimensions)))
    involved = np.flatnonzero((space.weights != 0).any(axis=0))
    if len(involved):
        centre = _centre(space, involved)
        if centre is None:
            return np.empty((0, space.width))
        V[:, involved] = _hit_and_run(space, involved, centre, count, rng)
    X = space.from_unit(V)
    relaxed = X.copy()
    relaxed[:, space.first_columns[involved]] = V[:, involved]
    X = snap_inside(space, relaxed)
    return unique_rows(X[space.meets_constraints(X)])


def _centre(space: Space, involved: npt.NDArray[np.intp]) -> Array | None:
    """Centre of the largest ball inside the constraints and the cube; `None` if there is none."""
    k = len(involved)
    weights = space.weights[:, involved]
    norms = np.linalg.norm(weights, axis=1, keepdims=True)
    inside = np.concatenate([-weights, norms], axis=1)  # weights v - norm r >= offsets
    low = np.concatenate([-np.eye(k), np.ones((k, 1))], axis=1)  # v - r >= 0
    high = np.concatenate([np.eye(k), np.ones((k, 1))], axis=1)  # v + r <= 1
    found = optimize.linprog(
        np.append(np.zeros(k), -1.0),
        A_ub=np.concatenate([inside, low, high]),
        b_ub=np.concatenate([-space.offsets, np.zeros(k), np.ones(k)]),
        bounds=[(0, 1)] * k + [(0, None)],
    )
    return np.asarray(found.x[:k]) if found.x is not None and found.success else None


def _hit_and_run(
    space: Space,
    involved: npt.NDArray[np.intp],
    centre: Array,
    count: int,
    rng: np.random.Generator,
) -> Array:
    """`count x k` points, each the end of a chain of its own that starts in the centre."""
    weights = space.weights[:, involved]
    V = np.tile(centre, (count, 1))
    for _ in range(20 + 10 * len(involved)):
        direction = rng.standard_normal(V.shape)
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        # Slack and slope of every wall along the direction: slack + t slope >= 0.
        slack = np.concatenate([V @ weights.T - space.offsets, V, 1 - V], axis=1)
        slope = np.concatenate([direction @ weights.T, direction, -direction], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = -np.maximum(slack, 0.0) / slope
        forward = np.where(slope < 0, t, np.inf).min(axis=1)
        backward = np.where(slope > 0, t, -np.inf).max(axis=1)
        along = backward + (forward - backward) * rng.random(count)
        V = np.clip(V + along[:, None] * direction, 0.0, 1.0)
    return V


def _least_violating(space: Space, seed: int) -> Array:
    """The best there is where nothing meets the constraints, which the spec should have refused."""
    X = space.from_unit(np.random.default_rng(seed).random((1024, len(space.dimensions))))
    return np.asarray(X[int(space.violation(space.to_unit(X)).argmin())])

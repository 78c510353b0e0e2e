"""How much each parameter matters, by extremely randomised trees: numpy alone, in milliseconds.

For where no model is at hand. The trees are SigOpt's measure: each node splits at a random
threshold of the parameter where that takes away most of the variance, and a parameter's importance
is the share of the variance that its splits took away, averaged over the trees [Geurts2006]. They
need more observations than a surrogate to tell (see `importance`), and no fitting.

All trees grow together, level by level, so that the loops are over levels and columns only.

References:
    [Geurts2006] P. Geurts, D. Ernst, L. Wehenkel. Extremely randomized trees. Machine Learning,
        2006.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tradeoff.engine.space import Space

Array = npt.NDArray[np.float64]

#: Fewer where `X` is wider than `WIDE`: time, for noisier shares.
TREES, FEWEST_TREES, WIDE = 32, 8, 24
#: Less of the variance than this is rounding.
NO_VARIANCE = 1e-12
#: A level halves the nodes roughly; what is deeper tells next to nothing.
MAX_DEPTH = 40


def importances(space: Space, X: Array, y: Array, *, seed: int) -> Array:
    """The share of the variance of `y` that each dimension takes away.

    Args:
        space: the search space.
        X: `n x width`, what was observed.
        y: `n`, finite values of one metric.
        seed: fixes the trees.

    Returns:
        `p`, of sum one, without the task; equal shares where `y` is constant.
    """
    dimensions = [dimension for dimension in space.dimensions if dimension is not space.task]
    p = len(dimensions)
    largest = float(np.abs(y).max(initial=0.0)) or 1.0
    scaled = y / largest  # squares of the largest numbers there are would be infinite
    centred = scaled - scaled.mean()
    by_column = _grow(X, centred, np.random.default_rng(seed))
    shares = np.array([by_column[dimension.columns].sum() for dimension in dimensions])
    total = float(shares.sum())
    if total <= NO_VARIANCE * len(y):
        return np.full(p, 1.0 / p)
    return np.asarray(shares / total)


def _grow(X: Array, y: Array, rng: np.random.Generator) -> Array:
    """`width`: what the splits of each column took away, over all trees."""
    n, width = X.shape
    trees = max(FEWEST_TREES, min(TREES, TREES * WIDE // width))
    gained = np.zeros(width)
    row = np.tile(np.arange(n), trees)
    node = np.repeat(np.arange(trees), n)  # sorted, as it stays
    for _ in range(MAX_DEPTH):
        row, node = _without_leaves(row, node, y)
        if not len(row):
            break
        gain, column, goes_left = _split(X, y, row, node, rng)
        np.add.at(gained, column, gain)
        node = 2 * node + goes_left
        order = np.argsort(node, kind="stable")
        _, node = np.unique(node[order], return_inverse=True)
        row = row[order]
    return gained


def _starts(node: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    return np.flatnonzero(np.append(True, node[1:] != node[:-1]))


def _without_leaves(
    row: npt.NDArray[np.intp], node: npt.NDArray[np.intp], y: Array
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """What is left in nodes whose values differ; those nodes are numbered from 0 on."""
    starts = _starts(node)
    spread = np.maximum.reduceat(y[row], starts) - np.minimum.reduceat(y[row], starts)
    sizes = np.diff(np.append(starts, len(row)))
    kept = np.repeat(spread > NO_VARIANCE, sizes)
    if not kept.any():
        return row[:0], node[:0]
    return row[kept], np.unique(node[kept], return_inverse=True)[1]


def _split(
    X: Array,
    y: Array,
    row: npt.NDArray[np.intp],
    node: npt.NDArray[np.intp],
    rng: np.random.Generator,
) -> tuple[Array, npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """The best of one random split per column, for each node.

    Returns:
        By node what it takes away and its column, and by entry whether it goes left.
    """
    starts = _starts(node)
    sizes = np.diff(np.append(starts, len(row)))
    values = y[row]
    sums = np.add.reduceat(values, starts)
    best, column = np.zeros(len(starts)), np.zeros(len(starts), dtype=np.intp)
    threshold = np.full(len(starts), np.inf)
    for index in range(X.shape[1]):
        x = X[row, index]
        low, high = np.minimum.reduceat(x, starts), np.maximum.reduceat(x, starts)
        at = low + rng.random(len(starts)) * (high - low)
        left = x <= at[node]
        count = np.add.reduceat(left, starts, dtype=np.intp)
        left_sums = np.add.reduceat(np.where(left, values, 0.0), starts)
        right = np.maximum(sizes - count, 1)
        gain = left_sums**2 / np.maximum(count, 1) + (sums - left_sums) ** 2 / right
        gain = np.where(count < sizes, gain - sums**2 / sizes, 0.0)
        better = gain > best
        best, threshold = np.where(better, gain, best), np.where(better, at, threshold)
        column[better] = index
    return best, column, X[row, column[node]] <= threshold[node]

"""Fewer marks where more would lie over each other: each is an element that a browser must draw.

`static/judge.js` does the same for thresholds that are tried and for the past.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from tradeoff.web.charts.parts import Array

Rows = npt.NDArray[np.intp]

#: So many marks of a kind are drawn; what is efficient or chosen is drawn in any case.
MOST_DRAWN = 1_500
#: So many ticks of failures, in a strip of a thousand pixels.
MOST_TICKS = 600
#: Cells across a figure, from finer than its marks to coarse.
CELLS = (256, 192, 128, 96, 64, 48, 32, 24, 16, 12, 8)


def thin(
    xs: Array, ys: Array, *, most: int = MOST_DRAWN, keep: npt.NDArray[np.bool_] | None = None
) -> Rows:
    """Which of many points to draw so that the figure looks the same.

    Half of them are the first in each cell of a grid, so that every outlier is there; the others
    are spread over the search, so that a crowd stays one when somebody zooms in.

    Args:
        xs: `n`, to the right.
        ys: `n`, upwards.
        most: how many to draw.
        keep: `n`, which are drawn in any case, beside them.

    Returns:
        Indexes, in their order.
    """
    n = len(xs)
    if n <= most:
        return np.arange(n)
    right, up = _shares(xs), _shares(ys)
    for count in CELLS:
        cells = np.floor(right * count) * (count + 1) + np.floor(up * count)
        first = np.unique(cells, return_index=True)[1]
        if len(first) <= most // 2:
            break
    first = first[: most // 2]
    chosen = np.zeros(n, dtype=bool)
    chosen[first] = True
    rest = np.flatnonzero(~chosen)
    chosen[rest[np.linspace(0, len(rest) - 1, most - len(first)).astype(int)]] = True
    return np.flatnonzero(chosen if keep is None else chosen | keep)


def thin_ticks(positions: Array) -> Rows:
    """Which of many ticks on a line to draw."""
    return thin(positions, np.zeros(len(positions)), most=MOST_TICKS)


def kept(ids: npt.NDArray[np.int64], keep: Collection[int]) -> npt.NDArray[np.bool_]:
    """Which of these observations are to be drawn in any case."""
    return np.isin(ids, list(keep))


def count(drawn: int, total: int) -> str:
    """What a legend says of how many there are."""
    return f"({total})" if drawn >= total else f"({drawn} of {total} drawn)"


def _shares(values: Array) -> Array:
    """`n` places between the least and the greatest value, from 0 to 1."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros(len(values))

"""Marks of observations: in a plane of two metrics, and failures as ticks in a strip."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeoff.service.points import Points
from tradeoff.web.charts.parts import COLOURS, LABELS, SYMBOLS, Words, numbers, text
from tradeoff.web.charts.thinning import count, kept, thin, thin_ticks


def scatter(
    points: Points,
    states: Words,
    state: str,
    x: str,
    y: str,
    among: npt.NDArray[np.intp] | None = None,
    keep: Collection[int] = (),
) -> dict[str, Any]:
    """The points in one state, by two metrics; those that lie over each other are thinned out.

    Args:
        points: what was measured.
        states: `n`, what each point is.
        state: which of them.
        x: the metric to the right.
        y: the metric upwards.
        among: only these rows.
        keep: observations that are drawn in any case; efficient ones always are.
    """
    rows = np.flatnonzero(states == state)
    if among is not None:
        rows = np.intersect1d(rows, among)
    xs, ys = points.column(x)[rows], points.column(y)[rows]
    known = np.isfinite(xs) & np.isfinite(ys)
    rows, xs, ys = rows[known], xs[known], ys[known]
    is_efficient = state == "efficient"
    total = int((states == state).sum())
    if not is_efficient:
        drawn = thin(xs, ys, keep=kept(points.ids[rows], keep))
        name = count(len(drawn), len(rows)) if len(drawn) < len(rows) else f"({total})"
        rows, xs, ys = rows[drawn], xs[drawn], ys[drawn]
    else:
        name = f"({total})"
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers",
        "name": f"{LABELS[state]} {name}",
        "meta": {"state": state},
        "x": numbers(xs),
        "y": numbers(ys),
        "customdata": points.ids[rows].tolist(),
        "marker": {
            "symbol": SYMBOLS[state],
            "size": 10 if is_efficient else 7,
            "color": COLOURS[state],
            "opacity": 1.0 if is_efficient else 0.6,
            "line": {"width": 1.5 if state == "infeasible" else 0},
        },
        "hovertemplate": f"{text(x or 'value')} %{{x:.5g}}<br>{text(y or 'value')} %{{y:.5g}}"
        "<extra>observation %{customdata}</extra>",
    }
    if is_efficient and among is None:
        for side, key in (("error_x", x), ("error_y", y)):
            spread = points.stddevs[rows, points.index(key)]
            if np.isfinite(spread).any():
                trace[side] = {
                    "type": "data",
                    "array": numbers(np.nan_to_num(spread)),
                    "color": COLOURS[state],
                    "thickness": 1,
                }
    return trace


def strip(
    points: Points, *, xaxis: str, yaxis: str, when: Sequence[Any] | None = None
) -> list[dict[str, Any]]:
    """Failures as ticks below the figure, in the order in which they came."""
    traces = []
    for state, mask in (("failed", points.failed), ("transient", points.transient)):
        rows = np.flatnonzero(mask)
        if not len(rows):
            continue
        total = len(rows)
        rows = rows[thin_ticks(rows.astype(float))]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"{LABELS[state]} {count(len(rows), total)}",
                "meta": {"state": state},
                "x": [when[row] for row in rows.tolist()]
                if when is not None
                else (rows + 1).tolist(),
                "y": [0.5] * len(rows),
                "xaxis": xaxis,
                "yaxis": yaxis,
                "customdata": points.ids[rows].tolist(),
                "marker": {
                    "symbol": "line-ns-open",
                    "size": 11,
                    "color": COLOURS[state],
                    "line": {"width": 2, "color": COLOURS[state]},
                },
                "hovertemplate": f"{LABELS[state]}<extra>observation %{{customdata}}</extra>",
            }
        )
    return traces

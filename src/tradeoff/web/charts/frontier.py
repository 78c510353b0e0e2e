"""The frontier: two metrics against each other, or every pair of more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tradeoff.service.parallel import sample
from tradeoff.service.points import Points
from tradeoff.spec.metrics import Metric
from tradeoff.web.charts.marks import scatter, strip
from tradeoff.web.charts.parts import (
    COLOURS,
    LABELS,
    STRIP,
    SYMBOLS,
    Figure,
    Words,
    axis_of,
    layout_of,
    numbers,
    reference_line,
    rounded,
    threshold_line,
)

#: Points of every pair of metrics, beyond which they are a sample.
MOST_IN_MATRIX = 1_000


def frontier(
    points: Points,
    states: Words,
    x: str,
    y: str,
    *,
    reference: Mapping[str, float],
    open_points: Sequence[Mapping[str, Mapping[str, float]]] = (),
    log: Iterable[str] = (),
    keep: Collection[int] = (),
) -> Figure:
    """Two metrics against each other.

    Args:
        points: what was measured.
        states: `n`, what each point is.
        x: the metric to the right.
        y: the metric upwards.
        reference: what the hypervolume is measured from, by metric.
        open_points: of each suggestion that is being tried `{metric: {mean, low, high}}`.
        log: metrics to draw on a log scale.
        keep: observations that are drawn in any case, however many there are.
    """
    first, second = points.metrics[points.index(x)], points.metrics[points.index(y)]
    logs = set(log)
    optimized = [metric.key for metric in points.metrics if metric.strategy == "optimize"]
    data = [
        scatter(points, states, state, x, y, keep=keep) for state in ("dominated", "infeasible")
    ]
    if set(optimized) == {x, y}:
        data.append(_staircase(points, states, first, second))
    data.append(scatter(points, states, "efficient", x, y))
    data += _ellipses(open_points, x, y)
    if x in reference and y in reference:
        data.append(_marker_of_reference(reference[x], reference[y]))
    data += strip(points, xaxis="x2", yaxis="y2")
    n = max(len(points.ids), 1)
    layout = layout_of(
        xaxis={**axis_of(first, x in logs), "anchor": "y"},
        yaxis={**axis_of(second, y in logs), "domain": [STRIP + 0.02, 1]},
        xaxis2={"range": [0, n + 1], "visible": False, "anchor": "y2", "fixedrange": True},
        yaxis2={"domain": [0, STRIP], "visible": False, "range": [0, 1], "fixedrange": True},
        shapes=[
            line
            for metric, side in ((first, "x"), (second, "y"))
            for line in _lines(metric, side, reference if len(optimized) > 1 else {}, logs)
        ],
        # Whoever zoomed in stays there until he looks at something else.
        uirevision=f"{x}|{y}|{x in logs}|{y in logs}",
    )
    # The strip lies below the axis, so the axis keeps its labels below the strip.
    layout["xaxis"]["anchor"] = "free"
    layout["xaxis"]["position"] = 0
    return {"data": data, "layout": layout}


def matrix(points: Points, states: Words, *, log: Iterable[str] = ()) -> Figure:
    """Every pair of optimized metrics; above `MOST_IN_MATRIX` points a sample with the frontier."""
    metrics = [metric for metric in points.metrics if metric.strategy == "optimize"]
    rows = sample(states, MOST_IN_MATRIX)
    size, logs = len(metrics) - 1, set(log)
    data: list[dict[str, Any]] = []
    layout = layout_of(showlegend=True, uirevision="matrix", grid={})
    layout.pop("grid")
    gap = 0.02
    width = (1 - gap * (size - 1)) / size
    for down in range(size):
        for right in range(down + 1):
            number = down * size + right + 1
            below, beside = metrics[right], metrics[down + 1]
            left = right * (width + gap)
            top = 1 - down * (width + gap)
            name = "" if number == 1 else str(number)
            for state in ("dominated", "infeasible", "efficient"):
                trace = scatter(points, states, state, below.key, beside.key, rows)
                trace |= {"xaxis": f"x{name}", "yaxis": f"y{name}", "legendgroup": state}
                trace["showlegend"] = number == 1
                data.append(trace)
            is_last, is_first = down == size - 1, right == 0
            layout[f"xaxis{name}"] = {
                **axis_of(below, below.key in logs, titled=is_last),
                "domain": [left, left + width],
                "anchor": f"y{name}",
                "showticklabels": is_last,
            }
            layout[f"yaxis{name}"] = {
                **axis_of(beside, beside.key in logs, titled=is_first),
                "domain": [max(top - width, 0), top],
                "anchor": f"x{name}",
                "showticklabels": is_first,
            }
    return {"data": data, "layout": layout}


def _staircase(points: Points, states: Words, x: Metric, y: Metric) -> dict[str, Any]:
    """The edge of what the frontier beats: what lies on its bad side is dominated."""
    rows = np.flatnonzero(states == "efficient")
    xs, ys = points.column(x.key)[rows], points.column(y.key)[rows]
    order = np.lexsort((-y.sign * ys, x.sign * xs))
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "frontier",
        "showlegend": False,
        "meta": {"state": "staircase"},
        "x": numbers(xs[order]),
        "y": numbers(ys[order]),
        "line": {"color": COLOURS["efficient"], "width": 1.5, "shape": "vh"},
        "hoverinfo": "skip",
    }


def _ellipses(
    open_points: Sequence[Mapping[str, Mapping[str, float]]], x: str, y: str
) -> list[dict[str, Any]]:
    """Where the model expects what is being tried: 95 % intervals as ellipses."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    middles: list[tuple[float, float]] = []
    turn = np.linspace(0, 2 * np.pi, 33)
    for each in open_points:
        if x not in each or y not in each:
            continue
        across, along = each[x], each[y]
        middles.append((rounded(across["mean"]), rounded(along["mean"])))
        for sides, angle in ((across, np.cos(turn)), (along, np.sin(turn))):
            # The two halves differ where a metric is bent on its way to the model.
            half = np.where(angle > 0, sides["high"] - sides["mean"], sides["mean"] - sides["low"])
            (xs if sides is across else ys).extend([*numbers(sides["mean"] + half * angle), None])
    if not middles:
        return []
    shared = {"type": "scatter", "legendgroup": "open", "hoverinfo": "skip"}
    return [
        shared
        | {
            "mode": "lines",
            "x": xs,
            "y": ys,
            "showlegend": False,
            "meta": {"state": "open"},
            "line": {"color": COLOURS["open"], "width": 1, "dash": "dot"},
        },
        shared
        | {
            "mode": "markers",
            "name": f"{LABELS['open']} ({len(middles)})",
            "meta": {"state": "open"},
            "x": [middle[0] for middle in middles],
            "y": [middle[1] for middle in middles],
            "marker": {
                "symbol": SYMBOLS["open"],
                "size": 9,
                "color": COLOURS["open"],
                "line": {"width": 2, "color": COLOURS["open"]},
            },
        },
    ]


def _marker_of_reference(x: float, y: float) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "reference of the hypervolume",
        "meta": {"state": "reference"},
        "x": [rounded(x)],
        "y": [rounded(y)],
        "marker": {
            "symbol": "square-open",
            "size": 9,
            "color": COLOURS["reference"],
            "line": {"width": 1.5},
        },
        "hovertemplate": "reference: %{x:.5g}, %{y:.5g}<extra></extra>",
    }


def _lines(
    metric: Metric, side: str, reference: Mapping[str, float], logs: Collection[str]
) -> list[dict[str, Any]]:
    """The threshold of a metric; without one the reference point, where that can become one."""
    if metric.threshold is not None:
        return [threshold_line(metric, side, "")]
    at = reference.get(metric.key)
    if at is None or (metric.key in logs and at <= 0):
        return []
    return [reference_line(metric, side, at)]

"""Several experiments in one figure: their frontiers, and how each of them went."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tradeoff.service.comparison import Side
from tradeoff.spec.metrics import Metric
from tradeoff.web.charts.parts import (
    Array,
    Figure,
    axis_of,
    layout_of,
    numbers,
    plain_axis,
    text,
)

#: Of each experiment in turn: told apart by colour, by shape, and by the kind of line.
SERIES = (
    ("#0072b2", "diamond", "solid"),
    ("#d55e00", "circle", "dash"),
    ("#009e73", "square", "dot"),
    ("#b4518a", "triangle-up", "dashdot"),
    ("#9a7400", "cross", "longdash"),
)
#: Characters of a name in a legend.
NAME_LENGTH = 32


def frontiers(
    sides: Sequence[Side], x: Metric, y: Metric, *, joined: bool, log: Iterable[str] = ()
) -> Figure:
    """The efficient observations of each experiment, by two metrics.

    Args:
        sides: of the comparison.
        x: the metric to the right.
        y: the metric upwards.
        joined: whether a line joins them: they optimize these two metrics and nothing else.
        log: metrics to draw on a log scale.
    """
    data = []
    for side, (colour, symbol, dash) in zip(sides, SERIES, strict=False):
        rows = np.flatnonzero(side.efficient)
        xs, ys = side.points.column(x.key)[rows], side.points.column(y.key)[rows]
        order = np.lexsort((-y.sign * ys, x.sign * xs))
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if joined else "markers",
                "name": _name(side),
                "meta": {"experiment": side.experiment.id},
                "x": numbers(xs[order]),
                "y": numbers(ys[order]),
                "customdata": side.points.ids[rows[order]].tolist(),
                "line": {"color": colour, "width": 1.5, "dash": dash, "shape": "vh"},
                "marker": {"symbol": symbol, "size": 9, "color": colour},
                "hovertemplate": f"{text(x.key or 'value')} %{{x:.5g}}<br>"
                f"{text(y.key or 'value')} %{{y:.5g}}"
                f"<extra>{_name(side)}, observation %{{customdata}}</extra>",
            }
        )
    logs = set(log)
    layout = layout_of(
        xaxis=axis_of(x, x.key in logs),
        yaxis=axis_of(y, y.key in logs),
        showlegend=True,
        uirevision=f"frontiers|{x.key}|{y.key}|{sorted(logs)}",
    )
    return {"data": data, "layout": layout}


def courses(sides: Sequence[Side], metrics: Sequence[Metric]) -> Figure:
    """The hypervolume and the best of each metric by the number of observations.

    Args:
        sides: of the comparison.
        metrics: that all of them optimize.
    """
    has_volume = any(len(side.hypervolume) for side in sides)
    panels: list[tuple[str, dict[str, Any], list[Array]]] = []
    if has_volume:
        exact = all(side.exact for side in sides)
        title = "hypervolume ↑" if exact else "hypervolume ↑ (estimated)"
        axis = plain_axis(title, vertical=True)
        panels.append(("hypervolume", axis, [side.hypervolume for side in sides]))
    panels += [
        (
            text(metric.key or "value"),
            axis_of(metric, False, vertical=True),
            [side.best[metric.key] for side in sides],
        )
        for metric in metrics
    ]
    layout = layout_of(showlegend=True, uirevision="courses")
    height = 1 / max(len(panels), 1)
    data = []
    for row, (name, axis, lines) in enumerate(panels):
        number = "" if row == 0 else str(row + 1)
        layout[f"yaxis{number}"] = axis | {
            "domain": [1 - (row + 1) * height + 0.03, 1 - row * height]
        }
        data += [
            _step(side, line, name, index, f"y{number}", is_first=row == 0)
            for index, (side, line) in enumerate(zip(sides, lines, strict=True))
        ]
    layout["xaxis"] = plain_axis("observations") | {
        "anchor": "free",
        "position": 0,
        "rangemode": "tozero",
    }
    layout["height"] = 130 + 230 * len(panels)
    return {"data": data, "layout": layout}


def _step(
    side: Side, line: Array, name: str, index: int, yaxis: str, *, is_first: bool
) -> dict[str, Any]:
    """A line that moves where it changes; what lies between is left out."""
    known = np.flatnonzero(np.isfinite(line))
    moves = known[np.flatnonzero(np.diff(line[known], prepend=np.nan) != 0)]
    rows = np.unique([*moves.tolist(), *known[-1:].tolist()]).astype(int)
    colour, _, dash = SERIES[index]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": _name(side),
        "legendgroup": str(side.experiment.id),
        "showlegend": is_first,
        "meta": {"experiment": side.experiment.id},
        "x": (rows + 1).tolist(),
        "y": numbers(line[rows]),
        "yaxis": yaxis,
        "line": {"color": colour, "width": 2, "dash": dash, "shape": "hv"},
        "hovertemplate": f"after %{{x}}: {name} %{{y:.5g}}<extra>{_name(side)}</extra>",
    }


def _name(side: Side) -> str:
    name = side.experiment.name
    cut = name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"
    return f"{text(cut)} #{side.experiment.id}"

"""What the figures have in common: colours, shapes, axes, and points of metrics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeoff.service.parallel import Axis
from tradeoff.spec.metrics import Metric

Figure = dict[str, Any]
Array = npt.NDArray[np.float64]
Words = npt.NDArray[np.str_]

#: By role, for a light ground; the same in `tradeoff.client.plots`.
COLOURS = {
    "efficient": "#0072b2",
    "dominated": "#848e99",
    "infeasible": "#9a7400",
    "failed": "#d55e00",
    "transient": "#848e99",
    "open": "#b4518a",
    "threshold": "#009e73",
    "reference": "#56606b",
}
SYMBOLS = {
    "efficient": "diamond",
    "dominated": "circle",
    "infeasible": "circle-open",
    "failed": "x-thin-open",
    "transient": "line-ns-open",
    "open": "cross-thin-open",
}
LABELS = {
    "efficient": "efficient",
    "dominated": "dominated",
    "infeasible": "misses a threshold",
    "failed": "failed",
    "transient": "failed, not for its configuration",
    "open": "being tried, as predicted",
}
#: Share of the height that the strip of failures takes.
STRIP = 0.05
#: Powers of ten, where plotly.js would write µ and k.
LOG = {"type": "log", "exponentformat": "power"}
#: What is drawn on the ground of the page, in its colour.
GROUND = "#ffffff"
#: Panels in one row, and the share of the width that the labels of one's axis take.
MOST_BESIDE = 3
BETWEEN = 0.075
#: Digits of what is drawn: more than a screen shows.
DIGITS = 7


def text(word: str) -> str:
    """A name of a user's, as plotly.js shows it: it takes a little HTML in its texts."""
    return word.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def direction(metric: Metric) -> str:
    """The metric's name with its direction, for an axis."""
    label = text(metric.key or "value")
    if metric.strategy == "store":
        return label
    return f"{label} {'↑ more is better' if metric.sign > 0 else '↓ less is better'}"


def layout_of(**more: Any) -> dict[str, Any]:
    """The layout that all figures have, and `more`."""
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 68, "r": 18, "t": 36, "b": 56},
        "hovermode": "closest",
        "legend": {"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom"},
        "shapes": [],
        **more,
    }


def plain_axis(title: str, *, vertical: bool = False) -> dict[str, Any]:
    """An axis with a title; a vertical one makes room for its labels."""
    axis: dict[str, Any] = {"title": {"text": title, "standoff": 8}, "zeroline": False}
    return axis | {"automargin": True} if vertical else axis


def axis_of(
    metric: Metric, log: bool, *, titled: bool = True, vertical: bool = False
) -> dict[str, Any]:
    """The axis of a metric, with its direction in the title."""
    name = text(metric.key or "value")
    arrow = "" if metric.strategy == "store" else (" ↑" if metric.sign > 0 else " ↓")
    title = f"{name}{arrow}" if vertical else direction(metric)
    axis = plain_axis(title if titled else "", vertical=True)
    return axis | LOG if log else axis


def threshold_line(metric: Metric, side: str, number: str) -> dict[str, Any]:
    """A line across the figure; named, so that a script can find it."""
    assert metric.threshold is not None
    relation = "≥" if metric.sign > 0 else "≤"
    words = f"{text(metric.key)} {relation} {metric.threshold:.5g}"
    line = _line(metric, side, number, metric.threshold, role="threshold", dash="dash")
    across = side == "x"
    line["label"] |= {
        "text": words,
        "textposition": "end",
        "xanchor": "left" if across else "right",
        "yanchor": "top" if across else "bottom",
    }
    return line


def reference_line(metric: Metric, side: str, at: float) -> dict[str, Any]:
    """The line of the reference point in one metric, which becomes a threshold when it is moved."""
    line = _line(metric, side, "", rounded(at), role="reference", dash="dot")
    # At the other end, where fewer points are.
    line["label"] |= {
        "text": f"reference {at:.5g}",
        "textposition": "start",
        "xanchor": "left",
        "yanchor": "bottom",
    }
    return line


def _line(
    metric: Metric, side: str, number: str, at: float, *, role: str, dash: str
) -> dict[str, Any]:
    across = {"xref": "x", "yref": f"y{number} domain", "x0": at, "x1": at, "y0": 0, "y1": 1}
    along = {"xref": "x domain", "yref": f"y{number}", "x0": 0, "x1": 1, "y0": at, "y1": at}
    return {
        "type": "line",
        "name": f"{role}:{metric.key}",
        **(across if side == "x" else along),
        "line": {"color": COLOURS[role], "width": 2, "dash": dash},
        "label": {"textangle": 0, "font": {"color": COLOURS[role], "size": 12}},
    }


def panel(index: int, count: int) -> tuple[list[float], list[float]]:
    """The domains of one of `count` panels, `MOST_BESIDE` in a row: across, and upwards."""
    columns = min(count, MOST_BESIDE) or 1
    rows = -(-count // columns) or 1
    width, height = 1 / columns, 1 / rows
    left, top = index % columns * width, 1 - index // columns * height
    # Room for the labels and the title of the axis; the first has the margin for them.
    across = [left + (BETWEEN if index % columns else 0), left + width]
    return across, [max(top - height + 0.2 / rows * (rows > 1), 0), top]


def panels_of(count: int) -> dict[str, Any]:
    """The height of so many panels, and the width that they need."""
    columns = min(count, MOST_BESIDE) or 1
    return {"height": 60 + 380 * (-(-count // columns) or 1), "meta": {"min_width": 330 * columns}}


def parameter_axis(axis: Axis) -> dict[str, Any]:
    """The axis of a parameter."""
    found = plain_axis(text(axis.name))
    if axis.levels:
        return found | {"type": "category", "categoryarray": [text(each) for each in axis.levels]}
    return found | LOG if axis.log else found


def along(axis: Axis, rows: npt.NDArray[np.intp]) -> list[Any]:
    """Values of a parameter, choices by name; `None` where it is switched off."""
    values = axis.values[rows].tolist()
    if axis.levels:
        return [None if math.isnan(v) else text(axis.levels[int(v)]) for v in values]
    return [None if math.isnan(v) else rounded(v) for v in values]


def numbers(values: Array) -> list[float | None]:
    """For JSON: no more digits than are seen, and `None` for what is no number."""
    return [
        float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None for value in values.tolist()
    ]


def rounded(value: float) -> float:
    """For JSON: no more digits than are seen."""
    return float(f"{value:.{DIGITS}g}")

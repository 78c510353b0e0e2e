"""Everything along one parameter: what the models say, and what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeoff.service.points import Points
from tradeoff.service.predictions import Curve, Slices
from tradeoff.web.charts.parts import (
    COLOURS,
    SYMBOLS,
    Figure,
    along,
    axis_of,
    layout_of,
    numbers,
    panel,
    panels_of,
    parameter_axis,
    plain_axis,
    rounded,
    text,
)

#: Observations drawn in a panel; more are a sample spread over the search.
MOST_DOTS = 500
#: `COLOURS["efficient"]`, so thin that lines and dots are seen through it.
BAND = "rgba(0, 114, 178, 0.2)"


def slices(found: Slices, points: Points) -> Figure:
    """A panel for each metric, and one for success where something failed.

    Args:
        found: what the models say.
        points: the observations that `found.rows` are of.
    """
    shown = [metric for metric in points.metrics if metric.strategy != "store"]
    if not shown:
        shown = list(points.metrics)
    count = len(shown) + (found.success is not None)
    layout = layout_of(showlegend=False, uirevision=f"slice|{found.axis.name}")
    data: list[dict[str, Any]] = []
    for index, metric in enumerate(shown):
        values = points.column(metric.key)[found.rows]
        data += _panel(found, found.metrics.get(metric.key), points, values, index)
        _place(layout, found, axis_of(metric, False, vertical=True), index, count)
    if found.success is not None:
        succeeded = np.where(points.failed[found.rows], 0.0, 1.0)
        data += _panel(found, found.success, points, succeeded, count - 1, success=True)
        axis = plain_axis("probability of success", vertical=True)
        axis |= {"tickformat": ".0%", "range": [-0.05, 1.05]}
        _place(layout, found, axis, count - 1, count)
    return {"data": data, "layout": layout | panels_of(count)}


def _place(
    layout: dict[str, Any], found: Slices, axis: dict[str, Any], index: int, count: int
) -> None:
    name = "" if index == 0 else str(index + 1)
    across, upwards = panel(index, count)
    layout[f"xaxis{name}"] = parameter_axis(found.axis) | {"domain": across, "anchor": f"y{name}"}
    layout[f"yaxis{name}"] = axis | {"domain": upwards, "anchor": f"x{name}"}


def _panel(
    found: Slices,
    curve: Curve | None,
    points: Points,
    values: npt.NDArray[np.float64],
    index: int,
    *,
    success: bool = False,
) -> list[dict[str, Any]]:
    name = "" if index == 0 else str(index + 1)
    at = {"type": "scatter", "xaxis": f"x{name}", "yaxis": f"y{name}"}
    known = np.flatnonzero(np.isfinite(values) & np.isfinite(found.axis.values))
    if len(known) > MOST_DOTS:
        known = known[np.linspace(0, len(known) - 1, MOST_DOTS).astype(int)]
    crosses = success & points.failed[found.rows[known]]
    dots = at | {
        "mode": "markers",
        "name": "observed",
        "meta": {"state": "observed"},
        "x": along(found.axis, known),
        "y": numbers(values[known]),
        "customdata": points.ids[found.rows[known]].tolist(),
        "marker": {
            "color": [COLOURS["failed" if cross else "dominated"] for cross in crosses.tolist()],
            "symbol": [SYMBOLS["failed"] if cross else "circle" for cross in crosses.tolist()],
            "size": 6,
            "opacity": 0.7,
        },
        "hovertemplate": f"{text(found.axis.name)} %{{x}}<br>observed %{{y:.5g}}"
        "<extra>observation %{customdata}</extra>",
    }
    if curve is None:
        return [dots]
    xs = [text(v) if isinstance(v, str) else rounded(float(v)) for v in found.values]
    return [*_curve(curve, xs, at, levels=bool(found.axis.levels), success=success), dots]


def _curve(
    curve: Curve, xs: Sequence[Any], at: dict[str, Any], *, levels: bool, success: bool
) -> list[dict[str, Any]]:
    """The mean with its band; of a category a mark with its interval for each choice."""
    form = ".0%" if success else ".5g"
    mean = at | {
        "mode": "markers" if levels else "lines",
        "name": "the model",
        "meta": {"state": "model"},
        "x": xs,
        "y": numbers(curve.mean),
        "line": {"color": COLOURS["efficient"], "width": 2},
        "marker": {"color": COLOURS["efficient"], "size": 11, "symbol": "diamond"},
        "hovertemplate": f"%{{x}}: the model says %{{y:{form}}}<extra></extra>",
    }
    if success:
        return [mean]
    if levels:
        mean["error_y"] = {
            "type": "data",
            "array": numbers(curve.high - curve.mean),
            "arrayminus": numbers(curve.mean - curve.low),
            "color": COLOURS["efficient"],
            "thickness": 2,
        }
        return [mean]
    edge = at | {"mode": "lines", "x": xs, "hoverinfo": "skip", "line": {"width": 0}}
    return [
        edge | {"y": numbers(curve.low), "meta": {"state": "low"}},
        edge
        | {
            "y": numbers(curve.high),
            "meta": {"state": "high"},
            "fill": "tonexty",
            "fillcolor": BAND,
        },
        mean,
    ]

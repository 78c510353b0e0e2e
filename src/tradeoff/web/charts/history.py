"""How the search went."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from tradeoff.service.convergence import Convergence
from tradeoff.service.marks import Mark
from tradeoff.web.charts.marks import strip
from tradeoff.web.charts.parts import (
    COLOURS,
    LABELS,
    STRIP,
    SYMBOLS,
    Array,
    Figure,
    Words,
    axis_of,
    layout_of,
    numbers,
    plain_axis,
    text,
    threshold_line,
)
from tradeoff.web.charts.thinning import count as how_many
from tradeoff.web.charts.thinning import kept, thin

#: Share of the height above the figure that the numbers of marks take.
HEAD = 0.04


def history(
    course: Convergence,
    states: Words,
    *,
    clock: bool = False,
    marks: Sequence[tuple[Mark, str]] = (),
    keep: Collection[int] = (),
) -> Figure:
    """The hypervolume and each metric as the search went on, with the best feasible so far.

    Args:
        course: of the experiment.
        states: `n`, what each point is.
        clock: against the time instead of the number of the observation.
        marks: what happened on the way, with the words for it.
        keep: observations that are drawn in any case, however many there are.
    """
    points = course.points
    when = _moments(points.created) if clock else list(range(1, len(points.ids) + 1))
    has_volume = len(course.hypervolume) > 0
    count = len(points.metrics) + has_volume
    layout = layout_of(uirevision=f"history|{clock}")
    title = "time (UTC)" if clock else "observations"
    layout["xaxis"] = plain_axis(title) | {"anchor": "free", "position": 0}
    if clock:
        layout["xaxis"]["type"] = "date"
    top = 1 - HEAD if marks else 1.0
    height = (top - STRIP) / max(count, 1)
    data: list[dict[str, Any]] = []
    if has_volume:
        data.append(_volume_line(course, when))
        layout["yaxis"] = plain_axis("hypervolume ↑", vertical=True) | {
            "domain": [top - height + 0.03, top]
        }
    for index, metric in enumerate(points.metrics):
        row = index + has_volume
        name = "" if row == 0 else str(row + 1)
        data += _course_of_metric(
            course, states, index, when, f"y{name}", first=index == 0, keep=keep
        )
        axis = axis_of(metric, False, vertical=True)
        axis["domain"] = [top - (row + 1) * height + 0.03, top - row * height]
        layout[f"yaxis{name}"] = axis
        if metric.threshold is not None:
            layout["shapes"].append(threshold_line(metric, "y", name))
    last = count + 1
    data += strip(points, xaxis="x", yaxis=f"y{last}", when=when)
    layout[f"yaxis{last}"] = {
        "domain": [0, STRIP - 0.02],
        "visible": False,
        "range": [0, 1],
        "fixedrange": True,
    }
    if marks:
        data.append(_numbers_of_marks(marks, f"y{last + 1}", clock=clock))
        layout["shapes"] += _lines_of_marks(marks, clock=clock)
        layout[f"yaxis{last + 1}"] = {
            "domain": [top, 1],
            "visible": False,
            "range": [0, 1],
            "fixedrange": True,
        }
    layout["height"] = 130 + (190 * count if np.isfinite(points.values).any() else 0)
    return {"data": data, "layout": layout}


def _volume_line(course: Convergence, when: Sequence[Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "hypervolume" if course.exact else "hypervolume (estimated)",
        "meta": {"state": "hypervolume"},
        "x": when,
        "y": numbers(course.hypervolume),
        "line": {"color": COLOURS["efficient"], "width": 2, "shape": "hv"},
        "hovertemplate": "hypervolume %{y:.5g}<extra></extra>",
    }


def _course_of_metric(
    course: Convergence,
    states: Words,
    index: int,
    when: Sequence[Any],
    yaxis: str,
    *,
    first: bool,
    keep: Collection[int],
) -> list[dict[str, Any]]:
    points, metric = course.points, course.points.metrics[index]
    is_single = sum(each.strategy == "optimize" for each in points.metrics) == 1
    labels = LABELS | ({"efficient": "the best", "dominated": "tried"} if is_single else {})
    traces = []
    for state in ("dominated", "infeasible", "efficient"):
        rows = np.flatnonzero((states == state) & np.isfinite(points.values[:, index]))
        if not len(rows):
            continue
        total = len(rows)
        if state != "efficient":
            places = rows.astype(float)
            chosen = kept(points.ids[rows], keep)
            rows = rows[thin(places, points.values[rows, index], keep=chosen)]
        many = f" {how_many(len(rows), total)}" if len(rows) < total else ""
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": labels[state] + many,
                "meta": {"state": state},
                "legendgroup": state,
                "showlegend": first,
                "x": [when[row] for row in rows.tolist()],
                "y": numbers(points.values[rows, index]),
                "yaxis": yaxis,
                "customdata": points.ids[rows].tolist(),
                "marker": {
                    "symbol": SYMBOLS[state],
                    "size": 8 if state == "efficient" else 6,
                    "color": COLOURS[state],
                    "opacity": 1.0 if state == "efficient" else 0.65,
                },
                "hovertemplate": f"{text(metric.key or 'value')} %{{y:.5g}}"
                "<extra>observation %{customdata}</extra>",
            }
        )
    if metric.strategy == "optimize" and np.isfinite(course.best[:, index]).any():
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "best feasible so far",
                "meta": {"state": "best"},
                "legendgroup": "best",
                "showlegend": first,
                "x": list(when),
                "y": numbers(course.best[:, index]),
                "yaxis": yaxis,
                "line": {"color": COLOURS["threshold"], "width": 2, "shape": "hv"},
                "hovertemplate": "best %{y:.5g}<extra></extra>",
            }
        )
    return traces


def _place(mark: Mark, *, clock: bool) -> float | str:
    """Where a mark stands: between two observations, or at its moment."""
    return _moment(mark.moment) if clock else mark.after + 0.5


def _numbers_of_marks(
    marks: Sequence[tuple[Mark, str]], yaxis: str, *, clock: bool
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": "edited or imported",
        "meta": {"state": "marks"},
        "x": [_place(mark, clock=clock) for mark, _ in marks],
        "y": [0.5] * len(marks),
        "yaxis": yaxis,
        "text": [str(number) for number in range(1, len(marks) + 1)],
        "textposition": "middle right",
        "cliponaxis": False,
        "marker": {"symbol": "triangle-down", "size": 9, "color": COLOURS["open"]},
        "textfont": {"color": COLOURS["open"]},
        "hovertext": [text(words) for _, words in marks],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _lines_of_marks(marks: Sequence[tuple[Mark, str]], *, clock: bool) -> list[dict[str, Any]]:
    return [
        {
            "type": "line",
            "xref": "x",
            "yref": "paper",
            "x0": at,
            "x1": at,
            "y0": STRIP,
            "y1": 1 - HEAD / 2,
            "layer": "below",
            "line": {"color": COLOURS["open"], "width": 1, "dash": "dot"},
        }
        for mark, _ in marks
        for at in [_place(mark, clock=clock)]
    ]


def _moments(created: Array) -> list[str]:
    return [_moment(seconds) for seconds in created.tolist()]


def _moment(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]

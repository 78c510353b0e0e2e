"""Parallel coordinates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeoff.service.parallel import Axis, Lines
from tradeoff.web.charts.parts import COLOURS, GROUND, LABELS, Array, Figure, layout_of, text


def parallel(
    lines: Lines,
    *,
    order: Sequence[str] = (),
    log: Iterable[str] | None = None,
    chosen: AbstractSet[int] | None = None,
) -> Figure:
    """Every configuration as a line over all axes.

    The axes stand at 0, 1, 2, …, and each goes from 0 at its least to 1 at its greatest value;
    what is switched off or was not measured lies at -0.1.

    Args:
        lines: what to draw.
        order: names of axes in the order wanted; those left out follow.
        log: axes on a log scale; `None`: those that are searched so.
        chosen: the observations that are not pushed into the background; `None`: all.
    """
    by_name = {axis.name: axis for axis in lines.axes}
    axes = [by_name[name] for name in order if name in by_name]
    axes += [axis for axis in lines.axes if axis not in axes]
    logs = {axis.name for axis in axes if axis.log} if log is None else set(log)
    scales = [_Scale(axis, axis.name in logs) for axis in axes]
    positions = np.array(
        [scale.positions(axis.values) for scale, axis in zip(scales, axes, strict=True)]
    )
    in_front = np.array(
        [chosen is None or each in chosen for each in lines.ids.tolist()], dtype=bool
    )
    data = (
        [_background(positions[:, ~in_front], lines.ids[~in_front])] if chosen is not None else []
    )
    widths = {
        "efficient": 2.0,
        "dominated": 0.8,
        "infeasible": 0.8,
        "failed": 1.0,
        "transient": 0.8,
    }
    for state in ("dominated", "infeasible", "transient", "failed", "efficient"):
        rows = np.flatnonzero((lines.states == state) & in_front)
        if not len(rows):
            continue
        xs, ys, ids = _polylines(positions[:, rows], lines.ids[rows])
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"{LABELS[state]} ({len(rows)})",
                "meta": {"state": state},
                "x": xs,
                "y": ys,
                "customdata": ids,
                "line": {"color": COLOURS[state], "width": widths[state]}
                | ({"dash": "dot"} if state in ("failed", "transient") else {}),
                "opacity": 1.0 if state == "efficient" else 0.5,
                "hovertemplate": "observation %{customdata}<extra></extra>",
            }
        )
    titles = [_title_of_axis(axis) for axis in axes]
    layout = layout_of(uirevision="parallel", dragmode="select", selectdirection="any")
    layout["xaxis"] = {
        "range": [-0.45, len(axes) - 0.55],
        "tickvals": list(range(len(axes))),
        "ticktext": titles,
        "side": "top",
        "fixedrange": True,
        "zeroline": False,
        "gridcolor": COLOURS["dominated"],
        "gridwidth": 1.5,
        "automargin": True,
        "tickangle": 0 if len(axes) <= 6 else -25,
    }
    layout["annotations"] = _ticks(scales)
    layout["yaxis"] = {"range": [-0.16, 1.06], "visible": False, "fixedrange": True}
    layout["legend"] = {"orientation": "h", "x": 0, "y": -0.02, "yanchor": "top"}
    layout["meta"] = {
        "min_width": 95 * len(axes),
        "axes": [scale.describe() for scale in scales],
    }
    return {"data": data, "layout": layout}


def _background(positions: Array, ids: npt.NDArray[np.int64]) -> dict[str, Any]:
    """The lines that were not chosen."""
    xs, ys, _ = _polylines(positions, ids)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"not chosen ({len(ids)})",
        "meta": {"state": "background"},
        "x": xs,
        "y": ys,
        "line": {"color": COLOURS["dominated"], "width": 0.6},
        "opacity": 0.15,
        "hoverinfo": "skip",
    }


class _Scale:
    """Where the values of one axis of parallel coordinates lie."""

    def __init__(self, axis: Axis, log: bool) -> None:
        self.axis = axis
        known = axis.values[np.isfinite(axis.values)]
        self.log = log and not axis.levels and len(known) > 0 and float(known.min()) > 0
        if axis.levels:
            self.low, self.high = 0.0, float(max(len(axis.levels) - 1, 1))
        elif len(known):
            ends = np.log10(known) if self.log else known
            self.low, self.high = float(ends.min()), float(ends.max())
        else:
            self.low, self.high = 0.0, 1.0
        self.flat = not self.high > self.low

    def positions(self, values: Array) -> Array:
        """`n` positions; -0.1 where there is no value."""
        with np.errstate(invalid="ignore", divide="ignore"):
            scaled = np.log10(values) if self.log else values
        place = (
            np.full(len(values), 0.5) if self.flat else (scaled - self.low) / (self.high - self.low)
        )
        return np.where(np.isfinite(values), np.round(place, 4), -0.1)

    def labels(self) -> list[tuple[float, str]]:
        """Positions and what is written there."""
        if self.axis.levels:
            count = len(self.axis.levels)
            wanted = range(count) if count <= 12 else (0, count - 1)
            step = 1 / max(count - 1, 1)
            return [(index * step, text(self.axis.levels[index])) for index in wanted]
        if not np.isfinite(self.axis.values).any():
            return []
        if self.flat:
            value = 10**self.low if self.log else self.low
            return [(0.5, f"{value:.4g}")]
        marks = []
        for place in (0.0, 0.25, 0.5, 0.75, 1.0):
            at = self.low + place * (self.high - self.low)
            marks.append((place, f"{10**at if self.log else at:.3g}"))
        return marks

    def describe(self) -> dict[str, Any]:
        """What a script needs to know of the axis."""
        return {
            "name": self.axis.name,
            "kind": self.axis.kind,
            "log": self.log,
            # Of its ends, in logarithms on a log scale.
            "low": self.low if not self.flat else self.low - 0.5,
            "high": self.high if not self.flat else self.low + 0.5,
            "may_log": not self.axis.levels
            and bool((self.axis.values > 0).any())
            and not bool((self.axis.values <= 0).any()),
        }


def _ticks(scales: Sequence[_Scale]) -> list[dict[str, Any]]:
    """What is written beside the axes, on a ground of its own so that lines do not cross it."""
    notes = []
    for index, scale in enumerate(scales):
        marks = scale.labels()
        if not bool(np.isfinite(scale.axis.values).all()):
            marks = [*marks, (-0.1, "none" if scale.axis.kind == "metric" else "off")]
        notes += [
            {
                "x": index,
                "y": round(place, 4),
                "text": word,
                "showarrow": False,
                "xanchor": "left",
                "xshift": 3,
                "font": {"size": 11},
                "bgcolor": GROUND,
                "borderpad": 1,
                "opacity": 0.85,
            }
            for place, word in marks
        ]
    return notes


def _title_of_axis(axis: Axis) -> str:
    arrow = {1: " ↑", -1: " ↓", 0: ""}[axis.sign]
    return f"{text(axis.name or 'value')}{arrow}"


def _polylines(
    positions: Array, ids: npt.NDArray[np.int64]
) -> tuple[list[Any], list[Any], list[Any]]:
    """All lines as one, with gaps: `a x n` positions to coordinates and ids."""
    count, n = positions.shape
    ys = np.full((n, count + 1), np.nan)
    ys[:, :count] = positions.T
    xs = [*range(count), None] * n
    repeated = np.repeat(ids, count + 1).tolist()
    return xs, [None if math.isnan(y) else y for y in ys.reshape(-1).tolist()], repeated

"""What the models say: where it fails, which parameters matter, how good the models are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tradeoff.service.failures import Failures
from tradeoff.spec.metrics import Metric
from tradeoff.web.charts.parts import (
    COLOURS,
    GROUND,
    Figure,
    along,
    layout_of,
    numbers,
    panel,
    panels_of,
    parameter_axis,
    plain_axis,
    rounded,
    text,
)

#: More points than this are drawn smaller.
MANY = 300


def failures(region: Failures) -> Figure:
    """The probability of success over two parameters, with what was tried on it."""
    x, y = region.x, region.y
    data: list[dict[str, Any]] = []
    if region.grid is not None:
        data.append(
            {
                "type": "heatmap",
                "x": [text(v) if isinstance(v, str) else v for v in region.grid.x],
                "y": [text(v) if isinstance(v, str) else v for v in region.grid.y],
                "z": [[round(float(p), 4) for p in row] for row in region.grid.probability],
                "zmin": 0,
                "zmax": 1,
                "colorscale": "Cividis",
                "colorbar": {"title": {"text": "probability<br>of success"}, "tickformat": ".0%"},
                "hovertemplate": "success %{z:.0%}<extra></extra>",
            }
        )
    size = 8 if len(region.ids) <= MANY else 5
    for failed in (False, True):
        rows = np.flatnonzero(region.failed == failed)
        state = "failed" if failed else "efficient"
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"failed ({len(rows)})" if failed else f"succeeded ({len(rows)})",
                "meta": {"state": "failed" if failed else "succeeded"},
                "x": along(x, rows),
                "y": along(y, rows) if y is not None else [0] * len(rows),
                "customdata": region.ids[rows].tolist(),
                "marker": {
                    "symbol": "x" if failed else "circle",
                    "size": size + 1 if failed else size,
                    "color": COLOURS[state],
                    "line": {"color": GROUND, "width": size / 8},
                },
                "hovertemplate": "observation %{customdata}<extra>%{fullData.name}</extra>",
            }
        )
    layout = layout_of(uirevision=f"failures|{x.name}|{y.name if y is not None else ''}")
    layout["xaxis"] = parameter_axis(x)
    layout["yaxis"] = parameter_axis(y) if y is not None else {"visible": False}
    layout["yaxis"]["automargin"] = True
    return {"data": data, "layout": layout}


def importances(shares: Mapping[str, Mapping[str, float]]) -> Figure:
    """How much each parameter matters: a group of bars per metric, greatest first.

    Args:
        shares: by what is predicted, by parameter, the share of the prediction that it moves.
    """
    names = {name for each in shares.values() for name in each}
    ranked = sorted(names, key=lambda name: (sum(s.get(name, 0.0) for s in shares.values()), name))
    patterns = ("", "/", "x", ".", "-", "+", "\\", "|")
    roles = ("efficient", "failed", "threshold", "open", "infeasible", "reference")
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": text(target),
            "meta": {"parameters": ranked},
            "y": [text(name) for name in ranked],
            "x": [rounded(each.get(name, 0.0)) for name in ranked],
            "marker": {
                "color": COLOURS[roles[index % len(roles)]],
                "pattern": {"shape": patterns[index % len(patterns)]},
            },
            "hovertemplate": "%{y}: %{x:.0%}<extra>%{fullData.name}</extra>",
        }
        for index, (target, each) in enumerate(shares.items())
    ]
    layout = layout_of(barmode="group", uirevision="importances")
    layout["xaxis"] = plain_axis("share of what the model predicts") | {
        "tickformat": ".0%",
        "rangemode": "tozero",
    }
    layout["yaxis"] = {"automargin": True}
    layout["height"] = 120 + max(len(ranked), 1) * (16 + 12 * max(len(shares), 1))
    return {"data": data, "layout": layout}


def model(predictions: Mapping[str, Any], metrics: Sequence[Metric]) -> Figure:
    """Each value against what the others predict of it, a panel per metric.

    Args:
        predictions: by metric a `service.predictions` pair of a prediction and observation ids.
        metrics: of the experiment.
    """
    shown = [metric for metric in metrics if metric.key in predictions]
    layout = layout_of(showlegend=False, uirevision="model")
    data: list[dict[str, Any]] = []
    for index, metric in enumerate(shown):
        found, ids = predictions[metric.key]
        name = "" if index == 0 else str(index + 1)
        ends = [float(min(found.observed.min(), found.mean.min()))]
        ends.append(float(max(found.observed.max(), found.mean.max())))
        at = {"xaxis": f"x{name}", "yaxis": f"y{name}"}
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": ends,
                "y": ends,
                "line": {"color": COLOURS["reference"], "dash": "dash", "width": 1.5},
                "hoverinfo": "skip",
                **at,
            }
        )
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": text(metric.key or "value"),
                "x": numbers(found.observed),
                "y": numbers(found.mean),
                "customdata": list(ids),
                "error_y": {
                    "type": "data",
                    "array": numbers(found.high - found.mean),
                    "arrayminus": numbers(found.mean - found.low),
                    "color": COLOURS["dominated"],
                    "thickness": 1,
                    "width": 0,
                },
                "marker": {"color": COLOURS["efficient"], "size": 7, "symbol": "circle"},
                "hovertemplate": "observed %{x:.5g}<br>predicted %{y:.5g}"
                "<extra>observation %{customdata}</extra>",
                **at,
            }
        )
        label = text(metric.key or "value")
        across, upwards = panel(index, len(shown))
        layout[f"xaxis{name}"] = plain_axis(f"{label}, observed") | {
            "domain": across,
            "anchor": f"y{name}",
        }
        layout[f"yaxis{name}"] = plain_axis(f"{label}, predicted") | {
            "domain": upwards,
            "anchor": f"x{name}",
        }
    return {"data": data, "layout": layout | panels_of(len(shown))}

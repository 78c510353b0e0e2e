"""What a training run measured on its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tradeoff.web.charts.parts import COLOURS, Figure, layout_of, plain_axis, rounded, text


def checkpoints(values: Sequence[Mapping[str, Mapping[str, float | None]]]) -> Figure:
    """Each metric by the number of the checkpoint, a panel per metric.

    Args:
        values: of each checkpoint `{metric: {value, value_stddev}}`, oldest first.
    """
    names = list(dict.fromkeys(name for each in values for name in each))
    height = 1 / max(len(names), 1)
    layout = layout_of(showlegend=False, uirevision="checkpoints")
    data: list[dict[str, Any]] = []
    for row, name in enumerate(names):
        number = "" if row == 0 else str(row + 1)
        measured = [
            (at + 1, entry["value"], entry.get("value_stddev"))
            for at, each in enumerate(values)
            if (entry := each.get(name)) is not None and entry.get("value") is not None
        ]
        trace: dict[str, Any] = {
            "type": "scatter",
            "mode": "lines+markers",
            "name": text(name),
            "x": [at for at, _, _ in measured],
            "y": [rounded(value) for _, value, _ in measured if value is not None],
            "yaxis": f"y{number}",
            "line": {"color": COLOURS["efficient"], "width": 2},
            "marker": {"size": 6, "color": COLOURS["efficient"]},
            "hovertemplate": f"checkpoint %{{x}}: {text(name)} %{{y:.5g}}<extra></extra>",
        }
        if any(spread for _, _, spread in measured):
            spreads = [rounded(spread or 0.0) for _, _, spread in measured]
            trace["error_y"] = {"type": "data", "array": spreads, "thickness": 1}
        data.append(trace)
        layout[f"yaxis{number}"] = plain_axis(text(name), vertical=True) | {
            "domain": [1 - (row + 1) * height + 0.03, 1 - row * height]
        }
    layout["xaxis"] = plain_axis("checkpoints") | {"anchor": "free", "position": 0}
    layout["height"] = 110 + 190 * len(names)
    return {"data": data, "layout": layout}

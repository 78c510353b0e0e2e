"""Figures of an experiment for notebooks, and its observations as a table.

They look like the dashboard's. The server computes nothing for them: they are drawn from what the
API answers. plotly comes with `tradeoff[plot]`; it is imported when a figure is asked for.
"""

from __future__ import annotations

import datetime
import html
import importlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

#: A `tradeoff.client.resources.Experiment`; to import it would close a circle.
Experiment: TypeAlias = Any

#: By role; the same in the dashboard.
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
}
#: More points than this are drawn by WebGL.
MANY_POINTS = 2_000


class Points:
    """The observations of an experiment and what each of them is, oldest first.

    Attributes:
        experiment: as it was fetched.
        rows: bodies of the observations.
        states: `efficient`, `dominated`, `infeasible`, `failed` or `transient`.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        pages = experiment.observations().fetch(limit=1000, sort="id", ascending=True)
        self.rows = [row.to_json() for row in pages.iterate_pages()]
        self.metrics: list[dict[str, Any]] = sorted(experiment.metrics, key=_rank)
        self.values = [
            {each["name"] or "": each["value"] for each in row["values"]} for row in self.rows
        ]
        best = {row.id for row in experiment.frontier()}
        self.states = [self._judge(row, k, best) for k, row in enumerate(self.rows)]

    @property
    def optimized(self) -> list[dict[str, Any]]:
        """The metrics that are searched."""
        return [metric for metric in self.metrics if metric["strategy"] == "optimize"]

    def metric(self, name: str | None) -> dict[str, Any]:
        """A metric by its name.

        Raises:
            ValueError: when there is none; the message lists those that there are.
        """
        for metric in self.metrics:
            if (metric["name"] or "") == (name or ""):
                return metric
        names = ", ".join(metric["name"] or "" for metric in self.metrics)
        raise ValueError(f"there is no metric {name!r}; there are {names}")

    def in_state(self, state: str, *names: str) -> list[int]:
        """Which rows are in this state and have these metrics."""
        return [
            k
            for k, found in enumerate(self.states)
            if found == state and all(name in self.values[k] for name in names)
        ]

    def _judge(self, row: Mapping[str, Any], index: int, best: set[str]) -> str:
        if row["failed"]:
            return "transient" if row.get("failure_kind") == "transient" else "failed"
        if row["id"] in best:
            return "efficient"
        for metric in self.metrics:
            value, threshold = self.values[index].get(metric["name"] or ""), metric["threshold"]
            if metric["strategy"] == "store":
                continue
            if value is None:
                return "infeasible"
            if threshold is not None and _sign(metric) * value < _sign(metric) * threshold:
                return "infeasible"
        return "dominated"


def frontier(points: Points, x: str | None = None, y: str | None = None) -> Any:
    """Two metrics against each other; with one metric, its history."""
    if len(points.metrics) == 1:
        return history(points)
    first = points.metric(x) if x is not None else points.metrics[0]
    others = [metric for metric in points.metrics if metric is not first]
    second = points.metric(y) if y is not None else others[0]
    across, along = first["name"], second["name"]
    kind = "scattergl" if len(points.rows) > MANY_POINTS else "scatter"
    data = []
    for state in ("dominated", "infeasible", "efficient"):
        rows = points.in_state(state, across, along)
        if state == "efficient" and {m["name"] for m in points.optimized} == {across, along}:
            data.append(_staircase(points, rows, first, second))
        data.append(
            {
                "type": kind,
                "mode": "markers",
                "name": f"{LABELS[state]} ({len(rows)})",
                "x": [points.values[k][across] for k in rows],
                "y": [points.values[k][along] for k in rows],
                "customdata": [points.rows[k]["id"] for k in rows],
                "text": [_hover(points.rows[k]) for k in rows],
                "hovertemplate": "%{x:.5g}, %{y:.5g}<br>%{text}<extra>%{customdata}</extra>",
                "marker": {
                    "symbol": SYMBOLS[state],
                    "color": COLOURS[state],
                    "size": 10 if state == "efficient" else 7,
                    "opacity": 1.0 if state == "efficient" else 0.6,
                },
            }
        )
    shapes = [
        {
            "type": "line",
            **(
                {"xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1}
                if metric is first
                else {"xref": "paper", "yref": "y", "x0": 0, "x1": 1, "y0": at, "y1": at}
            ),
            "line": {"color": COLOURS["threshold"], "width": 2, "dash": "dash"},
        }
        for metric in (first, second)
        if (at := metric["threshold"]) is not None
    ]
    failed = points.states.count("failed")
    layout = {
        "title": {"text": _title(points, f"{failed} failed" if failed else "")},
        "xaxis": {"title": {"text": _direction(first)}},
        "yaxis": {"title": {"text": _direction(second)}},
        "shapes": shapes,
    }
    return _figure(data, layout)


def history(points: Points) -> Any:
    """Each metric as the search went on, with the best feasible so far."""
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"title": {"text": _title(points)}}
    count = len(points.metrics)
    for index, metric in enumerate(points.metrics):
        name, axis = metric["name"] or "", "" if index == 0 else str(index + 1)
        for state in ("dominated", "infeasible", "efficient"):
            rows = points.in_state(state, name)
            data.append(
                {
                    "type": "scattergl" if len(points.rows) > MANY_POINTS else "scatter",
                    "mode": "markers",
                    "name": LABELS[state],
                    "legendgroup": state,
                    "showlegend": index == 0 and bool(rows),
                    "x": [k + 1 for k in rows],
                    "y": [points.values[k][name] for k in rows],
                    "yaxis": f"y{axis}",
                    "marker": {"symbol": SYMBOLS[state], "color": COLOURS[state], "size": 7},
                }
            )
        if metric["strategy"] == "optimize":
            data.append(_best_so_far(points, metric, f"y{axis}", shown=index == 0))
        height = 1 / count
        layout[f"yaxis{axis}"] = {
            "title": {"text": _direction(metric, short=True)},
            "domain": [1 - (index + 1) * height + 0.03, 1 - index * height],
        }
    failed = [k + 1 for k, state in enumerate(points.states) if state == "failed"]
    data.append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": f"failed ({len(failed)})",
            "showlegend": bool(failed),
            "x": failed,
            "y": [0.0] * len(failed),
            "yaxis": f"y{count + 1}",
            "marker": {"symbol": "line-ns-open", "color": COLOURS["failed"], "size": 10},
        }
    )
    layout[f"yaxis{count + 1}"] = {"domain": [0, 0.02], "visible": False}
    layout["xaxis"] = {"title": {"text": "observations"}, "anchor": "free", "position": 0}
    layout["height"] = 200 + 180 * count
    return _figure(data, layout)


def parallel(points: Points) -> Any:
    """Every configuration that was measured as a line over parameters and metrics."""
    rows = [k for k, state in enumerate(points.states) if state not in ("failed", "transient")]
    dimensions = [
        _dimension(parameter, [points.rows[k]["assignments"].get(parameter["name"]) for k in rows])
        for parameter in (*points.experiment.conditionals, *points.experiment.parameters)
    ]
    dimensions += [
        {
            "label": _direction(metric, short=True),
            "values": [points.values[k].get(metric["name"] or "") for k in rows],
        }
        for metric in points.metrics
    ]
    order = ("infeasible", "dominated", "efficient")
    scale = [[k / 2, COLOURS[state]] for k, state in enumerate(order)]
    line = {
        "color": [order.index(points.states[k]) for k in rows],
        "cmin": 0,
        "cmax": 2,
        "colorscale": scale,
    }
    data = [{"type": "parcoords", "dimensions": dimensions, "line": line}]
    return _figure(data, {"title": {"text": _title(points)}})


def failures(points: Points, x: str | None = None, y: str | None = None) -> Any:
    """Which configurations failed, over two parameters; by default the two that tell most."""
    names = [each["name"] for each in (*points.experiment.parameters,)]
    ranked = sorted(names, key=lambda name: -_split(points, name))
    for name in (x, y):
        if name is not None and name not in names:
            raise ValueError(f"there is no parameter {name!r}; there are {', '.join(names)}")
    first = x or next(name for name in ranked if name != y)
    second = y or next((name for name in ranked if name != first), None)
    parameters = {each["name"]: each for each in points.experiment.parameters}
    data = []
    for failed in (False, True):
        rows = [
            k
            for k, state in enumerate(points.states)
            if state != "transient" and (state == "failed") == failed
        ]
        data.append(
            {
                "type": "scattergl" if len(points.rows) > MANY_POINTS else "scatter",
                "mode": "markers",
                "name": f"failed ({len(rows)})" if failed else f"succeeded ({len(rows)})",
                "x": [points.rows[k]["assignments"].get(first) for k in rows],
                "y": [points.rows[k]["assignments"].get(second) if second else 0 for k in rows],
                "customdata": [points.rows[k]["id"] for k in rows],
                "marker": {
                    "symbol": "x" if failed else "circle",
                    "color": COLOURS["failed" if failed else "efficient"],
                    "size": 9 if failed else 7,
                },
            }
        )
    layout: dict[str, Any] = {"title": {"text": _title(points)}}
    for axis, name in (("xaxis", first), ("yaxis", second)):
        is_log = name is not None and parameters[name].get("transformation") == "log"
        layout[axis] = {"title": {"text": html.escape(name or "")}}
        layout[axis] |= {"type": "log"} if is_log else {}
    return _figure(data, layout)


def importances(experiment: Experiment, found: Sequence[Mapping[str, Any]]) -> Any:
    """How much each parameter matters: a group of bars per metric, the greatest on top.

    Args:
        experiment: whose.
        found: as the API answers, each with `metric` and `importances` by parameter.
    """
    names = {name for each in found for name in each["importances"]}
    ranked = sorted(names, key=lambda n: (sum(e["importances"].get(n, 0) for e in found), n))
    roles = ("efficient", "failed", "threshold", "open", "infeasible", "reference")
    patterns = ("", "/", "x", ".", "-", "+", "\\", "|")
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": html.escape(each["metric"] or "value"),
            "x": [each["importances"].get(name, 0.0) for name in ranked],
            "y": [html.escape(name) for name in ranked],
            "marker": {
                "color": COLOURS[roles[index % len(roles)]],
                "pattern": {"shape": patterns[index % len(patterns)]},
            },
        }
        for index, each in enumerate(found)
    ]
    layout = {
        "title": {"text": html.escape(experiment.name)},
        "barmode": "group",
        "xaxis": {"title": {"text": "share of what the model predicts"}, "tickformat": ".0%"},
    }
    return _figure(data, layout)


def dataframe(points: Points) -> Any:
    """The observations as a pandas DataFrame, with the columns that Optuna's users know.

    `number`, `state` (`COMPLETE` or `FAIL`), `datetime_start`, `datetime_complete`, `duration`, a
    `values_NAME` for each metric, a `params_NAME` for each parameter, a `user_attrs_KEY` for each
    key of the metadata; and `observation`, its id. When a suggestion was handed out is its
    `datetime_start`.

    Raises:
        ImportError: when pandas is not installed.
    """
    pandas = _import("pandas", "`pip install pandas` for data frames")
    pages = points.experiment.suggestions().fetch(limit=1000)
    started = {each.id: each.created for each in pages.iterate_pages()}
    rows = []
    for number, row in enumerate(points.rows):
        begin, end = started.get(row["suggestion"]), row["created"]
        made: dict[str, Any] = {
            "number": number,
            "state": "FAIL" if row["failed"] else "COMPLETE",
            "datetime_start": None if begin is None else _moment(begin),
            "datetime_complete": _moment(end),
            "duration": None if begin is None else datetime.timedelta(seconds=end - begin),
            "observation": row["id"],
        }
        for metric in points.metrics:
            name = metric["name"] or "value"
            made[f"values_{name}"] = points.values[number].get(metric["name"] or "", math.nan)
        made |= {f"params_{name}": value for name, value in sorted(row["assignments"].items())}
        made |= {f"user_attrs_{key}": value for key, value in (row["metadata"] or {}).items()}
        rows.append(made)
    frame = pandas.DataFrame(rows)
    if rows:
        frame["datetime_start"] = pandas.to_datetime(frame["datetime_start"])
        frame["duration"] = pandas.to_timedelta(frame["duration"])
    return frame


def summary(experiment: Experiment) -> str:
    """An experiment in a few lines of HTML, for a notebook."""
    done = experiment.progress.observation_count
    budget = experiment.observation_budget or experiment.budget
    rows = [
        ("experiment", experiment.id),
        ("state", experiment.state),
        ("observations", f"{done} of {budget}" if budget else str(done)),
        (
            "metrics",
            ", ".join(_direction(m, short=True, escaped=False) for m in experiment.metrics),
        ),
        ("parameters", ", ".join(each["name"] for each in experiment.parameters)),
    ]
    cells = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(str(value))}</td></tr>"
        for name, value in rows
    )
    return f"<b>{html.escape(experiment.name)}</b><table>{cells}</table>"


def _figure(data: Sequence[dict[str, Any]], layout: Mapping[str, Any]) -> Any:
    graph_objects = _import("plotly.graph_objects", "`pip install 'tradeoff[plot]'` for figures")
    shared = {
        "template": "plotly_white",
        "hovermode": "closest",
        "legend": {"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom"},
    }
    return graph_objects.Figure(data=list(data), layout={**shared, **layout})


def _import(name: str, advice: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise ImportError(f"{package} is not installed: {advice}") from error


def _rank(metric: Mapping[str, Any]) -> tuple[int, str]:
    """Optimized metrics first, then constraints, then stored ones; by name among those."""
    return ("optimize", "constraint", "store").index(metric["strategy"]), metric["name"] or ""


def _sign(metric: Mapping[str, Any]) -> int:
    return 1 if metric["objective"] == "maximize" else -1


def _direction(metric: Mapping[str, Any], *, short: bool = False, escaped: bool = True) -> str:
    # plotly takes a little HTML in its texts.
    name = html.escape(metric["name"] or "value") if escaped else metric["name"] or "value"
    if metric["strategy"] == "store":
        return name
    arrow, word = ("↑", "more") if _sign(metric) > 0 else ("↓", "less")
    return f"{name} {arrow}" if short else f"{name} {arrow} {word} is better"


def _title(points: Points, *more: str) -> str:
    parts = [html.escape(points.experiment.name), f"{len(points.rows)} observations", *more]
    return ", ".join(part for part in parts if part)


def _hover(row: Mapping[str, Any]) -> str:
    return "<br>".join(
        html.escape(f"{name} {value:.5g}" if isinstance(value, float) else f"{name} {value}")
        for name, value in sorted(row["assignments"].items())
    )


def _staircase(
    points: Points, rows: Sequence[int], x: Mapping[str, Any], y: Mapping[str, Any]
) -> dict[str, Any]:
    """The edge of what the frontier beats."""
    pairs = [(points.values[k][x["name"]], points.values[k][y["name"]]) for k in rows]
    pairs.sort(key=lambda pair: (_sign(x) * pair[0], -_sign(y) * pair[1]))
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [pair[0] for pair in pairs],
        "y": [pair[1] for pair in pairs],
        "line": {"color": COLOURS["efficient"], "width": 1.5, "shape": "vh"},
        "showlegend": False,
        "hoverinfo": "skip",
    }


def _best_so_far(
    points: Points, metric: Mapping[str, Any], axis: str, *, shown: bool
) -> dict[str, Any]:
    best: float | None = None
    xs, ys = [], []
    for k, state in enumerate(points.states):
        value = points.values[k].get(metric["name"] or "")
        if state in ("efficient", "dominated") and value is not None:
            better = best is None or _sign(metric) * value > _sign(metric) * best
            best = value if better else best
        if best is not None:
            xs.append(k + 1)
            ys.append(best)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "best feasible so far",
        "legendgroup": "best",
        "showlegend": shown and bool(xs),
        "x": xs,
        "y": ys,
        "yaxis": axis,
        "line": {"color": COLOURS["threshold"], "width": 2, "shape": "hv"},
    }


def _dimension(parameter: Mapping[str, Any], values: Sequence[Any]) -> dict[str, Any]:
    """An axis of parallel coordinates; a category by number, a log scale by logarithm."""
    label = html.escape(parameter["name"])
    numbers = all(isinstance(v, int | float) for v in values if v is not None)
    if not numbers or "values" in parameter:
        levels = sorted({str(value) for value in values if value is not None})
        places = [levels.index(str(v)) if v is not None else None for v in values]
        ticks = {"tickvals": list(range(len(levels))), "ticktext": [html.escape(v) for v in levels]}
        return {"label": label, "values": places, **ticks}
    if parameter.get("transformation") == "log":
        logs = [None if value is None else math.log10(value) for value in values]
        known = [value for value in logs if value is not None]
        powers = range(math.floor(min(known)), math.ceil(max(known)) + 1) if known else []
        ticks = {"tickvals": list(powers), "ticktext": [f"1e{power}" for power in powers]}
        return {"label": label, "values": logs, **ticks}
    return {"label": label, "values": list(values)}


def _split(points: Points, name: str) -> float:
    """How well the best single cut of a parameter tells failures from successes."""
    told = [
        (row["assignments"][name], state == "failed")
        for row, state in zip(points.rows, points.states, strict=True)
        if name in row["assignments"] and state != "transient"
    ]
    total = sum(failed for _, failed in told)
    if not total or total == len(told):
        return 0.0
    if any(isinstance(value, str) for value, _ in told):
        sides = [[failed for v, failed in told if v == value] for value in {v for v, _ in told}]
    else:
        ordered = [failed for _, failed in sorted(told)]
        sides = [ordered[:k] for k in range(1, len(ordered))]
    return max(_gain(sum(side), len(side), total, len(told)) for side in sides)


def _gain(failed: int, size: int, total: int, count: int) -> float:
    """Gini impurity that a split takes away."""
    left = 2 * failed * (size - failed) / size
    rest, bad = count - size, total - failed
    right = 2 * bad * (rest - bad) / rest if rest else 0.0
    return 2 * total * (count - total) / count - left - right


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)

"""What the page of results asks for: a figure and the words beside it, as JSON, one per section."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tradeoff.errors import BadInput
from tradeoff.service import (
    convergence,
    failures,
    insights,
    marks,
    parallel,
    predictions,
    selection,
    served,
)
from tradeoff.service import points as service_points
from tradeoff.service.convergence import Convergence
from tradeoff.service.points import Points
from tradeoff.store import points as store_points
from tradeoff.web import sheets, told
from tradeoff.web.charts import frontier as frontier_chart
from tradeoff.web.charts import history as history_chart
from tradeoff.web.charts import parallel as parallel_chart
from tradeoff.web.charts import regions, slices
from tradeoff.web.charts.parts import Figure, Words, numbers
from tradeoff.web.charts.thinning import MOST_DRAWN, MOST_TICKS
from tradeoff.web.routing import Answer, Data
from tradeoff.web.visit import NUMBER, Visit

#: So many open suggestions are drawn where they are expected.
MOST_OPEN = 50


def frontier(visit: Visit) -> Answer:
    """Two metrics against each other; `matrix` asks for all pairs as well."""
    experiment, spec = visit.experiment, visit.experiment.spec
    points = service_points.load(visit.session, experiment)
    states = service_points.states(points)
    x, y = _axes(visit, points)
    reference = service_points.reference_point(points, spec)
    log = visit.query.texts("log")
    body: dict[str, Any] = {
        "metrics": _metrics(points),
        "x": x,
        "y": y,
        "points": {
            "ids": points.ids.tolist(),
            "states": states.tolist(),
            "values": {
                metric.key: numbers(points.values[:, index])
                for index, metric in enumerate(points.metrics)
                if metric.strategy != "store" or metric.key in (x, y)
            },
        },
        "counts": {word: int((states == word).sum()) for word in np.unique(states).tolist()},
        "most": [MOST_DRAWN, MOST_TICKS],
        "reference": reference,
        "figure": None,
        "matrix": None,
    }
    if len(points.metrics) == 1:
        body["figure"], body["marks"] = _course(visit, convergence.follow(points, spec), states)
        return as_data(body)
    body["figure"] = frontier_chart.frontier(
        points,
        states,
        x,
        y,
        reference=reference,
        open_points=_expected(visit),
        log=log,
        keep=_kept(visit),
    )
    if len(spec.optimized_metrics) > 2 and visit.query.has("matrix"):
        body["matrix"] = frontier_chart.matrix(points, states, log=log)
    return as_data(body)


def history(visit: Visit) -> Answer:
    """The course of the search."""
    spec = visit.experiment.spec
    points = service_points.load(visit.session, visit.experiment)
    course = convergence.follow(points, spec)
    figure, words = _course(visit, course, service_points.states(points))
    return as_data(
        {
            "figure": figure,
            "marks": words,
            "reference": course.reference,
            "exact": course.exact,
            "hypervolume": float(course.hypervolume[-1]) if len(course.hypervolume) else None,
        }
    )


def _course(visit: Visit, course: Convergence, states: Words) -> tuple[Figure, list[str]]:
    """The figure of the history, and what its marks say."""
    found = marks.find(visit.session, visit.experiment, course.points)
    words = [told.mark(each) for each in found]
    figure = history_chart.history(
        course,
        states,
        clock=visit.query.text("by") == "clock",
        marks=list(zip(found, words, strict=True)),
        keep=_kept(visit),
    )
    return figure, words


def lines(visit: Visit) -> Answer:
    """Parallel coordinates."""
    spec = visit.experiment.spec
    points = service_points.load(visit.session, visit.experiment, assignments=True)
    found = parallel.lines(points, spec)
    ranges = _ranges(visit)
    chosen = selection.chosen(points, spec, ranges)
    log = visit.query.texts("log") if visit.query.has("scaled") else None
    only = visit.query.text("only")
    if only == "metrics":
        found = parallel.only_metrics(found)
    figure = parallel_chart.parallel(
        found,
        order=visit.query.texts("order"),
        log=log,
        chosen=set(points.ids[chosen].tolist()) if ranges else None,
    )
    return as_data(
        {
            "figure": figure,
            "shown": len(found.ids),
            "total": found.total,
            "chosen": points.ids[chosen].tolist() if ranges else None,
            "filter": selection.as_filter(points, spec, ranges) if ranges else None,
        }
    )


def importances(visit: Visit) -> Answer:
    """Which parameters matter, for what."""
    reason = insights.why_none(visit.experiment)
    if reason is not None:
        return as_data({"figure": None, "reason": reason})
    found = insights.read(visit.session, visit.experiment)
    shares = {key or "value": each for key, each in found.importances.items()}
    if found.failure is not None:
        shares["whether it fails"] = found.failure
    return as_data(
        {
            "figure": regions.importances(shares),
            "method": found.method,
            "observations": found.observations,
        }
    )


def along(visit: Visit) -> Answer:
    """What the models say along one parameter; through the observation `through`, if given."""
    points = service_points.load(visit.session, visit.experiment, assignments=True)
    spec = visit.experiment.spec
    names = [each.name for each in spec.conditionals]
    names += [each.name for each in spec.parameters]
    given = visit.query.text("through")
    found = predictions.along(
        visit.experiment,
        points,
        visit.query.text("parameter") or names[0],
        through=number(given, "through") if given else None,
    )
    return as_data(
        {
            "figure": slices.slices(found, points) if len(found.rows) else None,
            "parameters": names,
            "parameter": found.axis.name,
            "modelled": bool(found.metrics),
        }
    )


def failure_region(visit: Visit) -> Answer:
    """Where it fails."""
    points = service_points.load(visit.session, visit.experiment, assignments=True)
    region = failures.find(
        visit.session,
        visit.experiment,
        points,
        x=visit.query.text("x") or None,
        y=visit.query.text("y") or None,
    )
    avoided = region.avoided
    return as_data(
        {
            "figure": regions.failures(region) if region.failed.any() else None,
            "parameters": list(region.parameters),
            "x": region.x.name,
            "y": None if region.y is None else region.y.name,
            "rule": None if region.rule is None else told.rule(region.rule),
            "failed": int(region.failed.sum()),
            "looked_at": len(region.ids),
            "total": region.total,
            "avoided": None if avoided.count is None else round(avoided.count),
            "design": [avoided.design_failed, avoided.design],
            "model": [avoided.model_failed, avoided.model],
        }
    )


def model(visit: Visit) -> Answer:
    """How good the models are."""
    points = service_points.load(visit.session, visit.experiment, assignments=True)
    found = predictions.left_out(visit.experiment, points)
    judged = [
        {
            "metric": key,
            "explained": prediction.explained,
            "coverage": prediction.coverage,
            "observations": len(prediction.rows),
            "predictive": prediction.explained > insights.NOT_PREDICTIVE,
        }
        for key, (prediction, _) in found.items()
    ]
    figure = regions.model(found, points.metrics) if found else None
    words = told.served(served.read(visit.session, visit.experiment))
    return as_data({"figure": figure, "models": judged, "served": words})


def table(visit: Visit) -> Answer:
    """What the figures show, as CSV."""
    spec = visit.experiment.spec
    points = service_points.load(visit.session, visit.experiment, assignments=True)
    course = convergence.follow(points, spec)
    states = service_points.states(points)
    parameters = [each.name for each in spec.conditionals]
    parameters += [each.name for each in spec.parameters]
    text = io.StringIO()
    rows = csv.writer(text)
    volume = ["hypervolume"] if len(course.hypervolume) else []
    metrics = [name for m in points.metrics for name in (m.key or "value", f"{m.key}_stddev")]
    rows.writerow(sheets.plain(["observation", "created", "state", *parameters, *metrics, *volume]))
    for row, assignments in enumerate(points.assignments):
        measured = np.stack([points.values[row], points.stddevs[row]], axis=1).reshape(-1)
        rows.writerow(
            sheets.plain(
                [
                    int(points.ids[row]),
                    float(points.created[row]),
                    str(states[row]),
                    *(assignments.get(name, "") for name in parameters),
                    *("" if np.isnan(value) else float(value) for value in measured),
                    *([float(course.hypervolume[row])] if volume else []),
                ]
            )
        )
    name = f"experiment-{visit.experiment.id}.csv"
    return Data(text.getvalue().encode(), "text/csv; charset=utf-8", name)


def _axes(visit: Visit, points: Points) -> tuple[str, str]:
    """The metrics that were asked for, or the first two."""
    keys = [metric.key for metric in points.metrics]
    given = [visit.query.text(side) for side in ("x", "y")]
    for side, key in zip(("x", "y"), given, strict=True):
        if key and key not in keys:
            raise BadInput(f"{side}: there is no metric {key[:100]!r}")
    x = given[0] or next((key for key in keys if key != given[1]), keys[0])
    y = given[1] or next((key for key in keys if key != x), keys[0])
    return x, y


def _kept(visit: Visit) -> set[int]:
    """What is looked at, and is to be drawn however many there are."""
    return {number(text, "keep") for text in visit.query.texts("keep")}


def _metrics(points: Points) -> list[dict[str, Any]]:
    return [
        {
            "key": metric.key,
            "sign": metric.sign,
            "strategy": metric.strategy,
            "threshold": metric.threshold,
        }
        for metric in points.metrics
    ]


def _expected(visit: Visit) -> list[Mapping[str, Mapping[str, float]]]:
    rows = store_points.list_open(visit.session, visit.experiment.id, limit=MOST_OPEN)
    explained = [row.explanation or {} for row in rows]
    return [each["metrics"] for each in explained if each.get("metrics")]


def number(text: str, name: str) -> int:
    """The number of an observation, out of a query.

    Raises:
        BadInput: when it is none.
    """
    if not NUMBER.fullmatch(text):
        raise BadInput(f"{name}: must be the number of an observation, not {text[:50]!r}")
    return int(text)


def _ranges(visit: Visit) -> Sequence[selection.Range]:
    """What was brushed: `[[axis, low, high], …]` as JSON."""
    text = visit.query.text("ranges")
    if not text:
        return ()
    try:
        given = json.loads(text)
        return [selection.Range(str(name), float(low), float(high)) for name, low, high in given]
    except (ValueError, TypeError, RecursionError):
        raise BadInput("ranges: must be a list of [axis, low, high]") from None


def as_data(body: Mapping[str, Any]) -> Data:
    """A body of JSON."""
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Data(text.encode(), "application/json")

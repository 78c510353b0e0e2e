"""Experiments beside each other."""

from __future__ import annotations

import csv
import io
from urllib.parse import urlencode

import numpy as np

from tradeoff.errors import BadInput, NotFound
from tradeoff.service import access, comparison, course
from tradeoff.service import points as service_points
from tradeoff.service.comparison import Common
from tradeoff.spec.metrics import Metric
from tradeoff.store import activity, tables
from tradeoff.web import sheets
from tradeoff.web.charts import comparison as charts
from tradeoff.web.pages.figures import as_data
from tradeoff.web.routing import Answer, Data, Html, Redirect
from tradeoff.web.visit import NUMBER, Form, Visit


def show(visit: Visit) -> Answer:
    """What the experiments of the address have found, in columns."""
    rows = _read(visit)
    compared = comparison.compare(visit.session, rows)
    metrics = {metric.key: metric for row in rows for metric in row.spec.optimized_metrics}
    context = {
        "compared": compared,
        "metrics": list(metrics.values()),
        "common": comparison.common([row.spec for row in rows]),
        "activity": activity.list_activity(visit.session, [row.id for row in rows]),
        "courses": course.courses(visit.session, rows),
        "is_shared": all(each.share is not None for each in compared),
        "measured": any(each.frontier for each in compared),
        "query": _address(visit.query),
    }
    return Html("compare.html", context)


def figures(visit: Visit) -> Answer:
    """Their frontiers by two metrics that all of them measure, and how each of them went."""
    rows = _read(visit)
    sides = comparison.follow(visit.session, rows)
    shared = comparison.common([row.spec for row in rows])
    frontiers = None
    x, y = _axes(visit, shared)
    if x is not None and y is not None:
        joined = shared.alike and {m.key for m in shared.optimized} == {x.key, y.key}
        log = visit.query.texts("log")
        frontiers = charts.frontiers(sides, x, y, joined=joined, log=log)
    has_course = shared.optimized and any(side.efficient.any() for side in sides)
    return as_data(
        {
            "metrics": [metric.key for metric in shared.measured],
            "x": None if x is None else x.key,
            "y": None if y is None else y.key,
            "frontiers": frontiers,
            "courses": charts.courses(sides, shared.optimized) if has_course else None,
        }
    )


def _axes(visit: Visit, shared: Common) -> tuple[Metric | None, Metric | None]:
    """The two metrics that were asked for, or the first two; `None` with fewer."""
    known = {metric.key: metric for metric in shared.measured}
    for side in ("x", "y"):
        key = visit.query.text(side)
        if key and key not in known:
            raise BadInput(f"{side}: {key[:100]!r} is no metric that all of them judge by")
    if len(known) < 2:
        return None, None
    keys = list(known)
    x = visit.query.text("x") or next(key for key in keys if key != visit.query.text("y"))
    y = visit.query.text("y") or next(key for key in keys if key != x)
    return known[x], known[y]


def download(visit: Visit) -> Answer:
    """What the figures show, as CSV: a row for each observation of each experiment."""
    rows = _read(visit)
    sides = comparison.follow(visit.session, rows)
    shared = comparison.common([row.spec for row in rows])
    file = io.StringIO()
    writer = csv.writer(file)
    columns = [metric.key or "value" for metric in shared.measured]
    best = [f"best {metric.key or 'value'}" for metric in shared.optimized]
    head = ["experiment", "name", "number", "observation", "state", *columns, *best, "hypervolume"]
    writer.writerow(sheets.plain(head))
    for side in sides:
        states = service_points.states(side.points)
        numbers = [side.points.column(metric.key) for metric in shared.measured]
        numbers += [side.best[metric.key] for metric in shared.optimized]
        volume = side.hypervolume
        numbers.append(volume if len(volume) else np.full(len(states), np.nan))
        for row, state in enumerate(states.tolist()):
            about = [side.experiment.id, side.experiment.name, row + 1]
            measured = ["" if np.isnan(line[row]) else float(line[row]) for line in numbers]
            writer.writerow(sheets.plain([*about, int(side.points.ids[row]), state, *measured]))
    name = "-".join(["experiments", *(str(row.id) for row in rows)]) + ".csv"
    return Data(file.getvalue().encode(), "text/csv; charset=utf-8", name)


def choose(visit: Visit) -> Answer:
    """From the chosen rows of the list to the address that compares them."""
    return Redirect(f"/compare?{_address(visit.form)}")


def _read(visit: Visit) -> list[tables.Experiment]:
    """The experiments of the address."""
    numbers = _chosen(visit.query)
    comparison.check_count(len(numbers))
    return [access.get_experiment(visit.session, visit.who, number) for number in numbers]


def _address(form: Form) -> str:
    return urlencode([("experiment", str(number)) for number in _chosen(form)])


def _chosen(form: Form) -> list[int]:
    texts = form.texts("experiment")
    if not all(NUMBER.fullmatch(text) for text in texts):
        raise NotFound("There is no such experiment.")
    return list(dict.fromkeys(int(text) for text in texts))

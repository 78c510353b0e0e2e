"""Experiments beside each other."""

from __future__ import annotations

from urllib.parse import urlencode

from tradeoff.errors import NotFound
from tradeoff.service import access, comparison, course
from tradeoff.store import activity
from tradeoff.web.routing import Answer, Html, Redirect
from tradeoff.web.visit import NUMBER, Form, Visit


def show(visit: Visit) -> Answer:
    """What the experiments of the address have found, in columns."""
    rows = [
        access.get_experiment(visit.session, visit.who, number) for number in _chosen(visit.query)
    ]
    compared = comparison.compare(visit.session, rows)
    metrics = {metric.key: metric for row in rows for metric in row.spec.optimized_metrics}
    context = {
        "compared": compared,
        "metrics": list(metrics.values()),
        "activity": activity.list_activity(visit.session, [row.id for row in rows]),
        "courses": course.courses(visit.session, rows),
        "is_shared": all(each.share is not None for each in compared),
    }
    return Html("compare.html", context)


def choose(visit: Visit) -> Answer:
    """From the chosen rows of the list to the address that compares them."""
    chosen = [("experiment", str(number)) for number in _chosen(visit.form)]
    return Redirect(f"/compare?{urlencode(chosen)}")


def _chosen(form: Form) -> list[int]:
    texts = form.texts("experiment")
    if not all(NUMBER.fullmatch(text) for text in texts):
        raise NotFound("There is no such experiment.")
    return list(dict.fromkeys(int(text) for text in texts))

"""Taking a configuration: what is known of some observations, and what is decided on the way."""

from __future__ import annotations

import json
from typing import Any

from tradeoff.errors import BadInput
from tradeoff.service import choice, experiments
from tradeoff.service import observations as service_observations
from tradeoff.service.choice import Choice
from tradeoff.store import observations
from tradeoff.web.pages.figures import as_data, number
from tradeoff.web.routing import Answer
from tradeoff.web.visit import Visit

#: So many observations are compared at once.
MOST_COMPARED = 50


def show(visit: Visit) -> Answer:
    """Some observations, `id` by `id`, with their deltas to the observation `baseline`."""
    ids = [number(text, "id") for text in visit.query.texts("id")]
    if len(ids) > MOST_COMPARED:
        raise BadInput(f"id: at most {MOST_COMPARED} are compared at once")
    base = visit.query.text("baseline")
    found = choice.weigh(
        visit.session,
        visit.experiment,
        ids,
        baseline=number(base, "baseline") if base else None,
    )
    return as_data({"choices": [_describe(each) for each in found]})


def set_thresholds(visit: Visit) -> Answer:
    """Give metrics other thresholds: fields `threshold:METRIC`; an empty one takes it away."""
    metrics: list[dict[str, Any]] = []
    for metric in visit.experiment.spec.metrics:
        field = f"threshold:{metric.key}"
        given: dict[str, Any] = {"name": metric.name} if metric.name else {}
        if field in visit.form.fields:
            given["threshold"] = visit.form.number(field)
        metrics.append(given)
    experiments.change(visit.session, visit.experiment, {"metrics": metrics})
    return as_data({"saved": True})


def mark_failure(visit: Visit) -> Answer:
    """Say whether a failure tells something of its configuration: `kind` is what it is."""
    kind = visit.form.text("kind")
    if kind not in ("infeasible", "transient"):
        raise BadInput("kind: must be infeasible or transient")
    row = observations.get(visit.session, visit.experiment.id, visit.number("observation"))
    if not row.failed:
        raise BadInput("Only a failed observation has a kind of failure.")
    service_observations.change(
        visit.session, visit.experiment, row, {"failed": True, "failure_kind": kind}
    )
    return as_data({"saved": True})


def _describe(found: Choice) -> dict[str, Any]:
    row, suggestion = found.observation, found.suggestion
    assignments = dict(sorted(row.assignments.items()))
    return {
        "id": row.id,
        "created": row.created.timestamp(),
        "failed": row.failed,
        "transient": row.transient,
        "assignments": assignments,
        "differs": sorted(found.differs),
        "metadata": json.dumps(row.metadata_, ensure_ascii=False) if row.metadata_ else None,
        "metrics": [
            {
                "key": each.metric.key,
                "strategy": each.metric.strategy,
                "value": each.value,
                "stddev": each.stddev,
                "change": each.change,
                "better": each.better,
                "met": each.met,
            }
            for each in found.deltas
        ],
        "source": None if suggestion is None else suggestion.source,
        "explanation": None if suggestion is None else suggestion.explanation,
        "json": choice.as_json(assignments),
        "yaml": choice.as_yaml(assignments),
        "flags": choice.as_flags(assignments),
    }

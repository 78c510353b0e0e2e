"""What of an experiment may change while it runs."""

from __future__ import annotations

from typing import Any

from tradeoff.errors import BadInput
from tradeoff.service import experiments, tags
from tradeoff.spec.values import check_name
from tradeoff.store import tables
from tradeoff.store import tags as stored_tags
from tradeoff.web import inputs
from tradeoff.web.pages import experiment
from tradeoff.web.routing import Answer, Html, Redirect
from tradeoff.web.visit import Form, Visit


def show(visit: Visit) -> Answer:
    """The settings."""
    return _page(visit, None)


def change(visit: Visit) -> Answer:
    """Change what was filled in differently."""
    try:
        changes = _changes(visit.form, visit.experiment)
        with visit.session.begin_nested():
            if changes:
                experiments.change(visit.session, visit.experiment, changes)
            _change_tags(visit)
    except BadInput as error:
        return _page(visit, error.message)
    return Redirect(f"/experiment/{visit.experiment.id}/settings?saved=1")


def _page(visit: Visit, refusal: str | None) -> Html:
    row, form = visit.experiment, visit.form
    frame = experiment.frame(visit, "settings")
    context = {
        **frame,
        "refusal": refusal,
        "filled": form,
        "saved": visit.query.has("saved") and refusal is None,
        "tag_names": ", ".join(tag.name for tag in frame["tags"]),
        "notes": form.text("metadata") if refusal else inputs.write_metadata(row.metadata_),
        "bounds_fixed": row.spec.type == "grid" or bool(row.spec.linear_constraints),
    }
    return Html("settings.html", context, status=200 if refusal is None else 400)


def _changes(form: Form, row: tables.Experiment) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if form.text("name") != row.name:
        try:
            changes["name"] = check_name(form.text("name"))
        except ValueError as error:
            raise BadInput(f"name: {error}") from error
    for name, field in (
        ("budget" if row.runs_only else "observation_budget", row.spec.observation_budget),
        ("parallel_bandwidth", row.spec.parallel_bandwidth),
    ):
        given = _whole(form, name)
        if given != field:
            changes[name] = given
    metadata = inputs.read_metadata(form, row.metadata_)
    if metadata != row.metadata_:
        changes["metadata"] = metadata
    return {**changes, **_changed_metrics(form, row), **_changed_bounds(form, row)}


def _whole(form: Form, name: str) -> int | None:
    number = form.number(name)
    if number is not None and not (number.is_integer() and abs(number) < 1e15):
        raise BadInput(f"{name}: must be a whole number, not {form.text(name)[:50]!r}")
    return None if number is None else int(number)


def _changed_metrics(form: Form, row: tables.Experiment) -> dict[str, Any]:
    wanted = []
    differs = False
    for metric in row.spec.metrics:
        entry: dict[str, Any] = {"name": metric.name} if metric.name else {}
        field = f"threshold:{metric.key}"
        if field in form.fields:
            entry["threshold"] = form.number(field)
            differs = differs or entry["threshold"] != metric.threshold
        wanted.append(entry)
    return {"metrics": wanted} if differs else {}


def _changed_bounds(form: Form, row: tables.Experiment) -> dict[str, Any]:
    wanted = []
    differs = False
    for parameter in row.spec.parameters:
        entry: dict[str, Any] = {"name": parameter.name}
        low, high = (form.number(f"{end}:{parameter.name}") for end in ("min", "max"))
        bounds = parameter.bounds
        if bounds is not None and low is not None and high is not None:
            entry["bounds"] = {"min": low, "max": high}
            differs = differs or (low, high) != (bounds.min, bounds.max)
        wanted.append(entry)
    return {"parameters": wanted} if differs else {}


def _change_tags(visit: Visit) -> None:
    names = [name.strip() for name in visit.form.text("tags").split(",") if name.strip()]
    every_tag = stored_tags.list_all(visit.session, visit.experiment.client_id)
    now = {tag.name for tag in every_tag if tag.id in visit.experiment.tags}
    if set(names) != now:
        tags.put(visit.session, visit.experiment, names)


def archive(visit: Visit) -> Answer:
    """Put the experiment away."""
    experiments.delete(visit.session, visit.experiment)
    return Redirect(f"/experiment/{visit.experiment.id}/settings")


def restore(visit: Visit) -> Answer:
    """Bring the experiment back."""
    experiments.change(visit.session, visit.experiment, {"state": "active"})
    return Redirect(f"/experiment/{visit.experiment.id}/settings")

"""The table of observations: what trainings reported, searched, sorted, corrected."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from tradeoff.errors import BadInput, NotFound
from tradeoff.service import access, choice, observations
from tradeoff.spec import filters
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.store import filtering, paging, tables
from tradeoff.store import observations as stored
from tradeoff.web import inputs, sheets
from tradeoff.web.pages import experiment
from tradeoff.web.pages.table import Table, metric_column, parameter_columns, parameter_names
from tradeoff.web.routing import Answer, Data, Html, Redirect
from tradeoff.web.visit import NUMBER, Form, Visit

PAGE_ROWS = 50
#: So many observations stand side by side.
LEAST_COMPARED, MOST_COMPARED = 2, 5
#: Read at once for a file.
FILE_ROWS = 2_000


def _read(visit: Visit, query: Form) -> Table:
    """What of the table an address wants."""
    spec = visit.experiment.spec
    available = {
        "outcome": "Outcome",
        **{metric_column(metric): metric.key or "value" for metric in spec.metrics},
        **parameter_columns(spec),
        "notes": "Notes",
        "timestamp": "Reported",
    }
    return Table.read(
        query,
        f"/experiment/{visit.experiment.id}/observations",
        narrowed={"filter": query.text("filter")},
        available=available,
    )


def show(visit: Visit) -> Answer:
    """A page of the table."""
    table = _read(visit, visit.query)
    refusal, page = None, None
    before, after = visit.query.text("before") or None, visit.query.text("after") or None
    try:
        page = _fetch(visit, table, limit=PAGE_ROWS, before=before, after=after)
    except BadInput as error:
        refusal = error.message
    older, newer = (None, None) if page is None else (page.before, page.after)
    forward, back = (newer, older) if table.ascending else (older, newer)
    context = {
        **experiment.frame(visit, "observations"),
        "table": table,
        "page": page,
        "forward": forward,
        "back": back if before or after else None,
        "refusal": refusal,
    }
    return Html("observations.html", context, status=200 if refusal is None else 400)


def _fetch(
    visit: Visit,
    table: Table,
    *,
    limit: int,
    before: str | None = None,
    after: str | None = None,
    count: int | None = None,
) -> paging.Page[tables.Observation]:
    spec = visit.experiment.spec
    query = stored.listing(visit.experiment.id)
    if table.narrowed["filter"]:
        query = query.where(filtering.where(filters.parse(table.narrowed["filter"], spec)))
    elif count is None:
        count = visit.experiment.observation_count
    return paging.fetch(
        visit.session,
        query,
        id_column=tables.Observation.id.expression,
        key=None if table.sort == "id" else stored.sort_key(spec, table.sort),
        limit=limit,
        before=before,
        after=after,
        ascending=table.ascending,
        count=count,
    )


def download(visit: Visit) -> Answer:
    """All that the filter lets through, as CSV, oldest first."""
    table = _read(visit, visit.query)
    table = dataclasses.replace(table, sort="id", ascending=True)
    spec = visit.experiment.spec
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(sheets.plain(_columns(spec)))
    after, more = None, True
    while more:
        page = _fetch(visit, table, limit=FILE_ROWS, after=after, count=0)
        writer.writerows(sheets.plain(_cells(row, spec)) for row in page.rows)
        more, after = len(page.rows) == FILE_ROWS, page.after
        more = more and after is not None
        visit.session.expunge_all()
        visit.find_experiment(write=False)
    name = f"experiment-{visit.experiment.id}-observations.csv"
    return Data(file.getvalue().encode(), "text/csv; charset=utf-8", name)


def _columns(spec: ExperimentSpec) -> Iterator[str]:
    yield from ("id", "created", "suggestion", "failed", "transient")
    for metric in spec.metrics:
        yield from (metric.key or "value", f"{metric.key or 'value'} stddev")
    yield from (name for name in parameter_names(spec))
    yield "metadata"


def _cells(row: tables.Observation, spec: ExperimentSpec) -> Iterator[Any]:
    yield from (row.id, row.created.isoformat(), row.suggestion_id, row.failed, row.transient)
    for metric in spec.metrics:
        entry = row.values.get(metric.key, {})
        yield from (entry.get("value"), entry.get("value_stddev"))
    yield from (row.assignments.get(name) for name in parameter_names(spec))
    yield inputs.write_metadata(row.metadata_).replace("\n", "; ")


def show_new(visit: Visit) -> Answer:
    """A form for one more observation."""
    access.require_classical(visit.experiment)
    return _form(visit, None, None)


def create(visit: Visit) -> Answer:
    """Report an observation."""
    access.require_classical(visit.experiment)
    spec = visit.experiment.spec
    kind = visit.form.text("outcome")
    try:
        report = observations.Report(
            assignments=inputs.read_assignments(visit.form, spec),
            values=() if kind != "success" else inputs.read_evaluations(visit.form, spec),
            failed=kind != "success",
            transient=kind == "transient",
            metadata=inputs.read_metadata(visit.form, None),
        )
        with visit.session.begin_nested():
            observations.report(visit.session, visit.experiment, report)
    except BadInput as error:
        return _form(visit, None, error.message)
    return Redirect(f"/experiment/{visit.experiment.id}/observations")


def show_one(visit: Visit) -> Answer:
    """One observation, to be read and corrected."""
    return _form(visit, _find(visit), None)


def change(visit: Visit) -> Answer:
    """Correct an observation."""
    row, spec, kind = _find(visit), visit.experiment.spec, visit.form.text("outcome")
    try:
        changes: dict[str, Any] = {"failed": kind != "success"}
        changes["values"] = inputs.read_evaluations(visit.form, spec) if kind == "success" else None
        if kind != "success":
            changes["failure_kind"] = "transient" if kind == "transient" else "infeasible"
        if row.suggestion_id is None:
            changes["assignments"] = inputs.read_assignments(visit.form, spec)
        changes["metadata"] = inputs.read_metadata(visit.form, row.metadata_)
        with visit.session.begin_nested():
            observations.change(visit.session, visit.experiment, row, changes)
    except BadInput as error:
        return _form(visit, row, error.message)
    return Redirect(f"/experiment/{visit.experiment.id}/observations")


def _form(visit: Visit, row: tables.Observation | None, refusal: str | None) -> Html:
    """The form, with what was filled in when it is shown again."""
    context = {
        **experiment.frame(visit, "observations"),
        "row": row,
        "refusal": refusal,
        "filled": visit.form,
        "notes": visit.form.text("metadata")
        if refusal
        else inputs.write_metadata(row.metadata_ if row else None),
    }
    return Html("observation.html", context, status=200 if refusal is None else 400)


def act(visit: Visit) -> Answer:
    """Delete the chosen observations, or say of failures that they were transient, or not."""
    wanted = visit.form.text("act")
    if wanted not in ("delete", "transient", "infeasible"):
        raise BadInput("act: must be delete, transient or infeasible")
    for text in visit.form.texts("observation"):
        row = _get(visit, text)
        if wanted == "delete":
            observations.delete(visit.session, visit.experiment, row)
        elif row.failed:
            changes = {"failed": True, "failure_kind": wanted}
            observations.change(visit.session, visit.experiment, row, changes)
    return Redirect(_read(visit, visit.form).address())


def choose(visit: Visit) -> Answer:
    """From the chosen rows of the table to the address that shows them side by side."""
    chosen = [
        ("observation", str(_get(visit, each).id)) for each in visit.form.texts("observation")
    ]
    return Redirect(f"/experiment/{visit.experiment.id}/observations/compare?{urlencode(chosen)}")


def compare(visit: Visit) -> Answer:
    """A few observations side by side; the baseline is `base`, or the first of them."""
    rows = [_get(visit, text) for text in dict.fromkeys(visit.query.texts("observation"))]
    if not LEAST_COMPARED <= len(rows) <= MOST_COMPARED:
        raise BadInput(
            f"observation: choose {LEAST_COMPARED} to {MOST_COMPARED} of them, not {len(rows)}"
        )
    ids = [row.id for row in rows]
    base = _get(visit, visit.query.text("base")).id if visit.query.has("base") else ids[0]
    if base not in ids:
        raise BadInput(f"base: {base} is not among the observations")
    found = choice.weigh(visit.session, visit.experiment, ids, baseline=base)
    context = {
        **experiment.frame(visit, "observations"),
        "found": found,
        "base": base,
        "query": urlencode([("observation", number) for number in ids]),
        "names": parameter_names(visit.experiment.spec),
        "differing": {name for each in found for name in each.differs},
        "notes": _differing_notes([row.metadata_ or {} for row in rows]),
        "only": visit.query.text("only") == "differing",
    }
    return Html("observations_beside.html", context)


def _differing_notes(notes: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """Whether each note differs among the observations that have these."""
    keys = dict.fromkeys(key for each in notes for key in each)
    return {key: len({repr(each.get(key)) for each in notes}) > 1 for key in keys}


def _find(visit: Visit) -> tables.Observation:
    return _get(visit, visit.names["observation"])


def _get(visit: Visit, text: str) -> tables.Observation:
    if not NUMBER.fullmatch(text):
        raise NotFound("There is no such observation.")
    return stored.get(visit.session, visit.experiment.id, int(text))

"""Observations out of a table: what it would bring, and bringing it."""

from __future__ import annotations

from tradeoff.errors import BadInput
from tradeoff.service import access, imports
from tradeoff.service.imports import Plan
from tradeoff.web.pages import experiment
from tradeoff.web.routing import Answer, Html, Redirect
from tradeoff.web.visit import Visit

#: Of a form with a table in it. In a form a comma takes three bytes.
MOST_BYTES = 6 * 1024 * 1024
#: Rows that are shown before they are taken.
SHOWN = 10


def show(visit: Visit) -> Answer:
    """An empty form."""
    access.require_classical(visit.experiment)
    return _page(visit)


def take(visit: Visit) -> Answer:
    """Say what a table would bring; with `act` as `import` bring it."""
    access.require_classical(visit.experiment)
    act = visit.form.text("act") or "preview"
    if act not in ("preview", "import"):
        raise BadInput("act: must be preview or import")
    try:
        plan = imports.read(
            visit.session,
            visit.experiment,
            visit.form.text("table"),
            empty_as_failed=visit.form.has("empty_as_failed"),
        )
        with visit.session.begin_nested() as attempt:
            imports.carry_out(visit.session, visit.experiment, plan)
            if act == "preview":
                attempt.rollback()
    except BadInput as error:
        return _page(visit, refusal=error.message)
    if act == "preview":
        visit.session.refresh(visit.experiment)
        return _page(visit, plan=plan)
    return Redirect(f"/experiment/{visit.experiment.id}/observations")


def _page(visit: Visit, *, plan: Plan | None = None, refusal: str | None = None) -> Html:
    context = {
        **experiment.frame(visit, "observations"),
        "table": visit.form.text("table"),
        "empty_as_failed": visit.form.has("empty_as_failed"),
        "plan": plan,
        "shown": [] if plan is None else list(zip(plan.lines, plan.reports, strict=True))[:SHOWN],
        "refusal": refusal,
        "most_rows": imports.MOST_ROWS,
    }
    return Html("upload.html", context, status=200 if refusal is None else 400)

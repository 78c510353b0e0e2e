"""The table of suggestions, and the queue of configurations that people want tried next."""

from __future__ import annotations

from tradeoff.errors import BadInput, NotFound
from tradeoff.service import access, queued_suggestions, suggestions
from tradeoff.store import paging, tables
from tradeoff.store import queued_suggestions as queue
from tradeoff.store import suggestions as stored
from tradeoff.web import inputs
from tradeoff.web.pages import experiment
from tradeoff.web.pages.table import Table, parameter_columns
from tradeoff.web.routing import Answer, Html, Redirect
from tradeoff.web.visit import NUMBER, Visit

PAGE_ROWS = 50
#: So much of the queue is shown.
QUEUE_ROWS = 100


def show(visit: Visit) -> Answer:
    """A page of the table, and the queue above it."""
    return _page(visit, None)


def _page(visit: Visit, refusal: str | None) -> Html:
    table = _read(visit)
    state = table.narrowed["state"]
    before, after = visit.query.text("before") or None, visit.query.text("after") or None
    page = paging.fetch(
        visit.session,
        stored.listing(visit.experiment.id, state=state or None),
        id_column=tables.Suggestion.id.expression,
        key=None if table.sort == "id" else stored.sort_key(visit.experiment.spec, table.sort),
        limit=PAGE_ROWS,
        before=before,
        after=after,
        ascending=table.ascending,
    )
    older, newer = page.before, page.after
    forward, back = (newer, older) if table.ascending else (older, newer)
    waiting = paging.fetch(
        visit.session,
        queue.listing(visit.experiment.id),
        id_column=tables.QueuedSuggestion.id.expression,
        limit=QUEUE_ROWS,
        ascending=True,
    )
    context = {
        **experiment.frame(visit, "suggestions"),
        "table": table,
        "page": page,
        "forward": forward,
        "back": back if before or after else None,
        "state": state,
        "states": tables.HANDED_OUT,
        "waiting": waiting,
        "refusal": refusal,
        "filled": visit.form,
    }
    return Html("suggestions.html", context, status=200 if refusal is None else 400)


def _read(visit: Visit) -> Table:
    """What of the table the address wants."""
    state = visit.query.text("state")
    available = {
        "state": "State",
        "source": "Made by",
        **parameter_columns(visit.experiment.spec),
        "worker": "Worker",
        "opened": "Handed out",
    }
    return Table.read(
        visit.query,
        f"/experiment/{visit.experiment.id}/suggestions",
        narrowed={"state": state if state in tables.HANDED_OUT else ""},
        available=available,
    )


def put_into_queue(visit: Visit) -> Answer:
    """Let a configuration be served before everything else."""
    access.require_classical(visit.experiment)
    try:
        assignments = inputs.read_assignments(visit.form, visit.experiment.spec)
        queued_suggestions.add(visit.session, visit.experiment, assignments)
    except BadInput as error:
        return _page(visit, error.message)
    return _back(visit)


def take_out_of_queue(visit: Visit) -> Answer:
    """Let a configuration not be served after all."""
    row = queue.get(visit.session, visit.experiment.id, visit.number("queued"))
    queued_suggestions.delete(visit.session, row)
    return _back(visit)


def delete(visit: Visit) -> Answer:
    """Await the chosen suggestions no longer."""
    for text in visit.form.texts("suggestion"):
        if not NUMBER.fullmatch(text):
            raise NotFound("There is no such suggestion.")
        row = stored.get(visit.session, visit.experiment.id, int(text))
        suggestions.delete(visit.session, row)
    return _back(visit)


def _back(visit: Visit) -> Redirect:
    return Redirect(f"/experiment/{visit.experiment.id}/suggestions")

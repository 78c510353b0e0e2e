"""The list of experiments."""

from __future__ import annotations

from tradeoff.service import access
from tradeoff.store import experiments as stored
from tradeoff.store import paging, tables
from tradeoff.web.routing import Answer, Html, Redirect
from tradeoff.web.visit import Visit

PAGE_ROWS = 50


def show(visit: Visit) -> Answer:
    """List the experiments of whoever is signed in."""
    if visit.who.experiment_id is not None:
        return Redirect(f"/experiment/{visit.who.experiment_id}")
    access.require_whole_client(visit.who)
    page = paging.fetch(
        visit.session,
        stored.listing(visit.who.client_id, development=visit.who.development),
        id_column=tables.Experiment.id.expression,
        key=tables.Experiment.updated.expression,
        limit=PAGE_ROWS,
    )
    return Html("experiments.html", {"page": page})

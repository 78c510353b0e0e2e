"""Suggestions: what to try next."""

from __future__ import annotations

from tradeoff.api import paging, render
from tradeoff.api.wire.base import Empty
from tradeoff.api.wire.pagination import Pagination
from tradeoff.api.wire.queries import Fetch
from tradeoff.api.wire.suggestions import (
    Suggestion,
    SuggestionCreate,
    SuggestionList,
    SuggestionsDelete,
    SuggestionUpdate,
)
from tradeoff.errors import BadInput
from tradeoff.service import leases, suggestions
from tradeoff.store import leases as stored_leases
from tradeoff.store import suggestions as stored
from tradeoff.store import tables
from tradeoff.store.database import Session
from tradeoff.store.opening import Asker


def create(
    session: Session,
    experiment: tables.Experiment,
    body: SuggestionCreate,
    accept_stale: bool,
    waited_seconds: float,
) -> Suggestion | None:
    """Ask what to try next.

    The answer is the best configuration that knows of your last observations. When none is ready
    yet the request waits a moment for the model, and then gets an earlier one or a point that
    spreads well; `source` and `observations_seen` tell. With `assignments` you open a suggestion
    of your own.

    A `worker_id` that has not reported on its suggestion yet is given the same one again. With
    `lease_seconds` the suggestion is waited for so long after the last call with the header
    `Worker-Id`; then its configuration may be suggested anew, and a late report is still taken.
    """
    asker = Asker(body.metadata, body.worker_id, body.lease_seconds, waited_seconds)
    if body.assignments is not None:
        row = suggestions.add(session, experiment, body.assignments, task=body.task, asker=asker)
        return render.suggestion(row, experiment.spec)
    if body.task is not None:
        experiment.spec.check_task(body.task)
        raise BadInput("task: only together with assignments; otherwise the suggestion names one")
    served = suggestions.serve(session, experiment, asker=asker, accept_stale=accept_stale)
    return None if served is None else render.suggestion(served, experiment.spec)


def fetch(
    session: Session, experiment: tables.Experiment, suggestion: tables.Suggestion, query: Fetch
) -> Suggestion:
    """Fetch a suggestion."""
    return _render(session, experiment, suggestion)


def fetch_list(
    session: Session, experiment: tables.Experiment, query: SuggestionList
) -> Pagination[Suggestion]:
    """List suggestions.

    Those that were handed out, the newest first.
    """
    select = stored.listing(experiment.id, state=query.state, deleted=query.deleted, ids=query.id)
    page = paging.fetch(session, select, query, id_column=tables.Suggestion.id.expression)
    overdue = stored_leases.list_overdue(session, page.rows)
    return paging.envelope(
        page, lambda row: render.suggestion(row, experiment.spec, lapsed=row.id in overdue)
    )


def update(
    session: Session,
    experiment: tables.Experiment,
    suggestion: tables.Suggestion,
    body: SuggestionUpdate,
) -> Suggestion:
    """Change a suggestion.

    Its metadata, and its lease: renewing one that lapsed opens it again, unless its configuration
    is open elsewhere or observed by now; `state` tells. A closed suggestion has no lease to renew.
    """
    if "metadata" in body.model_fields_set:
        suggestions.change_metadata(session, suggestion, body.metadata)
    if "lease_seconds" in body.model_fields_set:
        leases.change(session, suggestion, body.lease_seconds)
    return _render(session, experiment, suggestion)


def delete(session: Session, experiment: tables.Experiment, suggestion: tables.Suggestion) -> Empty:
    """Delete a suggestion.

    It is no longer waited for.
    """
    suggestions.delete(session, suggestion)
    return Empty()


def delete_all(session: Session, experiment: tables.Experiment, query: SuggestionsDelete) -> Empty:
    """Delete all suggestions.

    With `state=open` only those that wait for an observation.
    """
    suggestions.delete_all(session, experiment, open_only=query.state == "open")
    return Empty()


def _render(session: Session, experiment: tables.Experiment, row: tables.Suggestion) -> Suggestion:
    overdue = stored_leases.list_overdue(session, [row])
    return render.suggestion(row, experiment.spec, lapsed=row.id in overdue)

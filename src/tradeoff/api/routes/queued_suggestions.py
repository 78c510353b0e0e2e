"""Queued suggestions: what you want to be tried next."""

from __future__ import annotations

from tradeoff.api import paging, render
from tradeoff.api.wire.base import Empty
from tradeoff.api.wire.pagination import Pagination
from tradeoff.api.wire.queries import Fetch, Query
from tradeoff.api.wire.queued_suggestions import (
    QueuedSuggestion,
    QueuedSuggestionCreate,
    QueuedSuggestionList,
)
from tradeoff.service import queued_suggestions
from tradeoff.store import queued_suggestions as stored
from tradeoff.store import tables
from tradeoff.store.database import Session


def create(
    session: Session, experiment: tables.Experiment, body: QueuedSuggestionCreate
) -> QueuedSuggestion:
    """Queue a suggestion.

    Whoever asks next is given the one that was queued first; each is served once, and then it is a
    suggestion like any other.
    """
    row = queued_suggestions.add(session, experiment, body.assignments, task=body.task)
    return render.queued_suggestion(row, experiment.spec)


def fetch(
    experiment: tables.Experiment, queued_suggestion: tables.QueuedSuggestion, query: Fetch
) -> QueuedSuggestion:
    """Fetch a queued suggestion.

    One that was served is gone.
    """
    return render.queued_suggestion(queued_suggestion, experiment.spec)


def fetch_list(
    session: Session, experiment: tables.Experiment, query: QueuedSuggestionList
) -> Pagination[QueuedSuggestion]:
    """List queued suggestions.

    The newest come first; they are served from the other end.
    """
    page = paging.fetch(
        session,
        stored.listing(experiment.id),
        query,
        id_column=tables.QueuedSuggestion.id.expression,
    )
    return paging.envelope(page, lambda row: render.queued_suggestion(row, experiment.spec))


def delete(
    session: Session,
    experiment: tables.Experiment,
    queued_suggestion: tables.QueuedSuggestion,
    query: Query,
) -> Empty:
    """Take a suggestion out of the queue.

    It is not served.
    """
    queued_suggestions.delete(session, queued_suggestion)
    return Empty()

"""Checkpoints: what trainings measure on their way, and whether they should go on."""

from __future__ import annotations

from tradeoff.api import paging, render
from tradeoff.api.wire.checkpoints import Checkpoint, CheckpointCreate, CheckpointList
from tradeoff.api.wire.pagination import Pagination
from tradeoff.api.wire.queries import Fetch
from tradeoff.service import checkpoints
from tradeoff.store import checkpoints as stored
from tradeoff.store import tables
from tradeoff.store.database import Session


def create(
    session: Session,
    experiment: tables.Experiment,
    suggestion: tables.Suggestion,
    body: CheckpointCreate,
) -> Checkpoint:
    """Report what a training has measured so far.

    The answer says whether it should stop, and why: only in an experiment with `early_stopping`,
    and when not even a good end would make it one of the best. The same step with equal values
    gets the first answer again. It also renews the lease of the suggestion.
    """
    row = checkpoints.report(
        session,
        experiment,
        suggestion,
        step=body.step,
        values=body.values,
        metadata=body.metadata,
    )
    return render.checkpoint(row)


def fetch(
    session: Session,
    experiment: tables.Experiment,
    suggestion: tables.Suggestion,
    checkpoint: tables.Checkpoint,
    query: Fetch,
) -> Checkpoint:
    """Fetch a checkpoint."""
    return render.checkpoint(checkpoint)


def fetch_list(
    session: Session,
    experiment: tables.Experiment,
    suggestion: tables.Suggestion,
    query: CheckpointList,
) -> Pagination[Checkpoint]:
    """List the checkpoints of a training.

    The newest come first, unless `sort` and `ascending` say otherwise.
    """
    page = paging.fetch(
        session,
        stored.listing(suggestion.id),
        query,
        id_column=tables.Checkpoint.id.expression,
        key=None if query.sort == "id" else tables.Checkpoint.step.expression,
    )
    return paging.envelope(page, render.checkpoint)

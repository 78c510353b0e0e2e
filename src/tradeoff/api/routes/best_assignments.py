"""Best assignments: what was found."""

from __future__ import annotations

from tradeoff.api import paging, render
from tradeoff.api.wire.observations import BestAssignments
from tradeoff.api.wire.pagination import Pagination
from tradeoff.api.wire.queries import Fetch
from tradeoff.service import progress
from tradeoff.store import tables
from tradeoff.store.database import Session


def fetch_list(
    session: Session, experiment: tables.Experiment, query: Fetch
) -> Pagination[BestAssignments]:
    """List the best configurations so far.

    With several optimized metrics this is the efficient frontier: every observation that no
    other beats in all of them. With one it is the best observation. Only observations that meet
    every threshold count.
    """
    rows = progress.best(session, experiment)
    return paging.whole([render.best_assignments(row, experiment.spec) for row in rows])

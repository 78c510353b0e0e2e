"""How the installation does: the queue, the workers, and experiments whose model fails."""

from __future__ import annotations

from tradeoff.api import render
from tradeoff.api.wire.base import Empty
from tradeoff.api.wire.operations import Operations, Retry
from tradeoff.api.wire.queries import Fetch, Query
from tradeoff.service import operations
from tradeoff.service.access import Principal
from tradeoff.store import tables
from tradeoff.store.database import Session


def fetch(
    session: Session, principal: Principal, organization: tables.Organization, query: Fetch
) -> Operations:
    """Tell how the installation does.

    The queue and the workers of all clients, and the experiments of your own client whose model
    fails. Needs the role admin.
    """
    return render.operations(operations.read(session, principal.client_id))


def retry(session: Session, experiment: tables.Experiment, query: Query, body: Retry) -> Empty:
    """Attempt everything again at once, for an experiment whose model failed.

    Otherwise that happens by itself, an hour after the last failure.
    """
    operations.retry(session, experiment)
    return Empty()

"""Who holds which suggestion: what a dead worker held is free again, what a living one holds stays.

A lease lapses when its worker was silent for too long; every call of the worker lets it begin
anew. A late report is taken like any other: a lease decides who is waited for, not who may speak.
"""

from __future__ import annotations

from typing import Any

from tradeoff.store import leases, tables
from tradeoff.store import suggestions as stored
from tradeoff.store.database import Session
from tradeoff.store.opening import Asker


def give_back(
    session: Session, experiment: tables.Experiment, asker: Asker
) -> tables.Suggestion | None:
    """What the worker that asks was given before and did not report on, so that it goes on.

    One that lapsed meanwhile is opened again, unless somebody else has its configuration by now.
    Requests of one worker take turns from here on, so that two at once are given the same.
    """
    if asker.worker_id is None:
        return None
    leases.lock_worker(session, experiment.id, asker.worker_id)
    changes: dict[str, Any] = {}
    if asker.lease_seconds is not None:
        changes["lease_seconds"] = asker.lease_seconds
    if asker.metadata is not None:
        changes["metadata_"] = asker.metadata
    for row in leases.list_held(session, experiment.id, asker.worker_id):
        if leases.update_held(session, row, changes):
            return row
    return None


def renew(session: Session, suggestion: tables.Suggestion) -> None:
    """Let the lease of a suggestion begin anew, since its worker was heard of."""
    if suggestion.lease_seconds is not None and suggestion.state != "closed":
        leases.update_held(session, suggestion, {})


def change(session: Session, suggestion: tables.Suggestion, lease_seconds: float | None) -> None:
    """Give a suggestion a lease of another length from now on; `None`: it never lapses.

    One that lapsed is opened again, unless somebody else has its configuration by now: then, and
    when it is closed, nothing changes.
    """
    if suggestion.state != "closed":
        leases.update_held(session, suggestion, {"lease_seconds": lease_seconds})


def renew_all(session: Session, experiment: tables.Experiment, worker_id: str) -> None:
    """Let everything that a worker holds in an experiment begin its lease anew.

    The newest that lapsed in its hands is opened again as well. It is the last that a transaction
    does to suggestions, and waits for nobody's rows.
    """
    lapsed = leases.renew_all(session, experiment.id, worker_id)
    if lapsed is not None:
        leases.update_held(session, stored.get(session, experiment.id, lapsed), {})

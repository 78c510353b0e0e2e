"""How the installation does, for whoever looks after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tradeoff
from tradeoff.service import ladder
from tradeoff.store import activity, migrations, tables
from tradeoff.store.database import Session
from tradeoff.store.queue import QueueState, Worker, list_workers, read_state


@dataclass(frozen=True, slots=True)
class Trouble:
    """An experiment whose model does less than everything, or whose refreshes fail."""

    experiment: tables.Experiment
    reason: str


@dataclass(frozen=True, slots=True)
class Operations:
    """How the installation does.

    Attributes:
        version: of this program.
        schema: of the database.
        queue: depth and age of the queue.
        workers: those that were seen, the newest sign of life first.
        troubles: experiments of the client whose model fails.
    """

    version: str
    schema: str
    queue: QueueState
    workers: Sequence[Worker]
    troubles: Sequence[Trouble]


def read(session: Session, client_id: int) -> Operations:
    """How the installation does now; experiments are those of one client."""
    troubles = [
        Trouble(row, _reason(session, row)) for row in activity.list_failing(session, client_id)
    ]
    return Operations(
        version=tradeoff.__version__,
        schema=migrations.read_revision(session) or "",
        queue=read_state(session),
        workers=list_workers(session),
        troubles=troubles,
    )


def _reason(session: Session, experiment: tables.Experiment) -> str:
    reason = ladder.REASONS.get(ladder.read_rung(session, experiment))
    if reason is not None:
        return reason
    return f"{experiment.refresh_failures} of the last refreshes failed; it is tried again"

"""How the installation does, for whoever looks after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tradeoff
from tradeoff.errors import BadInput
from tradeoff.service import access, audit, ladder, suggestions
from tradeoff.service.served import Waits, read_waits_of_all
from tradeoff.store import activity, experiments, migrations, queue, tables
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
        troubles: experiments whose model fails.
        waits: how long one waited for suggestions; `None` when nobody asked within the hour.
    """

    version: str
    schema: str
    queue: QueueState
    workers: Sequence[Worker]
    troubles: Sequence[Trouble]
    waits: Waits | None


def read(session: Session, client_id: int | None) -> Operations:
    """How the installation does now; experiments are those of one client, or with `None` all."""
    troubles = [
        Trouble(row, _reason(session, row)) for row in activity.list_failing(session, client_id)
    ]
    return Operations(
        version=tradeoff.__version__,
        schema=migrations.read_revision(session) or "",
        queue=read_state(session),
        workers=list_workers(session),
        troubles=troubles,
        waits=read_waits_of_all(session),
    )


def retry(session: Session, experiment: tables.Experiment) -> None:
    """Attempt everything again for an experiment whose model failed, from now on.

    Raises:
        BadInput: when it is deleted, or no model is asked for it anyway.
    """
    experiments.lock(session, experiment)
    access.require_active(experiment)
    if not suggestions.is_modelled(experiment):
        raise BadInput("This experiment has no model that could be tried again")
    audit.note_experiment(
        session,
        "experiment.retry",
        experiment,
        rung=experiment.rung,
        failures=experiment.refresh_failures,
    )
    ladder.forget_failures(session, experiment)
    queue.defer_refresh(session, experiment.id, client_id=experiment.client_id)


def _reason(session: Session, experiment: tables.Experiment) -> str:
    reason = ladder.REASONS.get(ladder.read_rung(session, experiment))
    if reason is not None:
        return reason
    return f"{experiment.refresh_failures} of the last refreshes failed; it is tried again"

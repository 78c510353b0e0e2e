"""How long what is kept, and taking away what is past its time.

Observations, and whatever else belongs to something that is not deleted, stay for ever.
"""

from __future__ import annotations

import datetime
import functools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from tradeoff.config import Settings
from tradeoff.store import audit, browser_sessions, idempotency, retention
from tradeoff.store.database import Database

logger = logging.getLogger(__name__)

#: Upkeep has other things to do as well; at least one of each kind goes in a round.
TURN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is kept; `None`: for ever.

    Attributes:
        audit: entries of the audit log.
        deleted: experiments and training runs that were deleted, with all that belongs to them.
        failed_jobs: jobs of the queue that failed; those that succeed leave nothing.
        keys: answers to requests, for whoever repeats one.
        ready: suggestions that were computed for an experiment in which nothing happens.
        announced: files whose bytes never came.
    """

    audit: datetime.timedelta | None = None
    deleted: datetime.timedelta | None = None
    failed_jobs: datetime.timedelta = datetime.timedelta(days=14)
    keys: datetime.timedelta = idempotency.KEPT_FOR
    ready: datetime.timedelta = datetime.timedelta(days=30)
    announced: datetime.timedelta = datetime.timedelta(hours=24)


@dataclass(slots=True)
class Place:
    """How far the walks through large tables have come; each begins anew at its end."""

    files: int = 0
    ready: int = 0
    experiments: int = 0
    runs: int = 0


def chosen(settings: Settings) -> Retention:
    """What the operator chose."""
    return Retention(
        audit=_days(settings.keep_audit_days),
        deleted=_days(settings.keep_deleted_days),
        failed_jobs=datetime.timedelta(days=settings.keep_failed_jobs_days),
        keys=datetime.timedelta(hours=settings.keep_retries_hours),
        ready=datetime.timedelta(days=settings.keep_ready_days),
        announced=datetime.timedelta(hours=settings.keep_announced_files_hours),
    )


def _days(number: int | None) -> datetime.timedelta | None:
    return None if number is None else datetime.timedelta(days=number)


def clean(database: Database, kept: Retention, place: Place) -> None:
    """Take away what is past its time: of small tables all, of large ones a page behind `place`."""
    with database.transaction() as session:
        idempotency.purge(session, kept_for=kept.keys)
        browser_sessions.purge(session)
        retention.forget_failed_jobs(session, age=kept.failed_jobs)
    forgotten = audit.FORGET_BATCH
    while kept.audit is not None and forgotten == audit.FORGET_BATCH:
        with database.transaction() as session:
            forgotten = audit.forget(session, age=kept.audit)
    with database.transaction() as session:
        files, place.files = retention.walk(
            session, retention.ANNOUNCED_FILES, age=kept.announced, after=place.files
        )
        if files:
            retention.forget_announced(session, files)
        idle, place.ready = retention.walk(
            session, retention.IDLE_EXPERIMENTS, age=kept.ready, after=place.ready
        )
        retention.forget_ready(session, idle, age=kept.ready)
    if kept.deleted is not None:
        _erase_deleted(database, kept.deleted, place)


def _erase_deleted(database: Database, age: datetime.timedelta, place: Place) -> None:
    deadline = time.monotonic() + TURN_SECONDS
    erase = functools.partial(_erase, database, age=age, deadline=deadline)
    place.runs = erase("run", retention.DELETED_RUNS, retention.erase_run, after=place.runs)
    place.experiments = erase(
        "experiment",
        retention.DELETED_EXPERIMENTS,
        retention.erase_experiment,
        after=place.experiments,
    )


def _erase(
    database: Database,
    what: str,
    table: tuple[str, str],
    erase: Callable[..., bool],
    *,
    age: datetime.timedelta,
    after: int,
    deadline: float,
) -> int:
    """Erase what a page has, at least one, and give the place behind which to go on.

    Each in a transaction of its own, which holds nobody up who is at work on another one.
    """
    with database.transaction() as session:
        found, behind = retention.walk(session, table, age=age, after=after)
    for number, row_id in enumerate(found):
        if number and time.monotonic() >= deadline:
            return row_id - 1
        with database.transaction() as session:
            if erase(session, row_id, age=age):
                logger.info("a deleted %s was erased", what, extra={what: row_id})
    return behind

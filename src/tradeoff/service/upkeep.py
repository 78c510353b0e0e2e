"""What must be done now and then, by whoever is alive.

Every API process and every worker runs it, and Postgres' advisory locks let one of them work at
a time. It is no queued job: a queue that stalls must be mended from outside.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable

from tradeoff import measures
from tradeoff.errors import TradeoffError
from tradeoff.service import erasure, quotas, retention
from tradeoff.service.retention import Place, Retention
from tradeoff.store import leases, queue
from tradeoff.store.database import Database
from tradeoff.store.quotas import note_full

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 10.0
KEPT_BY_DEFAULT = Retention()


def do_once(
    database: Database, *, kept: Retention = KEPT_BY_DEFAULT, place: Place | None = None
) -> None:
    """Put dead workers' jobs back, note what ran out or is full, take away what is past its time.

    Args:
        database: to work on.
        kept: how long what is kept.
        place: where the last round came to; it goes on with this one.
    """
    look(database)
    with database.transaction() as session:
        swept = queue.sweep(session)
    measures.JOBS_SWEPT.inc(swept)
    with database.transaction() as session:
        note_full(session, quotas.defaults_of(session).observations)
    lapsed = leases.LAPSE_BATCH
    while lapsed == leases.LAPSE_BATCH:
        with database.transaction() as session:
            lapsed = leases.lapse(session, limit=leases.LAPSE_BATCH)
    erasure.go_on(database)
    retention.clean(database, kept, place or Place())


def look(database: Database) -> None:
    """Tell Prometheus how the queue does.

    Raises:
        Unavailable: when the database does not answer; Prometheus is told that, too.
    """
    try:
        with database.transaction() as session:
            state = queue.read_state(session)
    except TradeoffError:
        measures.note_database_away()
        raise
    measures.note_queue(state.waiting, state.running, state.oldest_seconds, state.workers)


class Upkeep:
    """A thread that does it every few seconds until it is stopped."""

    def __init__(self, database: Database, kept: Retention) -> None:
        self._database = database
        self._kept = kept
        self._place = Place()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, after what is being done."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        self._try(look)
        while not self._stopping.wait(INTERVAL_SECONDS):
            self._try(functools.partial(do_once, kept=self._kept, place=self._place))

    def _try(self, act: Callable[[Database], object]) -> None:
        try:
            act(self._database)
        except TradeoffError as error:
            logger.warning("upkeep has to wait", extra={"reason": error.message})
        except Exception:  # the door of this thread: it must outlive whatever happens
            logger.exception("upkeep failed")

"""Waiting for Postgres to say that something is ready: one connection a process.

A thread listens and wakes those who wait; they hold no thread and no connection themselves. A
notification can be missed while the connection is being made anew, so every new connection wakes
everybody: who waits must look again, not trust the wake-up.
"""

from __future__ import annotations

import asyncio
import logging
import selectors
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import psycopg2.extensions

from tradeoff.store.buffer import READY_CHANNEL
from tradeoff.store.database import CONNECT_TIMEOUT_SECONDS, name_sessions

logger = logging.getLogger(__name__)

#: How long a stop may go unnoticed.
POLL_SECONDS = 0.5
RECONNECT_SECONDS = 0.5


class Watch:
    """One waiter's bell."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake the waiter; may be called from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:
            # The waiter's loop is closed: nobody waits any more.
            logger.debug("a waiter is gone")

    async def wait(self, timeout_seconds: float) -> bool:
        """Wait to be woken; `False` when the time is up. Ready for the next wait afterwards."""
        try:
            await asyncio.wait_for(self._event.wait(), timeout_seconds)
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Listener:
    """Listens for ready suggestions on behalf of a whole process.

    Attributes:
        url: libpq's form of the database's address.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._watches: defaultdict[str, set[Watch]] = defaultdict(set)
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to listen, in a thread that ends with `stop`; the database may be away."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    @contextmanager
    def watch(self, experiment_id: int) -> Iterator[Watch]:
        """A bell that rings when an experiment's buffer has something new.

        Enter it before looking into the buffer: what comes after the look then rings.
        """
        watch = Watch(asyncio.get_running_loop())
        key = str(experiment_id)
        with self._guard:
            self._watches[key].add(watch)
        try:
            yield watch
        finally:
            with self._guard:
                self._watches[key].discard(watch)
                if not self._watches[key]:
                    del self._watches[key]

    def wake_all(self) -> None:
        """Wake everybody who waits; they must look for themselves what there is."""
        with self._guard:
            keys = list(self._watches)
        for key in keys:
            self._ring(key)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except (psycopg2.Error, OSError) as error:
                logger.warning(
                    "not listening to the database", extra={"reason": type(error).__name__}
                )
                self._stopping.wait(RECONNECT_SECONDS)

    def _listen(self) -> None:
        connection = psycopg2.connect(
            self.url,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            application_name=name_sessions("tradeoff-listener"),
        )
        try:
            connection.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_AUTOCOMMIT)
            with connection.cursor() as cursor:
                cursor.execute(f"listen {READY_CHANNEL}")
            self.wake_all()
            # Not select.select, which fails on the high numbers that a busy process's files have.
            with selectors.DefaultSelector() as selector:
                selector.register(connection, selectors.EVENT_READ)
                while not self._stopping.is_set():
                    if selector.select(POLL_SECONDS):
                        connection.poll()
                    while connection.notifies:
                        self._ring(connection.notifies.pop(0).payload)
        finally:
            connection.close()

    def _ring(self, key: str) -> None:
        with self._guard:
            watches = list(self._watches.get(key, ()))
        for watch in watches:
            watch.ring()

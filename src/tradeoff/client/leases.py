"""Keeping a lease alive while a training runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from tradeoff.client.errors import ApiError, TradeoffClientError

logger = logging.getLogger(__name__)

#: A renewal that failed is tried again after so long, since the lease still runs.
RETRY_SECONDS = 10.0


class Heartbeat:
    """Renews a lease every third of it, in a thread that never holds the program back.

    Args:
        renew: does it, and gives up after the seconds that it is given.
        lease_seconds: how long the lease lasts without it.
        what: whose lease it is, for the log.
    """

    def __init__(self, renew: Callable[[float], None], lease_seconds: float, what: str) -> None:
        self._renew = renew
        self._every_seconds = lease_seconds / 3
        self._retry_seconds = min(self._every_seconds, RETRY_SECONDS)
        self._what = what
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease of {what}", daemon=True)

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """Renew no more; a renewal that is on its way is not waited for."""
        self._over.set()

    def _beat(self) -> None:
        pause = self._every_seconds
        while not self._over.wait(pause):
            try:
                self._renew(self._retry_seconds)
                pause = self._every_seconds
            except TradeoffClientError as error:
                if self._over.is_set():
                    return
                logger.warning("the lease of %s is not renewed: %s", self._what, error)
                if isinstance(error, ApiError) and error.status_code in (400, 401, 403, 404):
                    return
                pause = self._retry_seconds

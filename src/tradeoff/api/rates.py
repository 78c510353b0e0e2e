"""How often one may ask: a bucket for each token and each client, in this process.

A bucket holds twice what comes in a second, so that a crowd at one moment is no abuse. Nothing is
asked of the database: whose a token is, and what its client may, is learnt from the request before.
Processes do not know of each other; see docs/hosting.md.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from tradeoff.api.buckets import Buckets
from tradeoff.errors import TooManyRequests
from tradeoff.service.access import Principal, hash_secret

#: A bucket holds so many seconds' worth.
BURST_SECONDS = 2.0
#: Tokens and clients that are known; who has not asked for longest is forgotten.
MOST_KNOWN = 20_000


class Rates:
    """Who may ask now, in one API process.

    Args:
        per_token: requests a second of one token; `None`: any number.
        per_client: of all tokens of a client together, where it has no rate of its own.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        per_token: float | None,
        per_client: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_token = per_token
        self._per_client = per_client
        self._clock = clock
        self._buckets = Buckets(2 * MOST_KNOWN)
        #: Client and its rate, by the hash of a token.
        self._clients: OrderedDict[bytes, tuple[int, float | None]] = OrderedDict()
        # Requests come in the loop, and what is learnt of them in the threads.
        self._lock = threading.Lock()

    @property
    def are_set(self) -> bool:
        """Whether anybody's rate is known, so that there is something to count."""
        return bool(self._clients)

    def admit(self, secret: str | None) -> None:
        """Count a request of a token.

        A token that this process has not met yet is let in: it is about to be looked up.

        Raises:
            TooManyRequests: when it comes too soon.
        """
        if secret is None:
            return
        digest = hash_secret(secret)
        with self._lock:
            known = self._clients.get(digest)
            if known is None:
                return
            client_id, rate = known
            limits: list[tuple[str, Hashable, float | None]] = [
                ("token", digest, self._per_token),
                ("client", client_id, rate),
            ]
            self._take(limits)

    def learn(self, secret: str, principal: Principal) -> None:
        """Keep whose a token is, and what its client may."""
        own = principal.requests_per_second
        rate = self._per_client if own is None else own
        if self._per_token is None and rate is None and not self.are_set:
            return
        digest = hash_secret(secret)
        with self._lock:
            if self._per_token is None and rate is None:
                self._clients.pop(digest, None)
                return
            self._clients[digest] = (principal.client_id, rate)
            self._clients.move_to_end(digest)
            if len(self._clients) > MOST_KNOWN:
                self._clients.popitem(last=False)

    def _take(self, limits: list[tuple[str, Hashable, float | None]]) -> None:
        """Take one out of each bucket, or out of none."""
        now = self._clock()
        taken = []
        for whose, key, rate in limits:
            if rate is None:
                continue
            room = max(1.0, rate * BURST_SECONDS)
            bucket = self._buckets.of(key, room, now)
            if (seconds := bucket.wait(rate, room, now)) > 0:
                raise TooManyRequests(
                    f"This {whose} may ask {rate:g} times a second; wait a moment.",
                    retry_after_seconds=math.ceil(seconds),
                )
            taken.append(bucket)
        for bucket in taken:
            bucket.take()

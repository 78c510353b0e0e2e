"""How often one may be wrong: tokens that do not work, from an address, and ids, with a token.

A token has 256 bits and a foreign id is answered as one that never was, so nobody gets anywhere by
guessing; but each guess is a request to the database. Who is right is never turned away, whatever
others at the same address do. Processes do not know of each other.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable

from tradeoff.api.buckets import Buckets
from tradeoff.errors import NotAllowed, NotFound, TooManyRequests, TradeoffError
from tradeoff.service.access import hash_secret

TOKENS_SECONDS = 60.0
IDS_SECONDS = 600.0
#: Addresses and tokens that are known; who has not been wrong for longest is forgotten.
MOST_KNOWN = 20_000


class Guesses:
    """Who was wrong how often, in one API process; used by its loop alone.

    Args:
        tokens: that do not work, in a minute from one address.
        ids: of nothing that the token may see, in ten minutes.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        tokens: int,
        ids: int,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tokens, self._ids = tokens, ids
        self._clock = clock
        self._buckets = Buckets(MOST_KNOWN)

    def count(self, error: TradeoffError, *, address: str | None, secret: str | None) -> None:
        """Count what a request was refused for.

        Raises:
            TooManyRequests: instead, when that was the case too often.
        """
        if isinstance(error, NotAllowed):
            if error.token_status in ("revoked", "expired"):
                self._count("tokens that do not work", address, self._tokens, TOKENS_SECONDS)
        elif isinstance(error, NotFound) and secret is not None:
            self._count("ids of nothing", hash_secret(secret), self._ids, IDS_SECONDS)

    def _count(self, what: str, whose: Hashable, most: int, seconds: float) -> None:
        now = self._clock()
        bucket = self._buckets.of((what, whose), most, now)
        if (wait := bucket.wait(most / seconds, most, now)) > 0:
            raise TooManyRequests(
                f"Too many {what}: at most {most} in {seconds:.0f} seconds.",
                retry_after_seconds=math.ceil(wait),
            )
        bucket.take()

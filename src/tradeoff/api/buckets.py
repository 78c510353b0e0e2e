"""Token buckets, one for each of many: what may still be had fills up with time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """What is left of what may be had, as of a moment.

    Attributes:
        left: of it.
        since: when that was, in seconds.
    """

    left: float
    since: float

    def wait(self, rate: float, room: float, now: float) -> float:
        """Seconds until there is one to be taken; 0 when there is.

        Args:
            rate: that come in a second.
            room: for so many.
            now: in seconds.
        """
        self.left = min(room, self.left + (now - self.since) * rate)
        self.since = now
        return 0.0 if self.left >= 1.0 else (1.0 - self.left) / rate

    def take(self) -> None:
        """Take one."""
        self.left -= 1.0


class Buckets:
    """A bucket for everybody, full at first; whose has not been asked for longest is forgotten.

    Args:
        most: that are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[Hashable, Bucket] = OrderedDict()

    def of(self, whose: Hashable, room: float, now: float) -> Bucket:
        """Somebody's bucket."""
        bucket = self._known.get(whose)
        if bucket is None:
            bucket = self._known[whose] = Bucket(room, now)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        self._known.move_to_end(whose)
        return bucket

"""Whether the GPU is worth another try."""

from __future__ import annotations

import time
from collections.abc import Callable

#: How long a GPU that failed is left alone.
REST_SECONDS = 600.0
RESTING = "the GPU failed a short while ago: the CPU computes"


class Gpu:
    """The device that an operator asked for, and the CPU while it rests after a failure.

    Args:
        wanted: `auto`, `cpu`, `cuda` or `cuda:N`.
        clock: seconds that only grow.
    """

    def __init__(self, wanted: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._wanted = wanted
        self._clock = clock
        self._rests_until: float | None = None

    @property
    def device(self) -> str:
        """What to compute on now."""
        return "cpu" if self.rests else self._wanted

    @property
    def rests(self) -> bool:
        """Whether it failed within the last minutes."""
        return self._rests_until is not None and self._clock() < self._rests_until

    def note_failure(self) -> None:
        """Leave it alone for a while."""
        self._rests_until = self._clock() + REST_SECONDS

"""Waiting for what happens beside a test."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

#: What is merely slow must not fail a test: on a busy machine a process takes minutes to start.
PATIENCE_SECONDS = 240.0


def wait_for(
    look: Callable[[], Found | None],
    complaint: str = "it did not happen in time",
    *,
    seconds: float = PATIENCE_SECONDS,
) -> Found:
    """What `look` gives as soon as it gives anything; fails with the complaint if it never does."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, complaint
        time.sleep(0.02)
    return found

"""Many at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
THREADS = 16


def at_once(count: int, act: Callable[[int], T]) -> list[T]:
    """Run `act` in `count` threads that begin together."""
    barrier = threading.Barrier(count)

    def run(index: int) -> T:
        barrier.wait()
        return act(index)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))

"""Being asked to end, by SIGTERM.

It comes as an exception, so that what a command has started is ended with it. Packages that catch
everything while they are imported swallow it, and the process would go on as if nobody had asked;
so whoever has imported much looks once more. In an event loop it must not come as one at all.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: 128 + 15, as shells tell it.
EXIT_CODE = 143

_asked = threading.Event()


def listen() -> None:
    """Let SIGTERM end this process by an exception."""
    _asked.clear()
    signal.signal(signal.SIGTERM, _end)


def check() -> None:
    """End now, if that was asked for and something caught the exception.

    Raises:
        SystemExit: then.
    """
    if _asked.is_set():
        sys.exit(EXIT_CODE)


@contextmanager
def announce(asked: asyncio.Event) -> Iterator[None]:
    """While this lasts SIGTERM and Ctrl-C set `asked`; call it in the event loop.

    An exception would come up in whichever task is at work. A pool of connections that loses a task
    of its own in this way connects again for ever, and the loop never ends.

    Raises:
        SystemExit: if it was asked for before, and something caught the exception.
    """
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            loop.add_signal_handler(number, asked.set)
        check()
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> None:
    _asked.set()
    sys.exit(EXIT_CODE)

"""Being asked to end, by SIGTERM.

It comes as an exception, so that what a command has started is ended with it. Packages that catch
everything while they are imported swallow it, and the process would go on as if nobody had asked;
so whoever has imported much looks once more.
"""

from __future__ import annotations

import signal
import sys
import threading
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


def _end(number: int, frame: FrameType | None) -> None:
    _asked.set()
    sys.exit(EXIT_CODE)

"""Being asked to end, while something catches everything."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from tradeoff import ending


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    ending.listen()
    yield
    signal.signal(signal.SIGTERM, before)


def test_who_was_not_asked_goes_on() -> None:
    ending.check()


def test_an_end_that_an_import_swallowed_comes_all_the_same() -> None:
    with contextlib.suppress(BaseException):
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit) as caught:
        ending.check()

    assert caught.value.code == 143

"""The command line in this process: what a shell would see, without a program to load."""

from __future__ import annotations

import io
import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tradeoff.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a shell would see."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What a program reads."""
        assert self.code == 0, self.err
        return json.loads(self.out)


Command = Callable[..., Outcome]


@pytest.fixture
def command(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Command]:
    """Runs `tradeoff` with these words, on `database_url` or another one."""
    logger, signalled = logging.getLogger(), signal.getsignal(signal.SIGTERM)
    handlers, level = logger.handlers[:], logger.level
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    # Nobody answers a question.
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    def run(*words: object, url: str = database_url) -> Outcome:
        monkeypatch.setenv("TRADEOFF_DATABASE_URL", url)
        monkeypatch.setenv("TRADEOFF_DATA_DIR", str(tmp_path / "data"))
        monkeypatch.setattr(sys, "argv", ["tradeoff", *map(str, words)])
        code: object = 0
        try:
            main.main()
        except SystemExit as end:
            code = end.code or 0
        assert isinstance(code, int)
        return Outcome(code, *capsys.readouterr())

    yield run
    signal.signal(signal.SIGTERM, signalled)
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logging.captureWarnings(False)

"""`tradeoff demo` as a user meets it: run to its end, and stopped with Ctrl-C."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tradeoff.store import embedded

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="needs tradeoff[demo]"),
]


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"
    embedded.remove(tmp_path / "data" / "demo")


@contextlib.contextmanager
def running_demo(
    data_dir: Path, *arguments: str, output: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The demo in a session of its own; whatever the test meets, it is ended."""
    command = [sys.executable, "-m", "tradeoff", "demo", "--data-dir", str(data_dir), *arguments]
    with output.open("wb") as file:
        demo = subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "COLUMNS": "120"},
            start_new_session=True,
        )
    try:
        yield demo
    finally:
        # What a demo that ended by itself has left running is for the test to find.
        if demo.poll() is None:
            os.killpg(demo.pid, signal.SIGKILL)
            demo.wait()


def left_running(data_dir: Path) -> list[str]:
    """What still runs that was started for a data directory."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if environment.get("TRADEOFF_DATA_DIR", "").startswith(str(data_dir)):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    if embedded.find_running(data_dir / "demo"):
        found.append("postgres")
    return found


def test_demo_reaches_its_end(data_dir: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"

    with running_demo(data_dir, "--observations", "8", "--seed", "1", output=output) as demo:
        code = demo.wait()

    told = output.read_text()
    assert code == 0, told
    sources = re.findall(r"^  Tradeoff +\d+/8  (\w+)", told, re.MULTILINE)
    assert len(sources) == 8
    assert sources[:5] == 5 * ["space_filling"]
    assert set(sources[5:]) <= {"space_filling", "model"}
    assert len(re.findall(r"^  random search +\d+/8  random", told, re.MULTILINE)) == 8
    for part in ("Efficient frontier", "Hypervolume", "Failures", "Look further"):
        assert part in told
    assert len(re.findall(r"0\.\d{3}   after 8 trials", told)) == 2
    assert "Traceback" not in told
    assert "Warning" not in told
    assert left_running(data_dir) == []


@pytest.mark.long  # it ends as `tradeoff up` does, which CI tries
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_stopped_midway_leaves_nothing_running(
    data_dir: Path, tmp_path: Path, number: signal.Signals
) -> None:
    output = tmp_path / "output"
    with running_demo(data_dir, "--no-random", output=output) as demo:
        # Imports and the first training take a minute or more on a busy machine.
        while "  2/40" not in output.read_text():
            assert demo.poll() is None, output.read_text()
            time.sleep(0.1)

        demo.send_signal(number)
        code = demo.wait()

    told = output.read_text()
    assert code == 130, told
    assert "Efficient frontier" in told, "what was found so far is not lost"
    assert "Stopped; nothing is left running." in told
    assert "Traceback" not in told
    assert left_running(data_dir) == []

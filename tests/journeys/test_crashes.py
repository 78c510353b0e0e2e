"""Kill -9 of the API, a worker and Postgres below `tradeoff up`: nothing lost, nothing doubled.

Here `up` itself mends what was killed; `tests/faults` has the faults of parts that stand alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.builders import METRICS, PARAMETERS
from tests.faults import load
from tests.faults.processes import free_port
from tradeoff import Client
from tradeoff.store import embedded

LOOPS = 2
OBSERVATIONS_EACH = 30


@contextmanager
def running_stack(data_dir: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
    """`tradeoff up` as a user starts it; gives the process, its URL and its token."""
    port = free_port()
    command = [sys.executable, "-m", "tradeoff", "up", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--data-dir", str(data_dir)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url, process)
        yield process, url, (data_dir / "token").read_text().strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=240)
        embedded.remove(data_dir)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, "tradeoff up ended"
        try:
            if httpx.get(f"{url}/health/ready", timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    pytest.fail("tradeoff up did not become ready")


def find_child(up: subprocess.Popen[bytes], word: str) -> psutil.Process | None:
    """The process of `up` that runs `tradeoff WORD`."""
    for child in psutil.Process(up.pid).children(recursive=True):
        try:
            if word in child.cmdline():
                return child
        except psutil.Error:
            continue
    return None


def find_postgres(data_dir: Path) -> psutil.Process:
    """The server that works in the data directory."""
    folder = (data_dir / "postgres").resolve() / "data"
    return psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))


@pytest.mark.long  # the soak of `tests/faults` kills the same parts, in CI
@pytest.mark.timeout(900)
def test_kills_in_the_middle_of_loops_lose_and_double_nothing(tmp_path: Path) -> None:
    with running_stack(tmp_path) as (up, url, token), Client(token, api_url=url) as client:
        experiment = client.experiments.create(
            name="crashes",
            parameters=PARAMETERS,
            metrics=METRICS,
            observation_budget=LOOPS * OBSERVATIONS_EACH,
            parallel_bandwidth=LOOPS,
        )
        loops = [
            load.Loop(url, token, experiment.id, observations=OBSERVATIONS_EACH, think_seconds=0.05)
            for _ in range(LOOPS)
        ]
        for loop in loops:
            loop.start()

        kills = Counter[str]()
        for victim in ("api", "worker", "postgres", "api", "worker", "postgres"):
            time.sleep(3)
            process = find_postgres(tmp_path) if victim == "postgres" else find_child(up, victim)
            if process is not None and any(loop.is_alive() for loop in loops):
                process.kill()
                kills[victim] += 1
        load.run_for(loops)

        assert set(kills) == {"api", "worker", "postgres"}, f"only saw {kills}"
        database = embedded.find_running(tmp_path)
        assert database is not None
        load.audit(loops, database.url).assert_clean()

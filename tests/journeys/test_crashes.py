"""Kill -9 of the API, a worker and Postgres in the middle of loops: nothing lost, nothing doubled.

Each observation carries a mark of its own. What the clients were told is the ledger; what is
stored afterwards is compared with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.builders import METRICS, PARAMETERS, measure
from tradeoff import Client
from tradeoff.client.resources import ExperimentResource
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
        process.wait(timeout=60)
        embedded.remove(data_dir)


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(url: str, process: subprocess.Popen[bytes], seconds: float = 90) -> None:
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


class Loop(threading.Thread):
    """One training script: suggest, train, observe; keeps a ledger of what it was told."""

    def __init__(self, url: str, token: str, experiment_id: str) -> None:
        super().__init__(daemon=True)
        self.url, self.token, self.experiment_id = url, token, experiment_id
        self.acknowledged: dict[str, str] = {}
        self.suggested: list[str] = []
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            with Client(self.token, api_url=self.url) as client:
                self.work(client.experiments(self.experiment_id))
        except Exception as error:
            self.error = error

    def work(self, experiment: ExperimentResource) -> None:
        while len(self.acknowledged) < OBSERVATIONS_EACH:
            suggestion = experiment.suggestions().create()
            self.suggested.append(suggestion.id)
            mark = uuid.uuid4().hex
            values = measure(suggestion.assignments)
            observation = experiment.observations().create(
                suggestion=suggestion.id,
                values=[{"name": name, "value": value} for name, value in values.items()],
                metadata={"mark": mark},
            )
            self.acknowledged[mark] = observation.id
            time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_kills_in_the_middle_of_loops_lose_and_double_nothing(tmp_path: Path) -> None:
    with running_stack(tmp_path) as (up, url, token), Client(token, api_url=url) as client:
        experiment = client.experiments.create(
            name="crashes",
            parameters=PARAMETERS,
            metrics=METRICS,
            observation_budget=LOOPS * OBSERVATIONS_EACH,
            parallel_bandwidth=LOOPS,
        )
        loops = [Loop(url, token, experiment.id) for _ in range(LOOPS)]
        for loop in loops:
            loop.start()

        kills = Counter[str]()
        for victim in ("api", "worker", "postgres", "api", "worker", "postgres"):
            time.sleep(3)
            process = find_postgres(tmp_path) if victim == "postgres" else find_child(up, victim)
            if process is not None and any(loop.is_alive() for loop in loops):
                process.kill()
                kills[victim] += 1
        for loop in loops:
            loop.join(timeout=240)

        assert [loop.error for loop in loops] == [None] * LOOPS
        assert not any(loop.is_alive() for loop in loops)
        assert set(kills) == {"api", "worker", "postgres"}, f"only saw {kills}"
        stored = list(experiment.observations().fetch().iterate_pages())

    ledger = {mark: told for loop in loops for mark, told in loop.acknowledged.items()}
    found = {(row.metadata or {})["mark"]: row.id for row in stored}
    assert found == ledger
    assert len(stored) == len(found) == LOOPS * OBSERVATIONS_EACH
    handed_out = [suggestion for loop in loops for suggestion in loop.suggested]
    assert len(set(handed_out)) == len(handed_out)

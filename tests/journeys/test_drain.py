"""An API process that is told to end: what it has in hand is finished, and nobody waits in vain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.builders import make_experiment, observe
from tests.conftest import Account
from tests.faults.processes import free_port
from tradeoff.store.database import Database

#: How long an asker would wait for a model that never comes: longer than the process waits for its
#: requests before it cuts them off.
WAIT_SECONDS = 60


@pytest.fixture
def api(database_url: str, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A process as an operator starts it, and where it answers."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "tradeoff", "api", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            "TRADEOFF_DATABASE_URL": database_url,
            "TRADEOFF_DATA_DIR": str(tmp_path),
            "TRADEOFF_SUGGESTION_WAIT_SECONDS": str(WAIT_SECONDS),
        },
    )
    try:
        wait_until(lambda: answers(f"{url}/health/live"))
        yield process, url
    finally:
        process.kill()
        process.wait(timeout=30)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.TransportError:
        return False


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it does not come to pass"
        time.sleep(0.05)


def test_who_waits_when_the_process_is_told_to_end_is_answered_at_once(
    api: tuple[subprocess.Popen[bytes], str], database: Database, account: Account
) -> None:
    process, url = api
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=20)
    path = f"{url}/v1/experiments/{experiment_id}/suggestions"

    def ask(_: int) -> httpx.Response:
        return httpx.post(path, auth=(account.token, ""), json={}, timeout=2 * WAIT_SECONDS)

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, number) for number in range(8)]
        wait_until(lambda: "tradeoff_requests_active 9.0" in httpx.get(f"{url}/metrics").text)
        process.send_signal(signal.SIGTERM)
        given = [each.result() for each in asked]

    assert {answer.status_code for answer in given} == {200}
    assert {answer.json()["source"] for answer in given} == {"space_filling"}
    assert len({answer.json()["id"] for answer in given}) == 8
    assert process.wait(timeout=30) == 0

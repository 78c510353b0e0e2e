"""API processes as they come and go: nobody waits in vain, and nobody is turned away."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from tests.builders import make_experiment, observe
from tests.conftest import Account
from tests.faults.processes import free_port
from tests.waiting import wait_for
from tradeoff.store.database import Database

#: How long an asker would wait for a model that never comes: longer than the process waits for its
#: requests before it cuts them off.
WAIT_SECONDS = 60


@contextmanager
def api(
    database_url: str, folder: Path, port: int, *options: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A process as an operator starts it, listening."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tradeoff", "api", "--port", str(port), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            "TRADEOFF_DATABASE_URL": database_url,
            "TRADEOFF_DATA_DIR": str(folder),
            "TRADEOFF_SUGGESTION_WAIT_SECONDS": str(WAIT_SECONDS),
        },
    )
    try:
        wait_for(lambda: listens(process, port))
        yield process
    finally:
        process.kill()
        process.wait(timeout=240)


def listens(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.poll() is None, "the process ended"
    return any(
        connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        for connection in psutil.Process(process.pid).net_connections()
    )


def test_who_waits_when_the_process_is_told_to_end_is_answered_at_once(
    database: Database, account: Account, tmp_path: Path
) -> None:
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=20)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    path = f"{url}/v1/experiments/{experiment_id}/suggestions"

    def ask(_: int) -> httpx.Response:
        return httpx.post(path, auth=(account.token, ""), json={}, timeout=2 * WAIT_SECONDS)

    with api(database.url, tmp_path, port) as process, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, number) for number in range(8)]
        wait_for(lambda: "tradeoff_requests_active 9.0" in httpx.get(f"{url}/metrics").text)
        process.send_signal(signal.SIGTERM)
        given = [each.result() for each in asked]
        ended = process.wait(timeout=240)

    assert {answer.status_code for answer in given} == {200}
    assert {answer.json()["source"] for answer in given} == {"space_filling"}
    assert len({answer.json()["id"] for answer in given}) == 8
    assert ended == 0


def test_processes_share_a_port_and_one_that_dies_takes_it_from_nobody(
    database: Database, tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/health/live"
    with (
        api(database.url, tmp_path, port, "--share-port") as one,
        api(database.url, tmp_path, port, "--share-port"),
    ):
        together = [httpx.get(url).status_code for _ in range(20)]
        one.kill()
        one.wait(timeout=240)
        alone = [httpx.get(url).status_code for _ in range(20)]

    assert set(together) == set(alone) == {200}


def test_processes_that_share_a_port_show_their_measures_on_ports_of_their_own(
    database: Database, tmp_path: Path
) -> None:
    port, *own = free_port(), free_port(), free_port()
    answered = re.compile(r'^tradeoff_requests_total\{.*path="/docs",status="200"\} (\S+)$', re.M)

    def count() -> list[float]:
        shown = [httpx.get(f"http://127.0.0.1:{each}/metrics").text for each in own]
        return [sum(map(float, answered.findall(text))) for text in shown]

    with (
        api(database.url, tmp_path, port, "--share-port", "--metrics-port", str(own[0])),
        api(database.url, tmp_path, port, "--share-port", "--metrics-port", str(own[1])),
    ):
        for _ in range(20):
            assert httpx.get(f"http://127.0.0.1:{port}/docs").status_code == 200
        wait_for(lambda: sum(count()) == 20)

"""A worker's process, from its start to its end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

#: A worker whose queue is at another address than its database.
WORKER = """
import functools, logging, sys
from tests.worker import hooks
from tradeoff import config, ending
from tradeoff.store import database, queue
from tradeoff.worker import compute, run

logging.basicConfig(level=logging.INFO)
ending.listen()
settings = config.Settings(database_url=sys.argv[1])
run.EngineProcess = functools.partial(compute.EngineProcess, engine=hooks.quick)
build = queue.build_worker_app
queue.build_worker_app = lambda url, **others: build(sys.argv[2], **others)
run.run_worker(database.connect(sys.argv[1]), settings)
"""


@contextmanager
def start_worker(database_url: str, queue_url: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", WORKER, database_url, queue_url]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_waits_for_the_queue_ends_when_asked(
    database_url: str, number: signal.Signals
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        queue_url = f"postgresql://nobody@127.0.0.1:{deaf.getsockname()[1]}/none"
        with start_worker(database_url, queue_url) as process:
            deaf.settimeout(60)
            connection, _ = deaf.accept()
            with connection:
                # Half-way through a start: its pool has connected, and nobody answers.
                process.send_signal(number)
                _, printed = process.communicate(timeout=60)

    assert process.returncode == 0
    assert "worker stopped" in printed
    assert "Traceback" not in printed

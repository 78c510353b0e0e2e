"""Postgres restarted, crashed, out of reach, out of connections, out of space."""

from __future__ import annotations

import time

import pytest

from tests.faults import load
from tests.faults.processes import Stack


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_postgres_restarted_and_crashed(stack: Stack, fault_seconds: float) -> None:
    """F5: 503 with Retry-After meanwhile; the API stays up, and all goes on within seconds."""
    api = stack.add_api()
    worker = stack.add_worker()
    stack.watch()
    experiments = [stack.create_experiment(api.url, parallel_bandwidth=2) for _ in range(2)]
    loops = [
        load.Loop(api.url, stack.account.token, experiment, seed=seed)
        for seed, experiment in enumerate(experiments * 2)
    ]
    for loop in loops:
        loop.start()

    deadline = time.monotonic() + fault_seconds
    turns = 0
    while turns < 2 or time.monotonic() < deadline:
        load.await_progress(loops, 5)
        stack.restart_postgres("immediate" if turns % 2 else "fast")
        load.await_progress(loops, seconds=30)
        turns += 1
        time.sleep(2)
    load.await_progress(loops, 5)
    load.stop(loops)

    load.audit(loops, stack.database_url).assert_clean()
    assert stack.kills["postgres fast"] >= 1
    assert stack.kills["postgres immediate"] >= 1
    assert load.trouble(loops)["503"] >= 1, load.trouble(loops)
    assert api.starts == 1, "the API process stays up"
    assert worker.is_alive()

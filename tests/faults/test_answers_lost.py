"""The API killed, its answers cut, its sessions ended, its processes replaced one by one."""

from __future__ import annotations

import signal
import time
from contextlib import closing

import psycopg2
import pytest

from tests.faults import load
from tests.faults.processes import Stack
from tests.faults.proxy import proxied
from tests.waiting import wait_for


def workers_at(database_url: str) -> int:
    """How many workers have told the queue that they are there."""
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from jobs.procrastinate_workers")
        row = cursor.fetchone()
        return int(row[0]) if row else 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_answers_cut_and_api_killed(stack: Stack, fault_seconds: float) -> None:
    """F1: what was committed before the answer was lost is answered again, and once only."""
    api = stack.add_api()
    stack.watch()
    with proxied([("127.0.0.1", api.port)], seed=1) as proxy:
        plain = stack.create_experiment(proxy.url, type="random")
        modelled = stack.create_experiment(proxy.url, parallel_bandwidth=4)
        loops = [
            load.Loop(proxy.url, stack.account.token, experiment, seed=seed, failing=0.1)
            for seed, experiment in enumerate([plain, plain, modelled, modelled])
        ]
        for loop in loops:
            loop.start()
        proxy.cut_probability = 0.05

        deadline = time.monotonic() + fault_seconds
        # So long, and until what it is about has happened, which a busy machine takes longer for.
        while time.monotonic() < deadline or not (
            stack.kills["api"] >= 2
            and proxy.seen["answers cut"] >= 3
            and load.trouble(loops)["replayed"] >= 1
        ):
            time.sleep(3)
            stack.kill(api)
            load.await_progress(loops)
        proxy.cut_probability = 0.0
        load.stop(loops)

    load.audit(loops, stack.database_url).assert_clean()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_sessions_ended_again_and_again(stack: Stack, fault_seconds: float) -> None:
    """F6: pg_terminate_backend for everybody; 503 at worst, and no process ends."""
    api = stack.add_api()
    worker = stack.add_worker()
    experiments = [stack.create_experiment(api.url, parallel_bandwidth=2) for _ in range(2)]
    loops = [
        load.Loop(api.url, stack.account.token, experiment, seed=seed)
        for seed, experiment in enumerate(experiments * 2)
    ]
    for loop in loops:
        loop.start()

    deadline = time.monotonic() + fault_seconds
    while time.monotonic() < deadline or stack.kills["sessions"] < 9:
        load.await_progress(loops, 5)
        stack.end_sessions()
        time.sleep(3)
    load.await_progress(loops, 5)
    load.stop(loops)

    load.audit(loops, stack.database_url).assert_clean()
    assert api.is_alive()
    assert api.starts == 1
    assert worker.is_alive()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_worker_that_loses_its_sessions_as_it_starts_works_in_the_end(stack: Stack) -> None:
    worker = stack.add_worker()
    ended = 0
    while ended < 10:
        ended += stack.end_sessions("tradeoff-queue")

    wait_for(lambda: workers_at(stack.database_url), "no worker is at work")
    assert worker.is_alive()
    assert worker.starts == 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_rolling_restart(stack: Stack, fault_seconds: float) -> None:
    """F16: SIGTERM to one of two API processes in turn; no request is broken by it."""
    apis = [stack.add_api(f"api-{number}") for number in (1, 2)]
    with proxied([("127.0.0.1", api.port) for api in apis]) as proxy:
        experiment = stack.create_experiment(proxy.url, parallel_bandwidth=4)
        loops = [
            load.Loop(proxy.url, stack.account.token, experiment, seed=seed) for seed in range(4)
        ]
        for loop in loops:
            loop.start()

        restarts = 0
        deadline = time.monotonic() + fault_seconds
        while restarts < 2 or time.monotonic() < deadline:
            api = apis[restarts % 2]
            load.await_progress(loops, 5)
            api.send(signal.SIGTERM)
            assert api.wait(20) == 0, "what is at work is finished within the drain"
            load.await_progress(loops, 5)
            api.start()
            stack.await_ready(api)
            restarts += 1
        load.stop(loops)

    load.audit(loops, stack.database_url).assert_clean()
    seen = load.trouble(loops)
    answered = [name for name in seen if name.isdigit()]
    assert not answered, f"errors were answered: {seen}"

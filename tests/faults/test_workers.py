"""Workers killed in a fit, frozen, cut off, set on the same experiment, given poison."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import METRICS
from tests.faults import load
from tests.faults.processes import Part, Stack, on_demand
from tests.faults.proxy import proxied
from tests.faults.test_kill_points import await_refresh, find_equal_waiting
from tests.waiting import wait_for
from tradeoff.store import queue


def start_loops(
    stack: Stack, url: str, experiment: str, count: int = 2, **options: Any
) -> list[load.Loop]:
    """Loops on one experiment."""
    loops = [
        load.Loop(url, stack.account.token, experiment, seed=seed, think_seconds=0.1, **options)
        for seed in range(count)
    ]
    for loop in loops:
        loop.start()
    return loops


def hold_up_a_fit(workers: list[Part]) -> Part:
    """Let fits take long until one has begun; gives the worker that is at it."""
    for worker in workers:
        worker.befall("slow-fit", 200)
    wait_for(lambda: any(worker.is_in_a_fit() for worker in workers), "no fit began")
    (busy,) = [worker for worker in workers if worker.is_in_a_fit()]
    for worker in workers:
        if worker is not busy:
            worker.relieve("slow-fit")
    return busy


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_worker_killed_in_a_fit(stack: Stack) -> None:
    """F2: its job is found, and another worker does it; loops never stop for it."""
    api = stack.add_api()
    workers = [stack.add_worker(f"worker-{number}") for number in (1, 2)]
    experiment = stack.create_experiment(api.url, parallel_bandwidth=2)
    loops = start_loops(stack, api.url, experiment)

    busy = hold_up_a_fit(workers)
    stack.kill(busy)
    load.await_progress(loops, 10)
    await_refresh(stack, experiment)
    load.stop(loops)

    assert stack.kills["worker"] == 1
    load.audit(loops, stack.database_url).assert_clean()


@on_demand
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_worker_frozen_and_resumed(stack: Stack) -> None:
    """F3: another one takes over, and what the resumed one found is thrown away."""
    api = stack.add_api()
    workers = [stack.add_worker(f"worker-{number}") for number in (1, 2)]
    stack.watch()
    experiment = stack.create_experiment(api.url, parallel_bandwidth=2)
    loops = start_loops(stack, api.url, experiment)

    busy = hold_up_a_fit(workers)
    busy.freeze()
    await_refresh(stack, experiment)
    busy.relieve("slow-fit")
    busy.thaw()
    wait_for(lambda: "overtaken" in busy.log.read_text(), "its result was not thrown away")
    await_refresh(stack, experiment)
    load.stop(loops)

    load.audit(loops, stack.database_url).assert_clean()
    assert not find_equal_waiting(stack, experiment)


@on_demand
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_workers_on_one_experiment(stack: Stack) -> None:
    """F4: forced past the lock, the one that began first is thrown away."""
    api = stack.add_api()
    workers = [stack.add_worker(f"worker-{number}") for number in (1, 2)]
    experiment = stack.create_experiment(api.url, parallel_bandwidth=2)
    loops = start_loops(stack, api.url, experiment)

    first = hold_up_a_fit(workers)
    (second,) = [worker for worker in workers if worker is not first]
    second.befall("slow-fit", 200)
    defer_without_lock(stack, experiment)
    wait_for(second.is_in_a_fit, "the second run did not begin")
    for worker in (second, first):
        worker.relieve("slow-fit")
    wait_for(lambda: "overtaken" in first.log.read_text(), "its result was not thrown away")
    await_refresh(stack, experiment)
    load.stop(loops)

    load.audit(loops, stack.database_url).assert_clean()
    assert not find_equal_waiting(stack, experiment)


def defer_without_lock(stack: Stack, experiment: str) -> None:
    """Enqueue a refresh that does not wait for the one that runs."""
    load.query(
        stack.database_url,
        "insert into jobs.procrastinate_jobs (queue_name, task_name, args) "
        "select %s, %s, jsonb_build_object('experiment_id', id, 'client_id', client_id) "
        "from experiments where id = %s",
        queue.QUEUE,
        queue.REFRESH,
        int(experiment),
    )


@on_demand
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_worker_cut_off_from_the_database(stack: Stack) -> None:
    """F9: nothing passes between a worker and Postgres for a minute; another takes over."""
    api = stack.add_api()
    with proxied([stack.socket]) as proxy:
        straight = stack.served_url
        stack.served_url = f"postgresql://tradeoff@127.0.0.1:{proxy.port}/tradeoff"
        cut_off = stack.add_worker("worker-1")
        stack.served_url = straight
        stack.watch()
        experiment = stack.create_experiment(api.url, parallel_bandwidth=2)
        loops = start_loops(stack, api.url, experiment)
        hold_up_a_fit([cut_off])

        proxy.stall()
        stack.add_worker("worker-2")
        await_refresh(stack, experiment)
        cut_off.relieve("slow-fit")
        wait_for(lambda: proxy.seen["stalled"] > 0, "nothing was stalled")
        proxy.resume()
        await_refresh(stack, experiment)
        wait_for(lambda: "overtaken" in cut_off.log.read_text(), "its result was not thrown away")
        load.stop(loops)

    load.audit(loops, stack.database_url).assert_clean()
    assert not find_equal_waiting(stack, experiment)


@pytest.mark.long  # `tests/worker/test_refresh.py` has the parts, in CI
@pytest.mark.timeout(600)
def test_poison_holds_back_nobody_else(stack: Stack) -> None:
    """F12: fits that raise and fits that eat memory; the others go on, and so do these."""
    api = stack.add_api()
    worker = stack.add_worker(engine_memory_mb=2_000)
    good = stack.create_experiment(api.url, parallel_bandwidth=2)
    loops = start_loops(stack, api.url, good)
    spoiled = []
    for name in ("poison", "glutton"):
        bad = spoil(stack, api.url, name)
        spoiled += start_loops(stack, api.url, bad, 1, more_values={name: 1.0})

    for _ in range(2):
        await_refresh(stack, good)
        load.await_progress(spoiled, 5)
    log = worker.log.read_text()
    assert "poison" in log, "no fit raised"
    load.await_progress(loops, 5)
    load.stop([*loops, *spoiled])

    assert worker.is_alive()
    assert worker.starts == 1
    load.audit([*loops, *spoiled], stack.database_url).assert_clean()


def spoil(stack: Stack, url: str, name: str) -> str:
    """An experiment whose every fit goes wrong; see `hooks.sitecustomize`."""
    metrics = [*METRICS, {"name": name, "strategy": "store"}]
    return stack.create_experiment(url, name=name, metrics=metrics, parallel_bandwidth=2)

"""Many at once, slow ones, silent ones; a queue full of what was done; clocks that are wrong."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.faults import load
from tests.faults.processes import Stack, on_demand
from tests.faults.test_kill_points import await_refresh


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("count", [100, pytest.param(500, marks=on_demand)])
def test_herd_asks_at_once(stack: Stack, count: int) -> None:
    """F20: everybody is served, each something else, with no error."""
    api = stack.add_api()
    experiment = stack.create_experiment(api.url, parallel_bandwidth=10)
    url = f"{api.url}/v1/experiments/{experiment}/suggestions"
    limits = httpx.Limits(max_connections=count)
    with (
        httpx.Client(
            auth=(stack.account.token, ""), timeout=60, limits=limits, trust_env=False
        ) as http,
        ThreadPoolExecutor(count) as pool,
    ):
        answers = list(pool.map(lambda _: http.post(url, json={}), range(count)))

    assert {answer.status_code for answer in answers} == {200}
    served = [answer.json() for answer in answers]
    assert len({each["id"] for each in served}) == count
    assert len({str(sorted(each["assignments"].items())) for each in served}) == count


@on_demand
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_clients_vanish_with_what_they_were_given(stack: Stack) -> None:
    """F19: a thousand suggestions nobody reports on; the experiment goes on with its model."""
    api = stack.add_api()
    stack.add_worker()
    experiment = stack.create_experiment(api.url, parallel_bandwidth=4)
    url = f"{api.url}/v1/experiments/{experiment}/suggestions"
    with httpx.Client(auth=(stack.account.token, ""), timeout=60, trust_env=False) as http:
        for _ in range(1_000):
            assert http.post(url, json={}).status_code == 200
    loops = [
        load.Loop(api.url, stack.account.token, experiment, seed=seed, think_seconds=0.1)
        for seed in range(2)
    ]
    for loop in loops:
        loop.start()

    load.await_progress(loops, 20)
    await_refresh(stack, experiment)
    load.stop(loops)

    load.audit(loops, stack.database_url).assert_clean()


@on_demand
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_slow_senders_hold_up_nobody(stack: Stack, fault_seconds: float) -> None:
    """F17: two hundred connections that send a byte a second; loops go on beside them."""
    api = stack.add_api()
    experiment = stack.create_experiment(api.url, type="random")
    head = (
        f"POST /v1/experiments/{experiment}/suggestions HTTP/1.1\r\nHost: x\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    ).encode()
    slow = [socket.create_connection(("127.0.0.1", api.port)) for _ in range(200)]
    loops = [load.Loop(api.url, stack.account.token, experiment, seed=seed) for seed in range(2)]
    try:
        for each in slow:
            each.sendall(head)
        for loop in loops:
            loop.start()
        deadline = time.monotonic() + fault_seconds
        while time.monotonic() < deadline:
            for each in slow:
                try:
                    each.sendall(b" ")
                except OSError:
                    continue  # the server had enough of it
            load.await_progress(loops, 2)
            time.sleep(1)
        load.stop(loops)
    finally:
        for each in slow:
            each.close()

    assert load.trouble(loops) == {}
    load.audit(loops, stack.database_url).assert_clean()


@on_demand
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_queue_full_of_finished_jobs(stack: Stack) -> None:
    """F18: what is done is not looked at: a job is fetched by an index, and refreshes go on."""
    load.query(
        stack.database_url,
        "insert into jobs.procrastinate_jobs (queue_name, task_name, status, args) "
        "select 'tradeoff', 'refresh', 'failed', '{}' from generate_series(1, 1000000)",
    )
    load.query(stack.database_url, "analyze jobs.procrastinate_jobs")
    api = stack.add_api()
    stack.add_worker()
    experiment = stack.create_experiment(api.url, parallel_bandwidth=2)
    loops = [
        load.Loop(api.url, stack.account.token, experiment, seed=seed, think_seconds=0.1)
        for seed in range(2)
    ]
    for loop in loops:
        loop.start()
    load.await_progress(loops, 20)
    await_refresh(stack, experiment)
    load.stop(loops)

    plan = load.query(
        stack.database_url,
        "explain select id from jobs.procrastinate_jobs where status = 'todo' "
        "and queue_name = 'tradeoff' order by priority desc, id limit 1",
    )
    text = "\n".join(line for (line,) in plan)
    assert "Seq Scan" not in text, text
    load.audit(loops, stack.database_url).assert_clean()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("hours", [-1, 1])
def test_clocks_that_are_wrong(stack: Stack, hours: int) -> None:
    """F11: an API process an hour off; leases and tokens go by the database's clock."""
    api = stack.add_api(clock_hours=hours)
    load.query(stack.database_url, "update tokens set expires = now() + interval '30 minutes'")
    experiment = stack.create_experiment(api.url, parallel_bandwidth=2)
    loops = [
        load.Loop(
            api.url,
            stack.account.token,
            experiment,
            seed=seed,
            asking={"worker_id": f"w{seed}", "lease_seconds": 600},
        )
        for seed in range(2)
    ]
    for loop in loops:
        loop.start()
    load.await_progress(loops, 10)

    with httpx.Client(
        base_url=f"{api.url}/v1", auth=(stack.account.token, ""), timeout=120, trust_env=False
    ) as http:
        held = http.post(
            f"/experiments/{experiment}/suggestions",
            json={"worker_id": "silent", "lease_seconds": 600},
        ).json()
        seen = http.get(f"/experiments/{experiment}/suggestions/{held['id']}").json()
    load.stop(loops)

    ((now,),) = load.query(stack.database_url, "select extract(epoch from now())::float")
    assert seen["state"] == "open"
    assert abs(held["lease_expires"] - now) < 900, "counted from the database's now"
    assert (api.folder / "clock-shifted").exists(), "the clock was never wrong"
    load.query(stack.database_url, "update tokens set expires = now() - interval '1 second'")
    refused = httpx.get(
        f"{api.url}/v1/experiments", auth=(stack.account.token, ""), trust_env=False
    )
    assert refused.status_code in (401, 403)
    load.audit(loops, stack.database_url).assert_clean()

"""Kill -9 at chosen points: on both sides of a commit, and in the middle of a refresh."""

from __future__ import annotations

import pytest

from tests.faults import load
from tests.faults.processes import Part, Stack
from tests.waiting import wait_for

#: How the statements begin by which the acts of a loop are known.
REPORT = "insert into observations"
CREATE = "insert into experiments"
#: An ask of an experiment without a model, and a refresh of one with it.
DRAW = PUBLISH = "insert into suggestions"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_api_killed_around_its_commits(stack: Stack) -> None:
    """Before the commit nothing has happened; after it the retry gets the answer that was lost.

    So many of one token commit together: what is lost or answered again is several at a time.
    """
    api = stack.add_api()
    stack.watch()
    experiments = [stack.create_experiment(api.url, type="random") for _ in range(2)]
    loops = [
        load.Loop(api.url, stack.account.token, experiment, seed=seed)
        for seed, experiment in enumerate(experiments * 6)
    ]
    for loop in loops:
        loop.start()

    points = [(when, what) for what in (REPORT, DRAW) for when in ("before", "after")]
    for when, what in points:
        api.befall(f"kill-{when}-commit", what)
        api.await_fault(f"kill-{when}-commit")
        load.await_progress(loops, 4)
    load.stop(loops)

    assert api.starts == 1 + len(points)
    assert load.trouble(loops)["replayed"] >= 2
    load.audit(loops, stack.database_url).assert_clean()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_api_killed_as_it_creates_an_experiment(stack: Stack) -> None:
    api = stack.add_api()
    stack.watch()

    for when in ("before", "after"):
        api.befall(f"kill-{when}-commit", CREATE)
        stack.create_experiment(api.url, name=when)
        api.await_fault(f"kill-{when}-commit")

    names = load.query(stack.database_url, "select name from experiments order by id")
    assert names == [("before",), ("after",)]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_worker_killed_as_it_publishes(stack: Stack) -> None:
    """Before its best is stored, between the best and the rest: the next one does all of it."""
    api = stack.add_api()
    worker = stack.add_worker()
    stack.watch()
    experiment = stack.create_experiment(api.url, parallel_bandwidth=2)
    loops = [load.Loop(api.url, stack.account.token, experiment, seed=seed) for seed in range(2)]
    for loop in loops:
        loop.start()

    for when in ("before", "after"):
        worker.befall(f"kill-{when}-commit", PUBLISH)
        worker.await_fault(f"kill-{when}-commit")
        await_refresh(stack, experiment, dead=worker)
    load.stop(loops)

    assert worker.starts == 3
    load.audit(loops, stack.database_url).assert_clean()
    assert not find_equal_waiting(stack, experiment)


def await_refresh(stack: Stack, experiment: str, *, dead: Part | None = None) -> None:
    """Wait until a model has looked at more observations than there are now.

    Args:
        stack: to look at.
        experiment: whose buffer.
        dead: a worker that was killed; its heartbeat is made old, so that nobody need wait for it.
    """
    if dead is not None:
        load.query(
            stack.database_url,
            "update jobs.procrastinate_workers set last_heartbeat = now() - interval '40 seconds' "
            "where last_heartbeat < now() - interval '1 second'",
        )
    ((count,),) = load.query(
        stack.database_url,
        "select observation_count from experiments where id = %s",
        int(experiment),
    )

    def is_refreshed() -> bool:
        ((seen,),) = load.query(
            stack.database_url,
            "select coalesce(max(observations_seen), 0) from suggestions "
            "where experiment_id = %s and source = 'model'",
            int(experiment),
        )
        return bool(seen > count)

    wait_for(is_refreshed, "no refresh since then")


def find_equal_waiting(stack: Stack, experiment: str) -> list[tuple[object, ...]]:
    """Configurations that stand in the buffer more than once."""
    return load.query(
        stack.database_url,
        "select assignments_hash from suggestions where experiment_id = %s and state = 'ready' "
        "and not deleted group by assignments_hash having count(*) > 1",
        int(experiment),
    )

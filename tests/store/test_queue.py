from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from tests.crowd import at_once
from tradeoff.errors import Conflict, Unavailable
from tradeoff.store import queue
from tradeoff.store.database import Database, Session, connect


@pytest.fixture(autouse=True)
def _empty(shared_database: Database) -> Iterator[None]:
    yield
    with shared_database.transaction() as session:
        session.execute(text("delete from jobs.procrastinate_jobs"))
        session.execute(text("delete from jobs.procrastinate_workers"))


def jobs(session: Session) -> list[Any]:
    query = "select id, status, lock, queueing_lock, args from jobs.procrastinate_jobs order by id"
    return list(session.execute(text(query)))


def start(session: Session, worker: int | None) -> int:
    """Let a worker fetch the next job, as procrastinate does; gives its id."""
    row = session.execute(
        text("select id from jobs.procrastinate_fetch_job_v2(:queues, :worker)"),
        {"queues": [queue.QUEUE], "worker": worker},
    ).one()
    return int(row.id)


def add_worker(session: Session, *, silent_seconds: float) -> int:
    return int(
        session.execute(
            text(
                "insert into jobs.procrastinate_workers (last_heartbeat) "
                "values (now() - make_interval(secs => :silent)) returning id"
            ),
            {"silent": silent_seconds},
        ).scalar_one()
    )


def test_a_refresh_waits_once_per_experiment(session: Session) -> None:
    for experiment_id in (1, 2, 1, 1):
        queue.defer_refresh(session, experiment_id, client_id=1)

    rows = jobs(session)
    assert [(row.queueing_lock, row.args) for row in rows] == [
        ("refresh-1", {"experiment_id": 1, "client_id": 1}),
        ("refresh-2", {"experiment_id": 2, "client_id": 1}),
    ]
    assert [row.lock for row in rows] == ["experiment-1", "experiment-2"]


def test_a_duplicate_leaves_the_transaction_usable(session: Session) -> None:
    queue.defer_refresh(session, 1, client_id=1)
    queue.defer_refresh(session, 1, client_id=1)

    assert session.scalar(text("select 1")) == 1


def test_a_refresh_is_enqueued_with_its_transaction_or_not_at_all(
    shared_database: Database,
) -> None:
    def fail() -> None:
        with shared_database.transaction() as session:
            queue.defer_refresh(session, 1, client_id=1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with shared_database.transaction() as session:
        assert jobs(session) == []
        queue.defer_refresh(session, 1, client_id=1)

    with shared_database.transaction() as session:
        assert len(jobs(session)) == 1


def test_one_waits_while_one_runs_and_is_not_started(session: Session) -> None:
    queue.defer_refresh(session, 1, client_id=1)
    worker = add_worker(session, silent_seconds=0)
    running = start(session, worker)
    queue.defer_refresh(session, 1, client_id=1)
    queue.defer_refresh(session, 1, client_id=1)

    rows = jobs(session)
    assert [(row.id == running, row.status) for row in rows] == [(True, "doing"), (False, "todo")]
    fetched = session.execute(
        text("select id from jobs.procrastinate_fetch_job_v2(:queues, :worker)"),
        {"queues": [queue.QUEUE], "worker": worker},
    ).one()
    assert fetched.id is None


def test_many_ask_at_once_and_one_waits(shared_database: Database) -> None:
    database = connect(shared_database.url, pool_size=16)

    def ask(_: int) -> None:
        with database.transaction() as session:
            queue.defer_refresh(session, 1, client_id=1)

    at_once(16, ask)

    database.dispose()
    with shared_database.transaction() as session:
        assert len(jobs(session)) == 1


def test_a_lost_connection_is_an_outage(shared_database: Database) -> None:
    def lose() -> None:
        with shared_database.transaction() as session:
            own = session.scalar(text("select pg_backend_pid()"))
            with shared_database.transaction() as other:
                other.execute(text("select pg_terminate_backend(:pid, 2000)"), {"pid": own})
            queue.defer_refresh(session, 1, client_id=1)

    with pytest.raises(Unavailable):
        lose()


def test_waiting_too_long_to_enqueue_is_a_conflict(shared_database: Database) -> None:
    def ask() -> None:
        with shared_database.transaction() as session:
            session.execute(text("set local lock_timeout = '50ms'"))
            queue.defer_refresh(session, 1, client_id=1)

    with shared_database.transaction() as session:
        queue.defer_refresh(session, 1, client_id=1)
        session.execute(text("select 1"))  # it goes along with this
        with ThreadPoolExecutor(1) as pool, pytest.raises(Conflict):
            pool.submit(ask).result()


def test_nobody_waits_for_what_an_act_of_several_enqueues(shared_database: Database) -> None:
    """It may wait for their rows: one of the next acts would, with this one enqueued."""
    with shared_database.transaction(shared=True) as session:
        queue.defer_refresh(session, 1, client_id=1)
        queue.defer_refresh(session, 2, client_id=1)
        session.execute(text("select 1"))
        with shared_database.transaction() as other:
            other.execute(text("set local lock_timeout = '50ms'"))
            queue.defer_refresh(other, 1, client_id=1)

    with shared_database.transaction() as session:
        assert [row.queueing_lock for row in jobs(session)] == ["refresh-1", "refresh-2"]


def serve(session: Session, worker: int) -> int:
    """Let a worker do the next job from begin to end; gives whose it was."""
    job = start(session, worker)
    client_id = client_of(session, job)
    finish(session, job)
    return client_id


def client_of(session: Session, job: int) -> int:
    return next(int(row.args["client_id"]) for row in jobs(session) if row.id == job)


def finish(session: Session, job: int) -> None:
    query = "select jobs.procrastinate_finish_job_v1(:id, 'succeeded', true)"
    session.execute(text(query), {"id": job})


def test_a_client_with_one_experiment_waits_for_one_turn_of_one_with_many(
    session: Session,
) -> None:
    worker = add_worker(session, silent_seconds=0)
    for experiment_id in range(1, 51):
        queue.defer_refresh(session, experiment_id, client_id=1)
    queue.defer_refresh(session, 51, client_id=2)

    assert [serve(session, worker) for _ in range(3)] == [1, 2, 1]


def test_a_client_that_comes_while_another_ones_job_runs_waits_for_one_more_at_most(
    session: Session,
) -> None:
    worker = add_worker(session, silent_seconds=0)
    for experiment_id in range(1, 51):
        queue.defer_refresh(session, experiment_id, client_id=1)
    for _ in range(20):
        serve(session, worker)
    running = start(session, worker)
    queue.defer_refresh(session, 51, client_id=2)
    finish(session, running)

    assert [serve(session, worker) for _ in range(2)] == [1, 2]


def test_a_client_that_worked_alone_for_long_is_not_put_behind_a_new_one(
    session: Session,
) -> None:
    """Its places have gone far; a new client does not begin where it once began."""
    worker = add_worker(session, silent_seconds=0)
    queue.defer_refresh(session, 1, client_id=1)
    for _ in range(100):
        running = start(session, worker)
        queue.defer_refresh(session, 1, client_id=1)
        finish(session, running)
    running = start(session, worker)
    for experiment_id in range(2, 52):
        queue.defer_refresh(session, experiment_id, client_id=2)
    queue.defer_refresh(session, 1, client_id=1)
    finish(session, running)

    assert 1 in [serve(session, worker) for _ in range(2)]


def test_clients_share_equally_while_they_all_have_work(session: Session) -> None:
    worker = add_worker(session, silent_seconds=0)
    experiments = {1: range(1, 31), 2: range(31, 34), 3: range(34, 35)}
    served = dict.fromkeys(experiments, 0)
    for client_id, owned in experiments.items():
        for experiment_id in owned:
            queue.defer_refresh(session, experiment_id, client_id=client_id)

    for _ in range(90):
        running = start(session, worker)
        for client_id, owned in experiments.items():
            for experiment_id in owned:
                queue.defer_refresh(session, experiment_id, client_id=client_id)
        served[client_of(session, running)] += 1
        finish(session, running)

    assert all(28 <= count <= 32 for count in served.values()), served


def test_nobody_waits_for_ever_while_others_come_again_and_again(session: Session) -> None:
    """Two clients always have exactly one waiting; the third has a backlog that must shrink."""
    worker = add_worker(session, silent_seconds=0)
    for experiment_id in range(1, 11):
        queue.defer_refresh(session, experiment_id, client_id=1)
    turns: list[int] = []
    while turns.count(1) < 10:
        assert len(turns) < 40, "the backlog starves"
        running = start(session, worker)
        for client_id in (2, 3):
            queue.defer_refresh(session, 100 + client_id, client_id=client_id)
        turns.append(client_of(session, running))
        finish(session, running)


@pytest.mark.parametrize("silent_seconds", [None, 31.0])
def test_the_job_of_a_dead_worker_waits_again(
    session: Session, silent_seconds: float | None
) -> None:
    queue.defer_refresh(session, 1, client_id=1)
    worker = None
    if silent_seconds is not None:
        worker = add_worker(session, silent_seconds=silent_seconds)
    running = start(session, worker)

    assert queue.sweep(session) == 1

    rows = jobs(session)
    assert [(row.id, row.status) for row in rows] == [(running, "todo")]
    assert start(session, add_worker(session, silent_seconds=0)) == running


def test_the_job_of_a_living_worker_is_left_alone(session: Session) -> None:
    queue.defer_refresh(session, 1, client_id=1)
    start(session, add_worker(session, silent_seconds=29))

    assert queue.sweep(session) == 0
    assert [row.status for row in jobs(session)] == ["doing"]


def test_a_dead_workers_job_ends_when_another_waits(session: Session) -> None:
    for experiment_id in (1, 2):
        queue.defer_refresh(session, experiment_id, client_id=1)
    worker = add_worker(session, silent_seconds=60)
    start(session, worker)
    second = start(session, worker)
    queue.defer_refresh(session, 1, client_id=1)

    assert queue.sweep(session) == 2

    assert sorted((row.args["experiment_id"], row.status) for row in jobs(session)) == [
        (1, "todo"),
        (2, "todo"),
    ]
    assert {row.id for row in jobs(session)} >= {second}


def test_two_sweepers_take_turns(shared_database: Database) -> None:
    with shared_database.transaction() as session:
        queue.defer_refresh(session, 1, client_id=1)
        start(session, None)

    with shared_database.transaction() as one, shared_database.transaction() as other:
        assert queue.sweep(one) == 1
        assert queue.sweep(other) == 0


def test_workers_long_gone_are_forgotten(session: Session) -> None:
    add_worker(session, silent_seconds=700)
    kept = add_worker(session, silent_seconds=60)

    queue.sweep(session)

    workers = session.scalars(text("select id from jobs.procrastinate_workers")).all()
    assert workers == [kept]


def test_the_state_of_the_queue(session: Session) -> None:
    assert queue.read_state(session) == queue.QueueState(0, 0, None, 0)
    for experiment_id in (1, 2, 3):
        queue.defer_refresh(session, experiment_id, client_id=1)
    start(session, add_worker(session, silent_seconds=0))
    add_worker(session, silent_seconds=31)

    state = queue.read_state(session)

    assert (state.waiting, state.running, state.workers) == (2, 1, 1)
    assert state.oldest_seconds is not None
    assert 0 <= state.oldest_seconds < 60

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from tests.waiting import wait_for
from tradeoff.store import buffer
from tradeoff.store.database import Database, name_sessions
from tradeoff.store.listening import Listener

APPLICATION = name_sessions("tradeoff-listener")


def listening(database: Database) -> list[int]:
    """The backends that listen."""
    with database.transaction() as session:
        return list(
            session.scalars(
                text(
                    "select pid from pg_stat_activity where application_name = :name "
                    "and datname = current_database() and query like 'listen%'"
                ),
                {"name": APPLICATION},
            )
        )


@pytest.fixture
def listener(shared_database: Database) -> Iterator[Listener]:
    listener = Listener(shared_database.url)
    listener.start()
    wait_for(lambda: listening(shared_database))
    yield listener
    listener.stop()


def notify(database: Database, experiment_id: int, *, commit: bool = True) -> None:
    with database.transaction() as session:
        buffer.notify_ready(session, experiment_id)
        if not commit:
            session.rollback()


async def settled(watch: object, wait_seconds: float = 0.3) -> None:
    """Let the ring of a new connection pass, which wakes everybody."""
    await watch.wait(wait_seconds)  # type: ignore[attr-defined]


def test_a_commit_wakes_those_who_wait_for_it(
    shared_database: Database, listener: Listener
) -> None:
    async def wait() -> tuple[bool, bool, bool]:
        with listener.watch(1) as one, listener.watch(1) as two, listener.watch(2) as other:
            for watch in (one, two, other):
                await settled(watch)
            await asyncio.to_thread(notify, shared_database, 1)
            return await one.wait(30), await two.wait(5), await other.wait(0.2)

    assert asyncio.run(wait()) == (True, True, False)


def test_a_rollback_wakes_nobody(shared_database: Database, listener: Listener) -> None:
    async def wait() -> bool:
        with listener.watch(1) as watch:
            await settled(watch)
            await asyncio.to_thread(notify, shared_database, 1, commit=False)
            return await watch.wait(0.3)

    assert asyncio.run(wait()) is False


def test_what_came_before_the_wait_is_not_missed(
    shared_database: Database, listener: Listener
) -> None:
    async def wait() -> tuple[bool, bool]:
        with listener.watch(1) as watch:
            await settled(watch)
            await asyncio.to_thread(notify, shared_database, 1)
            await asyncio.sleep(0.3)
            return await watch.wait(30), await watch.wait(0.2)

    assert asyncio.run(wait()) == (True, False)


def test_a_lost_connection_is_made_anew_and_wakes_everybody(
    shared_database: Database, listener: Listener
) -> None:
    def end_backends() -> None:
        for pid in listening(shared_database):
            with shared_database.transaction() as session:
                session.execute(text("select pg_terminate_backend(:pid)"), {"pid": pid})

    async def wait() -> tuple[bool, bool]:
        with listener.watch(1) as watch:
            await settled(watch)
            await asyncio.to_thread(end_backends)
            woken = await watch.wait(30)
            await asyncio.to_thread(notify, shared_database, 1)
            return woken, await watch.wait(30)

    assert asyncio.run(wait()) == (True, True)


def test_a_database_that_is_away_does_not_end_the_listener(shared_database: Database) -> None:
    listener = Listener("postgresql://nobody@127.0.0.1:1/none")
    listener.start()
    time.sleep(0.2)

    assert listener._thread is not None
    assert listener._thread.is_alive()
    listener.stop()
    assert listener._thread is None


def test_a_stopped_listener_leaves_no_connection_and_can_start_again(
    shared_database: Database, listener: Listener
) -> None:
    listener.stop()
    wait_for(lambda: not listening(shared_database))

    listener.start()
    listener.start()  # a second start changes nothing

    wait_for(lambda: len(listening(shared_database)) == 1)


def test_a_waiter_whose_loop_is_gone_does_no_harm(
    shared_database: Database, listener: Listener
) -> None:
    async def leave_behind() -> contextlib.AbstractContextManager[object]:
        watching = listener.watch(1)
        watching.__enter__()
        return watching

    async def wait() -> bool:
        with listener.watch(1) as watch:
            await settled(watch)
            await asyncio.to_thread(notify, shared_database, 1)
            return await watch.wait(30)

    left = asyncio.run(leave_behind())

    assert asyncio.run(wait()) is True
    left.__exit__(None, None, None)


def test_nobody_is_remembered_after_leaving(listener: Listener) -> None:
    async def come_and_go() -> None:
        with listener.watch(1), listener.watch(2):
            pass

    asyncio.run(come_and_go())

    assert not listener._watches

"""Many at once: who waits, who is turned away, and what goes on meanwhile."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from sqlalchemy import text

from tests.api.caller import Caller, ok, path_of, refusal
from tests.builders import make_account
from tests.serving import serve
from tradeoff.api.app import build_api
from tradeoff.config import Settings
from tradeoff.service import suggestions
from tradeoff.store import database as databases
from tradeoff.store.database import Database
from tradeoff.store.drafts import Draft

LONG_SECONDS = 30.0
#: One connection for acts, and the two that are kept for health checks and the like.
POOL_SIZE = 3


@contextmanager
def serving(database: Database, **settings: object) -> Iterator[tuple[Caller, Callable[[], None]]]:
    """An API process of its own on `database`: a client of it, and how it is told to close."""
    given = Settings.model_validate(
        {
            "database_url": database.url,
            "database_pool_size": POOL_SIZE,
            "suggestion_wait_seconds": LONG_SECONDS,
            **settings,
        }
    )
    app = build_api(database, given)
    account = make_account(database, "Acme")
    limits = httpx.Limits(max_connections=None)
    with (
        serve(app) as url,
        httpx.Client(base_url=url, timeout=2 * LONG_SECONDS, limits=limits) as http,
    ):
        yield Caller(http, account.token, account.client_id), app.state.close


@pytest.fixture
def few(shared_url: str) -> Iterator[Database]:
    """`POOL_SIZE` connections."""
    database = databases.connect(shared_url, pool_size=POOL_SIZE)
    yield database
    database.dispose()


def waiting_experiment(caller: Caller) -> str:
    """The path of an experiment whose askers wait for a model that never comes."""
    path = path_of(caller.single())
    reports = [{"assignments": {"x": n / 20}, "value": n} for n in range(20)]
    ok(caller.post(f"{path}/observations/batch", {"observations": reports}))
    return path


def wait_for(caller: Caller, active: int) -> None:
    """Until so many requests are at work, beside the one that looks."""
    deadline = time.monotonic() + LONG_SECONDS
    while f"tradeoff_requests_active {active + 1}.0" not in caller.http.get("/metrics").text:
        assert time.monotonic() < deadline, "the requests do not arrive"
        time.sleep(0.02)


def count_threads() -> int:
    """Threads that run acts, of every app of this test run."""
    return sum(thread.name.startswith("act_") for thread in threading.enumerate())


def test_over_the_limit_requests_are_turned_away_and_told_when_to_come_back(
    few: Database,
) -> None:
    with serving(few, requests_at_once=3) as (caller, close):
        path = waiting_experiment(caller)
        with ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(caller.post, f"{path}/suggestions") for _ in range(3)]
            wait_for(caller, active=3)

            turned_away = caller.get(path)
            live = caller.http.get("/health/live")
            close()
            answers = [each.result() for each in asked]

        assert "try again" in refusal(turned_away, 503)
        assert int(turned_away.headers["retry-after"]) > 0
        assert live.status_code == 200
        assert {answer.status_code for answer in answers} == {200}
        ok(caller.get(path))


def test_who_waits_holds_neither_a_thread_nor_a_connection(few: Database) -> None:
    """One connection serves everybody, and a hundred wait beside it."""
    with serving(few) as (caller, close):
        path = waiting_experiment(caller)
        before = count_threads()
        with ThreadPoolExecutor(100) as pool:
            asked = [pool.submit(caller.post, f"{path}/suggestions") for _ in range(100)]
            wait_for(caller, active=100)

            ok(caller.get(path))
            meanwhile = count_threads()
            close()
            answers = [ok(each.result()) for each in asked]

        assert meanwhile == before > 0
        assert len({answer["assignments"]["x"] for answer in answers}) == 100


def test_who_waits_is_woken_when_the_model_is_ready(few: Database) -> None:
    with serving(few) as (caller, _), ThreadPoolExecutor(1) as pool:
        path = waiting_experiment(caller)
        begun = time.monotonic()
        asked = pool.submit(caller.post, f"{path}/suggestions")
        wait_for(caller, active=1)

        with few.transaction() as session:
            suggestions.fill_buffer(
                session,
                int(path.rpartition("/")[2]),
                [Draft({"x": 0.321}, "model")],
                revision=20,
                observations_seen=20,
            )
        suggested = ok(asked.result())

        assert suggested["assignments"] == {"x": 0.321}
        assert time.monotonic() - begun < LONG_SECONDS / 2


def test_ones_own_suggestion_never_waits(few: Database) -> None:
    with serving(few) as (caller, _):
        path = waiting_experiment(caller)
        begun = time.monotonic()

        ok(caller.post(f"{path}/suggestions", {"assignments": {"x": 0.5}}))

        assert time.monotonic() - begun < LONG_SECONDS / 2


def test_who_leaves_while_waiting_takes_nothing_along(few: Database) -> None:
    with serving(few) as (caller, _):
        path = waiting_experiment(caller)

        with pytest.raises(httpx.ReadTimeout):
            caller.http.post(
                f"{path}/suggestions",
                auth=(caller.token, ""),
                json={},
                timeout=httpx.Timeout(LONG_SECONDS, read=0.5),
            )

        wait_for(caller, active=0)
        assert ok(caller.get(f"{path}/suggestions"))["count"] == 0


def test_where_every_connection_is_taken_a_request_is_told_to_come_back(few: Database) -> None:
    with serving(few) as (caller, _):
        path = waiting_experiment(caller)
        with contextlib.ExitStack() as held:
            for _ in range(POOL_SIZE):
                held.enter_context(few.transaction()).execute(text("select 1"))
            refused = caller.get(path)
            live = caller.http.get("/health/live")

        assert "try again" in refusal(refused, 503)
        assert live.status_code == 200
        ok(caller.get(path))


def test_a_process_that_closes_answers_those_who_wait_with_what_there_is(few: Database) -> None:
    with serving(few) as (caller, close), ThreadPoolExecutor(2) as pool:
        path = waiting_experiment(caller)
        asked = [pool.submit(caller.post, f"{path}/suggestions") for _ in range(2)]
        wait_for(caller, active=2)
        begun = time.monotonic()

        close()
        answers = [ok(each.result()) for each in asked]

        assert {answer["source"] for answer in answers} == {"space_filling"}
        assert time.monotonic() - begun < LONG_SECONDS / 2

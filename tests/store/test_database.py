from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg2
import psycopg2.errors
import pytest
from sqlalchemy import text

from tests.builders import make_experiment
from tests.conftest import Account
from tradeoff.errors import BadInput, Conflict, NotFound, StartError, Unavailable
from tradeoff.store import experiments
from tradeoff.store.database import Database, Session, connect, driver_url, plain_url


@pytest.fixture
def small(shared_database: Database) -> Iterator[Database]:
    """Two connections, and statements of at most a second."""
    database = connect(shared_database.url, pool_size=2, statement_timeout_seconds=1)
    yield database
    database.dispose()


def end_others(database: Database) -> None:
    """End every session but the one that does it."""
    with database.transaction() as session:
        session.execute(
            text(
                "select pg_terminate_backend(pid, 2000) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid() "
                "and application_name like 'tradeoff %'"
            )
        )


def one(database: Database) -> int:
    with database.transaction() as session:
        return int(session.execute(text("select 1")).scalar_one())


def test_addresses_get_and_lose_the_drivers_name() -> None:
    url = "postgresql://me:p%40ss@host:5433/db?sslmode=require"

    assert driver_url(url) == url.replace("postgresql:", "postgresql+psycopg2:")
    assert driver_url(url.replace("postgresql:", "postgres:")) == driver_url(url)
    assert plain_url(driver_url(url)) == url


@pytest.mark.parametrize("url", ["mysql://host/db", "sqlite:///file", "nonsense", "", "://"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(StartError, match="TRADEOFF_DATABASE_URL"):
        connect(url)


def test_what_is_raised_rolls_back(database: Database, account: Account) -> None:
    def fail() -> None:
        with database.transaction() as session:
            session.execute(text("update clients set name = 'other'"))
            raise BadInput("no")

    with pytest.raises(BadInput, match="no"):
        fail()

    with database.transaction() as session:
        assert session.scalar(text("select name from clients")) == "Acme"


def test_sessions_that_were_ended_between_requests_cost_nothing(
    shared_database: Database, small: Database
) -> None:
    assert one(small) == 1

    end_others(shared_database)

    assert one(small) == 1


def test_a_session_ended_in_a_transaction_is_an_outage_and_then_over(
    shared_database: Database, small: Database
) -> None:
    def lose() -> None:
        with small.transaction() as session:
            session.execute(text("select 1"))
            end_others(shared_database)
            session.execute(text("select 1"))

    with pytest.raises(Unavailable, match="database is away"):
        lose()
    assert one(small) == 1


@pytest.mark.parametrize(
    "gone", ["server closed the connection unexpectedly", "SSL SYSCALL error: EOF detected"]
)
def test_a_connection_that_breaks_within_an_answer_is_an_outage(small: Database, gone: str) -> None:
    """The driver then has no code of Postgres, and so no class of error that tells."""
    with pytest.raises(Unavailable, match="database is away"), small.transaction():
        raise psycopg2.DatabaseError(f"{gone}\n\tThis probably means the server terminated")


def test_a_session_ended_before_the_commit_is_an_outage(
    shared_database: Database, small: Database
) -> None:
    def lose() -> None:
        with small.transaction() as session:
            session.execute(text("select 1"))
            end_others(shared_database)

    with pytest.raises(Unavailable):
        lose()


def test_our_own_error_in_an_ended_session_stays_a_tradeoff_error(
    shared_database: Database, small: Database
) -> None:
    def lose() -> None:
        with small.transaction() as session:
            session.execute(text("select 1"))
            end_others(shared_database)
            raise NotFound("gone")

    with pytest.raises((NotFound, Unavailable)):
        lose()
    assert one(small) == 1


def test_an_unreachable_database_is_an_outage() -> None:
    database = connect("postgresql://nobody@127.0.0.1:1/none")

    with pytest.raises(Unavailable):
        one(database)
    database.dispose()


def test_an_exhausted_pool_is_busy_for_two_seconds(small: Database) -> None:
    with small.transaction() as first, small.transaction() as second:
        first.execute(text("select 1"))
        second.execute(text("select 1"))
        started = time.monotonic()
        with pytest.raises(Unavailable, match="busy"):
            one(small)
        assert 1.9 < time.monotonic() - started < 30

    assert one(small) == 1


def test_a_statement_that_takes_too_long_is_an_outage(small: Database) -> None:
    def sleep() -> None:
        with small.transaction() as session:
            session.execute(text("set local statement_timeout = '50ms'"))
            session.execute(text("select pg_sleep(5)"))

    with pytest.raises(Unavailable):
        sleep()


def test_a_lock_is_waited_for_less_long_than_a_statement_may_take(
    shared_database: Database,
) -> None:
    """Else a conflict would look like an outage."""
    with shared_database.transaction() as session:
        shorter = session.scalar(
            text("select current_setting('lock_timeout')::interval"
                 " < current_setting('statement_timeout')::interval")
        )  # fmt: skip

    assert shorter is True


def test_a_row_that_another_holds_is_a_conflict(
    shared_database: Database, shared_account: Account
) -> None:
    experiment_id = make_experiment(shared_database, shared_account)

    def change() -> None:
        with shared_database.transaction() as session:
            session.execute(text("set local lock_timeout = '50ms'"))
            experiments.lock(session, experiments.get(session, experiment_id))

    with shared_database.transaction() as session:
        experiments.lock(session, experiments.get(session, experiment_id))
        with pytest.raises(Conflict):
            change()


def test_a_deadlock_is_a_conflict(shared_database: Database, shared_account: Account) -> None:
    ids = [make_experiment(shared_database, shared_account) for _ in range(2)]
    barrier = threading.Barrier(2)
    seen: list[Exception] = []

    def lock(order: list[int]) -> None:
        try:
            with shared_database.transaction() as session:
                session.execute(text("set local deadlock_timeout = '50ms'"))
                experiments.lock(session, experiments.get(session, order[0]))
                barrier.wait(30)
                experiments.lock(session, experiments.get(session, order[1]))
        except Conflict as error:
            seen.append(error)

    threads = [threading.Thread(target=lock, args=(order,)) for order in (ids, ids[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(seen) == 1


def test_a_read_only_database_is_an_outage(small: Database) -> None:
    def write() -> None:
        with small.transaction() as session:
            session.execute(text("set transaction read only"))
            session.execute(text("update clients set name = 'x'"))

    with pytest.raises(Unavailable):
        write()


def test_our_own_mistakes_are_not_called_an_outage(small: Database) -> None:
    def mistake() -> None:
        with small.transaction() as session:
            session.execute(text("select * from nowhere"))

    with pytest.raises(Exception, match="nowhere") as caught:
        mistake()

    assert not isinstance(caught.value, Unavailable)


def test_errors_do_not_show_what_users_measured(small: Database) -> None:
    def mistake() -> None:
        with small.transaction() as session:
            session.execute(text("select cast(:secret as int)"), {"secret": "tdo_secret"})

    with pytest.raises(Exception, match="hidden") as caught:
        mistake()

    assert "[parameters: " not in str(caught.value)


def test_a_durable_database_is_accepted(database: Database) -> None:
    database.check_durability()


def test_a_database_that_may_lose_commits_is_refused(database: Database) -> None:
    connection = psycopg2.connect(database.url)
    connection.autocommit = True
    name = connection.info.dbname
    connection.cursor().execute(f'alter database "{name}" set synchronous_commit = off')
    connection.close()
    database.dispose()

    with pytest.raises(StartError, match="synchronous_commit=off"):
        database.check_durability()


def test_rows_can_be_read_after_the_commit(
    shared_database: Database, shared_account: Account
) -> None:
    experiment_id = make_experiment(shared_database, shared_account)
    with shared_database.transaction() as session:
        row = experiments.get(session, experiment_id)

    assert row.name == "test"


def test_a_reference_to_a_locked_experiment_does_not_wait(
    shared_database: Database, shared_account: Account
) -> None:
    """Handing a suggestion out goes on while a report holds the experiment."""
    experiment_id = make_experiment(shared_database, shared_account)

    def insert(session: Session) -> None:
        session.execute(text("set local lock_timeout = '50ms'"))
        session.execute(
            text(
                "insert into suggestions (experiment_id, state, assignments, assignments_hash, "
                "source) values (:id, 'ready', '{}', 'x', 'x')"
            ),
            {"id": experiment_id},
        )

    with shared_database.transaction() as holder:
        experiments.lock(holder, experiments.get(holder, experiment_id))
        with shared_database.transaction() as session:
            insert(session)

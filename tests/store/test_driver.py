from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import psycopg2.errors
import pytest
from sqlalchemy import text

from tests.builders import make_experiment
from tests.conftest import Account
from tradeoff.service.access import hash_secret
from tradeoff.store import accounts, clock, experiments
from tradeoff.store.database import Database, Session
from tradeoff.store.prepared import Query

NOTE = Query("insert into notes values (%(number)s)", {"number": "integer"})
NUMBERS = text("select number from notes order by number")


@pytest.fixture
def noted(shared_database: Database) -> Any:
    with shared_database.transaction() as session:
        session.execute(text("create table notes (number integer primary key)"))
    yield shared_database
    with shared_database.transaction() as session:
        session.execute(text("drop table notes"))


def numbers(database: Database) -> list[int]:
    with database.transaction() as session:
        return list(session.scalars(NUMBERS))


def trips(session: Session) -> Any:
    """How many messages came, as Postgres tells by the time of each."""
    return session.scalar(text("select statement_timestamp() = transaction_timestamp()"))


def test_begin_comes_with_the_first_statement_and_only_with_it(noted: Database) -> None:
    with noted.transaction() as session:
        assert trips(session)
        assert not trips(session)


def test_what_is_posted_goes_with_the_next_statement(noted: Database) -> None:
    with noted.transaction() as session:
        NOTE.post(session, number=1)
        NOTE.post(session, number=2)

        assert list(session.scalars(NUMBERS)) == [1, 2]

    assert numbers(noted) == [1, 2]


def test_what_is_posted_last_goes_with_the_commit(noted: Database) -> None:
    with noted.transaction() as session:
        NOTE.post(session, number=1)

    assert numbers(noted) == [1]


def test_what_is_posted_is_undone_with_the_transaction(noted: Database) -> None:
    for sent in (False, True):
        with pytest.raises(ZeroDivisionError), noted.transaction() as session:  # noqa: PT012  # the end of the block is what raises
            NOTE.post(session, number=1)
            if sent:
                assert list(session.scalars(NUMBERS)) == [1]
            raise ZeroDivisionError

    assert numbers(noted) == []


def test_nothing_is_committed_when_the_last_that_was_posted_fails(noted: Database) -> None:
    def note_twice() -> None:
        with noted.transaction() as session:
            NOTE.run(session, number=1)
            NOTE.post(session, number=2)
            NOTE.post(session, number=2)
            NOTE.post(session, number=3)

    with pytest.raises(psycopg2.errors.UniqueViolation):
        note_twice()

    assert numbers(noted) == []


def test_a_savepoint_takes_back_what_was_posted_in_it(noted: Database) -> None:
    with noted.transaction() as session:
        NOTE.post(session, number=1)
        with session.begin_nested() as attempt:
            NOTE.post(session, number=2)
            attempt.rollback()
        NOTE.post(session, number=3)

    assert numbers(noted) == [1, 3]


def test_what_acts_that_share_a_transaction_post_last_goes_with_the_commit_and_once(
    noted: Database,
) -> None:
    with noted.transaction(shared=True) as session:
        NOTE.post_last(session, number=1)
        NOTE.post_last(session, number=2)
        NOTE.post_last(session, number=1)
        NOTE.post(session, number=3)

        assert list(session.scalars(NUMBERS)) == [3]

    assert numbers(noted) == [1, 2, 3]


def test_what_is_posted_last_is_undone_with_its_transaction_or_its_savepoint(
    noted: Database,
) -> None:
    with pytest.raises(ZeroDivisionError), noted.transaction(shared=True) as session:  # noqa: PT012  # the end of the block is what raises
        NOTE.post_last(session, number=1)
        raise ZeroDivisionError
    with noted.transaction(shared=True) as session:
        with session.begin_nested() as attempt:
            NOTE.post_last(session, number=2)
            attempt.rollback()
        NOTE.post_last(session, number=3)

    assert numbers(noted) == [3]


def test_a_shared_transaction_waits_shortly_for_rows_and_the_next_one_as_ever(
    noted: Database,
) -> None:
    limit = text("show lock_timeout")
    usual = {session.scalar(limit) for session in transactions(noted, shared=False)}
    shared = {session.scalar(limit) for session in transactions(noted, shared=True)}

    assert (usual, shared) == ({"4s"}, {"250ms"})
    assert {session.scalar(limit) for session in transactions(noted, shared=False)} == usual


def transactions(database: Database, *, shared: bool) -> Iterator[Session]:
    """Three of them, one after the other."""
    for _ in range(3):
        with database.transaction(shared=shared) as session:
            yield session


def test_what_is_to_be_done_afterwards_is_done_when_it_is_committed(noted: Database) -> None:
    done: list[int] = []
    with pytest.raises(ZeroDivisionError), noted.transaction() as session:  # noqa: PT012  # the end of the block is what raises
        session.afterwards(lambda: done.append(1))
        raise ZeroDivisionError
    with noted.transaction() as session:
        session.afterwards(lambda: done.append(2))
        assert done == []

    assert done == [2]


def test_the_driver_and_sqlalchemy_share_one_transaction(noted: Database) -> None:
    """Whoever comes first: what one did the other sees, and both are undone or kept."""
    for driver_first in (True, False):
        for fails in (True, False):

            def note_both(driver_first: bool = driver_first, fails: bool = fails) -> None:
                with noted.transaction() as session:
                    if driver_first:
                        NOTE.run(session, number=1)
                    session.execute(text("insert into notes values (2)"))
                    if not driver_first:
                        NOTE.run(session, number=1)
                    assert list(session.scalars(NUMBERS)) == [1, 2]
                    session.execute(text(f"delete from notes where {not fails}"))
                    NOTE.post(session, number=3)
                    if fails:
                        raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError) if fails else nullcontext():
                note_both()

            assert numbers(noted) == ([] if fails else [3])
            with noted.transaction() as session:
                session.execute(text("delete from notes"))


def test_what_was_changed_is_written_though_only_the_driver_was_asked(
    shared_database: Database, shared_account: Account
) -> None:
    experiment_id = make_experiment(shared_database, shared_account)
    with shared_database.transaction() as session:
        asked = [accounts.Asked(experiment_id=experiment_id)]
        known = accounts.find_token(session, hash_secret(shared_account.token), asked)
        assert known is not None
        experiment = known.along[0].experiment
        assert experiment is not None
        experiment.name = "another"

    with shared_database.transaction() as session:
        assert experiments.get(session, experiment_id).name == "another"


def test_one_moment_for_a_whole_transaction_and_not_for_the_next(shared_database: Database) -> None:
    level = text("show transaction_isolation")
    for _ in range(2):
        with shared_database.transaction() as session:
            clock.stop(session)
            assert session.scalar(level) == "repeatable read"
        with shared_database.transaction() as session:
            assert session.scalar(level) == "read committed"

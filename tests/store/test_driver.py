from __future__ import annotations

from typing import Any

import psycopg2.errors
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tradeoff.store import clock
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

    with pytest.raises(IntegrityError) as caught:
        note_twice()

    assert isinstance(caught.value.orig, psycopg2.errors.UniqueViolation)
    assert numbers(noted) == []


def test_a_savepoint_takes_back_what_was_posted_in_it(noted: Database) -> None:
    with noted.transaction() as session:
        NOTE.post(session, number=1)
        with session.begin_nested() as attempt:
            NOTE.post(session, number=2)
            attempt.rollback()
        NOTE.post(session, number=3)

    assert numbers(noted) == [1, 3]


def test_one_moment_for_a_whole_transaction_and_not_for_the_next(shared_database: Database) -> None:
    level = text("show transaction_isolation")
    for _ in range(2):
        with shared_database.transaction() as session:
            clock.stop(session)
            assert session.scalar(level) == "repeatable read"
        with shared_database.transaction() as session:
            assert session.scalar(level) == "read committed"

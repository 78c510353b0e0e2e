from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import BigInteger, Text, bindparam, func, select, text
from sqlalchemy import values as sql_values
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import column

from tradeoff.store import opening
from tradeoff.store.database import Database, Session
from tradeoff.store.prepared import prepare


@pytest.fixture
def fast_switching() -> Iterator[None]:
    """Threads take turns so often that a race is lost soon."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def word(constant: str) -> Any:
    """A statement with one constant and two parameters."""
    given = sql_values(column("state", Text), name="given").data([(constant,)])
    return prepare(
        select(given.c.state, bindparam("number", type_=BigInteger), func.length("100%")).where(
            given.c.state == bindparam("state", type_=Text)
        )
    )


def plans(session: Session) -> list[str]:
    query = text("select statement from pg_prepared_statements order by name")
    return list(session.scalars(query))


def ask(session: Session, statement: Any, **parameters: Any) -> list[Any]:
    return list(session.execute(statement, parameters).all())


def test_a_statement_is_planned_once_and_asked_with_other_parameters(
    shared_database: Database,
) -> None:
    shared_database.engine.dispose()
    open_ones = word("open")
    with shared_database.transaction() as session:
        assert ask(session, open_ones, number=2**40, state="open") == [("open", 2**40, 4)]
        assert ask(session, open_ones, number=None, state="open") == [("open", None, 4)]
        assert ask(session, open_ones, number=1, state="it's") == []

        (plan,) = plans(session)

    # The constant is in the plan, and not a parameter of it.
    assert "'open'" in plan
    assert "prepare tradeoff_0 (BIGINT, TEXT) as" in plan


def test_a_plan_survives_the_end_of_its_transaction(shared_database: Database) -> None:
    shared_database.engine.dispose()
    for rolls_back in (True, False):
        with shared_database.transaction() as session:
            assert ask(session, word("open"), number=1, state="open") == [("open", 1, 4)]
            if rolls_back:
                session.rollback()

    with shared_database.transaction() as session:
        assert len(plans(session)) == 1


def test_another_constant_in_the_same_text_is_not_mistaken_for_the_first(
    shared_database: Database,
) -> None:
    shared_database.engine.dispose()
    with shared_database.transaction() as session:
        assert ask(session, word("open"), number=1, state="open") == [("open", 1, 4)]

        assert ask(session, word("closed"), number=1, state="open") == []
        assert ask(session, word("closed"), number=1, state="closed") == [("closed", 1, 4)]


def test_without_the_option_nothing_is_prepared(shared_database: Database) -> None:
    shared_database.engine.dispose()
    with shared_database.transaction() as session:
        session.execute(select(func.length("x")))

        assert plans(session) == []


def test_threads_that_share_a_new_statement_compile_the_same(
    fast_switching: None,
) -> None:
    """SQLAlchemy fills what it looks columns up in at the first look, without a lock."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy has no types here
    for _ in range(20):
        opening._opening_of_own.cache_clear()
        statement = opening._opening_of_own()

        def compiled(_number: int, statement: Any = statement) -> str:
            return str(statement.compile(dialect=dialect))

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(compiled, range(8)))) == 1

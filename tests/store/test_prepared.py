from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Text, bindparam, func, select, text
from sqlalchemy import values as sql_values
from sqlalchemy.sql import column

from tradeoff.store.database import Database, Session
from tradeoff.store.prepared import PREPARED


def word(constant: str) -> Any:
    """A statement with one constant and two parameters."""
    given = sql_values(column("state", Text), name="given").data([(constant,)])
    return (
        select(given.c.state, bindparam("number", type_=BigInteger), func.length("100%"))
        .where(given.c.state == bindparam("state", type_=Text))
        .execution_options(**PREPARED)
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

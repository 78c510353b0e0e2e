"""Statements that a connection plans once: those that every request asks.

Planning them took Postgres longer than doing them, each time. The driver has no prepared
statements of its own; SQL has. There are two ways to ask for it:

- `prepare` marks a statement of SQLAlchemy's, which is then run as any other. It is put together
  once, and what varies are `bindparam`s with a name and a type. Whatever else SQLAlchemy makes a
  parameter of, such as the 'open' in `state == 'open'`, is written into the plan, which could not
  use an index of the open ones otherwise.
- A `Query` goes past SQLAlchemy to the driver, within the same transaction. Running a statement
  costs SQLAlchemy five times what it costs the driver, and asking and reporting were mostly that.
  `entities` makes of its rows what SQLAlchemy would.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import psycopg2.extensions
from sqlalchemy import Executable
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import ExecutionContext
from sqlalchemy.sql.compiler import SQLCompiler

from tradeoff.store.sessions import Session

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy has no types here
Statement = TypeVar("Statement", bound=Executable)

PLACEHOLDER = re.compile(r"%\((\w+)\)s")


def prepare(statement: Statement) -> Statement:
    """Mark a statement that all threads share as one that each connection plans once.

    It is compiled before anybody else sees it. SQLAlchemy looks columns up in an index that it
    fills at the first look; a second thread that looks meanwhile misses some and leaves the
    statement wrong: a column of a common table expression became one of the table itself, and
    the join with every row of that.
    """
    statement.compile(dialect=_DIALECT)  # type: ignore[attr-defined]  # whatever can be run has it
    return statement.execution_options(prepared=True)


class Query:
    """A statement that each connection plans once, run by the driver itself.

    Args:
        text: SQL, with the placeholders `%(name)s` of psycopg2.
        types: the type that SQL knows each varying placeholder by.
        constants: what is written into the plan, by the other placeholders.
    """

    _numbers = itertools.count()

    def __init__(
        self, text: str, types: Mapping[str, str], constants: Mapping[str, Any] | None = None
    ) -> None:
        self.text = text
        self._name = f"tradeoff_query_{next(self._numbers)}"
        self._constants = dict(constants or {})
        self._documents = [key for key, kind in types.items() if kind.lower() == "jsonb"]
        numbers = {key: f"${number}" for number, key in enumerate(types, start=1)}
        body = PLACEHOLDER.sub(lambda found: numbers.get(found[1], found[0]), text)
        self._plan = f"prepare {self._name} {_listed(types.values())} as {body}"
        self._call = f"execute {self._name} {_listed(f'%({key})s' for key in types)}"

    @classmethod
    def of(cls, statement: Executable) -> Query:
        """One that SQLAlchemy put together: what varies are `bindparam`s with a name and a type."""
        compiled: SQLCompiler = statement.compile(dialect=_DIALECT)  # type: ignore[attr-defined]  # whatever can be run has it
        types = _types_of(compiled)
        # Lists of constants are written out.
        expanded = compiled.construct_expanded_state(dict.fromkeys(types))
        constants = {key: each for key, each in expanded.parameters.items() if key not in types}
        return cls(expanded.statement, types, constants)

    def run(self, session: Session, **parameters: Any) -> list[tuple[Any, ...]]:
        """Run it in the transaction of a session, and give its rows as the driver does."""
        cursor = self._prepared(session, parameters)
        cursor.execute(self._call, self._adapted(parameters))
        rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
        return rows

    def post(self, session: Session, **parameters: Any) -> None:
        """Let it run with the next statement or the commit: nobody waits for its answer.

        What it raises is raised there.
        """
        cursor = self._prepared(session, parameters)
        cursor.connection.post(cursor.mogrify(self._call, self._adapted(parameters)))

    def post_last(self, session: Session, **parameters: Any) -> None:
        """As `post`, but once for all acts that share a transaction, with their commit.

        Within a savepoint, which may take it back, it is posted as any other.
        """
        if not session.shared or session.in_nested_transaction():
            self.post(session, **parameters)
            return
        cursor = self._prepared(session, parameters)
        cursor.connection.post_last(cursor.mogrify(self._call, self._adapted(parameters)))

    def _prepared(self, session: Session, parameters: dict[str, Any]) -> Any:
        """A cursor of a connection that knows the plan."""
        session.flush()  # as SQLAlchemy does before it asks
        connection = session.driver()
        cursor: Any = connection.cursor()
        if session.shown is not None:
            # Whoever listens to SQLAlchemy hears of it as of any other statement.
            session.shown.dispatch.before_cursor_execute(
                session.shown, cursor, self.text, {**self._constants, **parameters}, None, False
            )
        if self._name not in connection.planned:
            cursor.execute(self._plan, self._constants)
            connection.planned.add(self._name)
        return cursor

    def _adapted(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """What the driver understands: JSON is a text to it."""
        texts = {
            key: json.dumps(parameters[key])
            for key in self._documents
            if parameters[key] is not None
        }
        return {**parameters, **texts}


def _listed(parts: Any) -> str:
    """What EXECUTE and PREPARE want in parentheses, which must not be empty."""
    listed = ", ".join(parts)
    return f"({listed})" if listed else ""


def _types_of(compiled: Any) -> dict[str, str]:
    """The SQL types of what varies in a statement."""
    types = compiled.dialect.type_compiler_instance
    return {key: types.process(bind.type) for key, bind in compiled.binds.items() if bind.required}


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement that a connection has prepared.

    Attributes:
        call: the SQL that runs it.
        constants: what was written into it, by the name of the parameter.
    """

    call: str
    constants: dict[str, Any]


#: What each connection has prepared, by the text of the statement.
_plans: WeakKeyDictionary[psycopg2.extensions.connection, dict[str, Plan]] = WeakKeyDictionary()


def execute(
    cursor: psycopg2.extensions.cursor,
    statement: str,
    parameters: dict[str, Any],
    context: ExecutionContext,
) -> bool:
    """Run a statement by a plan that its connection keeps, if it has the option.

    Returns:
        Whether it was done here; SQLAlchemy goes on as usual otherwise.
    """
    if not context.execution_options.get("prepared"):
        return False
    plans = _plans.setdefault(cursor.connection, {})
    plan = plans.get(statement)
    if plan is None:
        assert isinstance(context.compiled, SQLCompiler)
        name = f"tradeoff_{len(plans)}"
        plan = plans[statement] = _prepare(cursor, name, statement, parameters, context.compiled)
    elif any(parameters[name] != value for name, value in plan.constants.items()):
        # Another statement of the same text; only the first one is worth a plan.
        return False
    cursor.execute(plan.call, parameters)
    return True


def _prepare(
    cursor: psycopg2.extensions.cursor,
    name: str,
    statement: str,
    parameters: dict[str, Any],
    compiled: SQLCompiler,
) -> Plan:
    varying = _types_of(compiled)
    numbers = {key: f"${number}" for number, key in enumerate(varying, start=1)}
    body = PLACEHOLDER.sub(lambda found: numbers.get(found[1], found[0]), statement)
    cursor.execute(f"prepare {name} {_listed(varying.values())} as {body}", parameters)
    constants = {key: value for key, value in parameters.items() if key not in varying}
    return Plan(f"execute {name} {_listed(f'%({key})s' for key in varying)}", constants)

"""Statements that a connection plans once: those that every request asks.

Planning them took Postgres longer than doing them, each time. The driver has no prepared
statements of its own; SQL has. A statement asks for it by `prepare`: it is put together once, and
what varies are `bindparam`s with a name and a type. Whatever
else SQLAlchemy makes a parameter of, such as the 'open' in `state == 'open'`, is written into the
plan, which could not use an index of the open ones otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import psycopg2.extensions
from sqlalchemy import Executable
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import ExecutionContext
from sqlalchemy.sql.compiler import SQLCompiler

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
    types = compiled.dialect.type_compiler_instance
    varying = {
        key: types.process(bind.type) for key, bind in compiled.binds.items() if bind.required
    }
    numbers = {key: f"${number}" for number, key in enumerate(varying, start=1)}
    body = PLACEHOLDER.sub(lambda found: numbers.get(found[1], found[0]), statement)
    declared = f" ({', '.join(varying.values())})" if varying else ""
    cursor.execute(f"prepare {name}{declared} as {body}", parameters)
    given = f" ({', '.join(f'%({key})s' for key in varying)})" if varying else ""
    constants = {key: value for key, value in parameters.items() if key not in varying}
    return Plan(f"execute {name}{given}", constants)

"""Every version of the schema, with a row in each of its tables, brought up to date."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, MetaData, Table, create_engine, select, types

from tests.builders import make_spec
from tests.store.test_migrations import empty_url, upgrade_to
from tradeoff.store import migrations, tables
from tradeoff.store.database import connect, driver_url

__all__ = ["empty_url"]

#: What a constraint, or whoever reads it, wants of a column.
WANTED: dict[tuple[str, str], Any] = {
    ("experiments", "spec"): make_spec().model_dump(mode="json"),
    ("experiments", "state"): "active",
    ("suggestions", "state"): "open",
    ("training_runs", "state"): "active",
    ("tokens", "role"): "write",
    ("permissions", "role"): "read",
    ("audit_entries", "origin"): "command",
}


# SQLAlchemy cannot make again every index that it reads; nobody asks it to.
@pytest.mark.filterwarnings("ignore:Can't validate argument:sqlalchemy.exc.SAWarning")
def test_rows_of_every_version_reach_the_newest_one_as_they_were(empty_url: str) -> None:
    """Step by step, and before each one there are rows that each earlier version wrote."""
    steps = ScriptDirectory.from_config(migrations._config()).walk_revisions()
    versions = [step.revision for step in reversed(list(steps))]
    engine = create_engine(driver_url(empty_url))
    stored: dict[str, list[dict[str, Any]]] = {}
    for number, version in enumerate(versions, 1):
        upgrade_to(empty_url, version)
        with engine.begin() as connection:
            assert lost(connection, stored) == [], f"on the way to {version}"
            fill(connection, number)
            stored = read(connection)
    engine.dispose()

    migrations.check(empty_url)
    counts = {name: len(rows) for name, rows in stored.items()}
    assert counts["observations"] == len(versions)
    assert set(counts) >= set(tables.Base.metadata.tables)
    assert all(counts.values()), counts
    database = connect(empty_url)
    with database.transaction() as session:
        for mapper in tables.Base.registry.mappers:
            assert session.scalars(select(mapper.class_)).all()
    database.dispose()


def fill(connection: Connection, number: int) -> None:
    """One more row in every table of ours."""
    schema = MetaData()
    schema.reflect(connection)
    ids: dict[str, dict[str, Any]] = {}
    waiting = [table for table in schema.tables.values() if table.name != "alembic_version"]
    while waiting:
        # The first of those that need none of the others; no two need each other.
        table = next(each for each in waiting if required(each) <= ids.keys())
        values = {column.name: value for column, value in values_of(table, ids, number)}
        row = connection.execute(table.insert().values(values).returning(*table.c)).one()
        ids[table.name] = dict(row._mapping)
        waiting.remove(table)


def required(table: Table) -> set[str]:
    """The tables of which a row must be there before one of this table."""
    columns = [column for column in table.c if not column.nullable]
    return {key.column.table.name for column in columns for key in column.foreign_keys}


def values_of(
    table: Table, ids: dict[str, dict[str, Any]], number: int
) -> Iterator[tuple[Column[Any], Any]]:
    """A value for every column that has none by itself."""
    for column in table.c:
        wanted = WANTED.get((table.name, column.name))
        reference = next(iter(column.foreign_keys), None)
        if wanted is not None:
            yield column, wanted
        elif reference is not None:
            # Of two tables that may name each other the first one does without.
            row = ids.get(reference.column.table.name)
            if row is not None:
                yield column, row[reference.column.name]
        elif column.server_default is None and column.autoincrement is not True:
            yield column, value_of(column, number)


def value_of(column: Column[Any], number: int) -> Any:
    """One of its type, and another one for each row."""
    match column.type:
        case types.Boolean():
            return False
        case types.Integer() | types.Float():
            return number
        case types.LargeBinary():
            return str(number).encode()
        case types.DateTime():
            return datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        case types.JSON():
            return {}
        case _:
            return f"{column.name} {number}"


def read(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table of ours."""
    names = [n for n in sqlalchemy.inspect(connection).get_table_names() if n != "alembic_version"]
    query = "select to_jsonb(t) from {} t order by to_jsonb(t)::text"
    return {
        name: list(connection.exec_driver_sql(query.format(f'"{name}"')).scalars())
        for name in names
    }


def lost(
    connection: Connection, before: dict[str, list[dict[str, Any]]]
) -> list[tuple[str, dict[str, Any]]]:
    """Rows of before that are not there any more with every column that they had."""
    now = read(connection)
    return [
        (name, row)
        for name, rows in before.items()
        for row in rows
        if not any(row.items() <= each.items() for each in now.get(name, []))
    ]

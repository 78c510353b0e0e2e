from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
import pytest
from alembic import command
from sqlalchemy import create_engine, inspect, text

from tests.builders import make_account, make_experiment, make_spec, observe
from tests.conftest import _administer, _url_of
from tradeoff.errors import StartError
from tradeoff.store import migrations, queue
from tradeoff.store.database import connect, driver_url
from tradeoff.store.tables import Experiment, Observation, Suggestion


@pytest.fixture
def empty_url(postgres_url: str) -> Iterator[str]:
    """The address of a database with nothing in it."""
    name = "empty_" + uuid.uuid4().hex[:12]
    _administer(postgres_url, "create database {}", name)
    yield _url_of(postgres_url, name)
    _administer(postgres_url, "drop database {} with (force)", name)


def run(url: str, statement: str, *parameters: object) -> list[Any]:
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows = cursor.fetchall() if cursor.description else []
    connection.close()
    return rows


def upgrade_to(url: str, revision: str) -> None:
    """As a developer's `alembic upgrade` does, on a connection without a lock."""
    engine = create_engine(driver_url(url))
    with engine.connect() as connection:
        config = migrations._config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
    engine.dispose()


def test_from_nothing_to_the_head_and_again(empty_url: str) -> None:
    assert migrations.current(empty_url) is None
    with pytest.raises(StartError, match=r"version none .* run `tradeoff migrate`"):
        migrations.check(empty_url)

    migrations.upgrade(empty_url)
    migrations.upgrade(empty_url)

    assert migrations.current(empty_url) == migrations.head()
    migrations.check(empty_url)


def test_several_at_once_take_turns(empty_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(migrations.upgrade, empty_url) for _ in range(4)]:
            done.result()

    assert migrations.current(empty_url) == migrations.head()
    held = run(empty_url, "select count(*) from pg_locks where locktype = 'advisory'")
    assert held == [(0,)]


def test_a_newer_database_is_refused_and_left_as_it_is(database_url: str) -> None:
    run(database_url, "update alembic_version set version_num = '9999'")

    for act in (migrations.upgrade, migrations.check):
        with pytest.raises(StartError, match=r"9999, which is newer"):
            act(database_url)

    assert migrations.current(database_url) == "9999"


def test_an_older_database_is_refused_until_it_is_migrated(empty_url: str) -> None:
    upgrade_to(empty_url, "0001")

    with pytest.raises(StartError, match="version 0001 and this program needs"):
        migrations.check(empty_url)


def test_a_step_that_fails_leaves_nothing_of_itself(empty_url: str) -> None:
    run(empty_url, "create schema jobs")  # in the way of the second step

    with pytest.raises(Exception, match="already exists"):
        migrations.upgrade(empty_url)

    assert migrations.current(empty_url) == "0001"
    run(empty_url, "drop schema jobs")
    migrations.upgrade(empty_url)
    migrations.check(empty_url)


def test_rows_of_the_first_version_survive_the_later_ones(empty_url: str) -> None:
    upgrade_to(empty_url, "0001")
    ((client_id,),) = run(
        empty_url,
        "with o as (insert into organizations (name) values ('Acme') returning id) "
        "insert into clients (organization_id, name) select id, 'Acme' from o returning id",
    )
    spec = make_spec().model_dump_json()
    ((experiment_id,),) = run(
        empty_url,
        "insert into experiments (client_id, name, spec, seed, observation_count) "
        "values (%s, 'old', %s, 1, 1) returning id",
        client_id,
        spec,
    )
    assignments = '{"activation": "relu", "filters": 8, "learning_rate": 0.001}'
    ((suggestion_id,),) = run(
        empty_url,
        "insert into suggestions (experiment_id, state, assignments, assignments_hash, source) "
        "values (%s, 'closed', %s, 'h', 'model') returning id",
        experiment_id,
        assignments,
    )
    values = '{"accuracy": {"value": 1, "value_stddev": null}, "inference_ms": {"value": 2}}'
    run(
        empty_url,
        "insert into observations (experiment_id, suggestion_id, assignments, assignments_hash, "
        'failed, "values") values (%s, %s, %s, %s, false, %s)',
        experiment_id,
        suggestion_id,
        assignments,
        b"h",
        values,
    )

    migrations.upgrade(empty_url)

    database = connect(empty_url)
    with database.transaction() as session:
        assert session.get_one(Experiment, experiment_id).spec == make_spec()
        assert session.get_one(Suggestion, suggestion_id).state == "closed"
        (observation,) = session.query(Observation).all()
        assert observation.values["accuracy"]["value"] == 1
        queue.defer_refresh(session, experiment_id, client_id=1)
    database.dispose()


def test_a_used_database_can_be_migrated_again(database_url: str) -> None:
    database = connect(database_url)
    account = make_account(database, "Acme")
    observe(database, account, make_experiment(database, account), count=3)
    database.dispose()
    before = run(database_url, "select count(*), max(id) from observations")

    migrations.upgrade(database_url)

    assert run(database_url, "select count(*), max(id) from observations") == before


def test_the_tables_page_and_the_migrations_agree(database_url: str) -> None:
    """On a plain connection, without our search path, as a developer's tool has it."""
    engine = create_engine(driver_url(database_url))
    with engine.connect() as connection:
        config = migrations._config()
        config.attributes["connection"] = connection
        command.check(config)
    engine.dispose()


def test_every_foreign_key_has_an_index(database_url: str) -> None:
    """Its columns lead some index that covers all rows."""
    engine = create_engine(driver_url(database_url))
    seen = inspect(engine)
    missing = []
    for table in seen.get_table_names():
        leading = [tuple(seen.get_pk_constraint(table)["constrained_columns"])]
        leading += [
            tuple(name for name in index["column_names"] if name is not None)
            for index in seen.get_indexes(table)
            if "postgresql_where" not in index.get("dialect_options", {})
        ]
        missing += [
            f"{table}.{', '.join(columns)}"
            for key in seen.get_foreign_keys(table)
            if (columns := tuple(key["constrained_columns"]))
            and not any(index[: len(columns)] == columns for index in leading)
        ]
    engine.dispose()

    assert missing == []


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("experiments", "state = 'done'"),
        ("suggestions", "state = 'lost'"),
        ("tokens", "role = 'root'"),
    ],
)
def test_states_and_roles_are_a_closed_set(database_url: str, table: str, values: str) -> None:
    database = connect(database_url)
    account = make_account(database, "Acme")
    make_experiment(database, account)

    def change() -> None:
        with database.transaction() as session:
            session.execute(text(f"update {table} set {values}"))

    with pytest.raises(Exception, match=f"ck_{table}_"):
        change()
    database.dispose()


def test_a_step_gives_way_and_tries_again(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long transaction holds a table that a step changes: those behind it are not held up."""
    upgrade_to(empty_url, "0002")
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(migrations, "PAUSE_SECONDS", 0.2)
    holder = psycopg2.connect(empty_url)
    with holder.cursor() as cursor, ThreadPoolExecutor(1) as pool:
        cursor.execute("select count(*) from suggestions")
        upgrading = pool.submit(migrations.upgrade, empty_url)
        with pytest.raises(TimeoutError):
            upgrading.result(timeout=1.5)
        # It waits for the table only now and then, so others get at it.
        run(empty_url, "set lock_timeout = '20s'; select count(*) from suggestions")
        holder.rollback()
        upgrading.result(timeout=240)
    holder.close()

    migrations.check(empty_url)


def test_a_database_that_is_never_free_is_left_as_it_was(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade_to(empty_url, "0002")
    for name, value in {"LOCK_TIMEOUT_SECONDS": 0.1, "PAUSE_SECONDS": 0.01, "TRIES": 3}.items():
        monkeypatch.setattr(migrations, name, value)
    holder = psycopg2.connect(empty_url)
    with holder.cursor() as cursor:
        cursor.execute("select count(*) from suggestions")

        with pytest.raises(StartError, match="too busy to be migrated"):
            migrations.upgrade(empty_url)

    holder.close()
    assert migrations.current(empty_url) == "0002"
    migrations.upgrade(empty_url)
    migrations.check(empty_url)


@pytest.mark.parametrize(
    ("before", "index"), [("0007", "ix_suggestions_listed"), ("0010", "ix_suggestions_ready")]
)
def test_an_index_that_was_interrupted_is_made_anew(
    empty_url: str, before: str, index: str
) -> None:
    """What a killed `create index concurrently` leaves has the name of the new one, and no use."""
    upgrade_to(empty_url, before)
    run(empty_url, f"create index {index}_new on suggestions (id)")

    migrations.upgrade(empty_url)

    rows = run(
        empty_url,
        "select indexrelid::regclass::text, indisvalid from pg_index "
        "where indrelid = 'suggestions'::regclass",
    )
    names = {name for name, _ in rows}
    assert all(valid for _, valid in rows)
    assert {index, "ix_suggestions_worker"} <= names
    assert not any(name.endswith("_new") for name in names)

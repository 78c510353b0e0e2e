"""The account of the database that API and workers need: no more than rows (T15)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from tests.builders import make_account, make_experiment, observe
from tests.conftest import _administer
from tests.store.test_migrations import run
from tradeoff.service import erasure, experiments, upkeep
from tradeoff.service.retention import Retention
from tradeoff.store import migrations, queue, tables
from tradeoff.store.database import Database, connect

GUIDE = Path(__file__).parents[2] / "docs" / "hosting.md"
OLD_ENTRY = text(
    "insert into audit_entries "
    "(created, organization_id, origin, action, kind, object_id, details) "
    "select now() - interval '2 days', id, 'command', 'old', 'x', 1, '{}' from organizations"
)


def documented() -> list[str]:
    """What an operator is told to type, but for the account itself and its password."""
    (block,) = re.findall("```sql\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    create, *grants = [each.strip() for each in block.split(";") if each.strip()]
    assert create.startswith("create role tradeoff_app login")
    return grants


@pytest.fixture
def bound(database_url: str) -> Iterator[Database]:
    """The database, for an account that owns nothing of it."""
    name = "role_" + uuid.uuid4().hex[:12]
    _administer(database_url, "create role {} login", name)
    for statement in documented():
        run(database_url, statement.replace("tradeoff_app", name))
    url = make_url(database_url).set(username=name).render_as_string(hide_password=False)
    database = connect(url)
    yield database
    database.dispose()
    run(database_url, f"drop owned by {name}; drop role {name}")


def test_an_account_without_ddl_is_enough_to_serve_and_to_keep(bound: Database) -> None:
    """Asking, reporting, the queue, upkeep with all that it takes away, and erasing a client."""
    migrations.check(bound.url)
    account = make_account(bound, "Acme")
    experiment_id = make_experiment(bound, account)
    observe(bound, account, experiment_id, count=2)
    with bound.transaction() as session:
        queue.defer_refresh(session, experiment_id, client_id=account.client_id)
        experiments.delete(session, session.get_one(tables.Experiment, experiment_id))
        session.flush()
        session.execute(text("update experiments set updated = now() - interval '2 days'"))
        session.execute(OLD_ENTRY)
    day = timedelta(days=1)
    upkeep.do_once(bound, kept=Retention(audit=day, deleted=day))
    with bound.transaction() as session:
        assert session.get(tables.Experiment, experiment_id) is None
        actions = session.scalars(select(tables.AuditEntry.action)).all()
        assert "old" not in actions
        assert "experiment.delete" in actions
        erasure.erase(session, None, session.get_one(tables.Client, account.client_id))
    erasure.finish(bound, account.client_id)
    with bound.transaction() as session:
        assert session.get(tables.Client, account.client_id) is None


def test_what_later_migrations_bring_is_open_to_the_account(
    bound: Database, database_url: str
) -> None:
    run(database_url, "create table later (id bigserial primary key, word text)")
    with bound.transaction() as session:
        session.execute(text("insert into later (word) values ('new')"))
        session.execute(text("update later set word = 'newer'"))
        assert session.scalar(text("delete from later returning word")) == "newer"


def test_an_account_without_ddl_changes_no_schema_and_leaves_the_database(bound: Database) -> None:
    for statement in (
        "create table mine (id bigint)",
        "drop table experiments",
        "alter table audit_entries disable trigger all",
        "truncate observations",
        "create role other",
        "copy clients to program 'cat'",
    ):
        with (
            pytest.raises(ProgrammingError, match=r"must be owner|permission denied"),
            bound.transaction() as session,
        ):
            session.execute(text(statement))

"""Copies of the whole database, taken while it is at work, and brought back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.builders import make_account, make_experiment, observe
from tests.conftest import Account
from tests.store.test_migrations import empty_url, run, upgrade_to
from tradeoff.errors import StartError
from tradeoff.store import backups, migrations
from tradeoff.store.database import Database, connect

__all__ = ["empty_url"]

COUNTS = "select observation_count, (select count(*) from observations) from experiments"


@pytest.fixture
def used(database: Database, account: Account) -> tuple[Database, Account, int]:
    """A database with an experiment and two observations."""
    experiment = make_experiment(database, account)
    observe(database, account, experiment, count=2)
    return database, account, experiment


def test_a_copy_of_a_database_at_work_is_whole_and_can_be_worked_on(
    used: tuple[Database, Account, int], empty_url: str, tmp_path: Path
) -> None:
    database, account, experiment = used
    acknowledged = 2
    stopping, at_work = threading.Event(), threading.Event()

    def go_on() -> None:
        nonlocal acknowledged
        while not stopping.is_set():
            observe(database, account, experiment, count=1)
            acknowledged += 1
            if acknowledged == 5:
                at_work.set()

    loop = threading.Thread(target=go_on)
    loop.start()
    try:
        assert at_work.wait(60)
        before = acknowledged
        backups.dump(database.url, tmp_path / "copy")
        after = acknowledged
    finally:
        stopping.set()
        loop.join()

    assert backups.restore(empty_url, tmp_path / "copy") == migrations.head()

    # One more may have been stored, and not counted here yet.
    ((counted, stored),) = run(empty_url, COUNTS)
    assert before <= stored <= after + 1
    assert counted == stored
    assert (tmp_path / "copy").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
    migrations.check(empty_url)
    restored = connect(empty_url)
    observe(restored, account, experiment, count=2)
    restored.dispose()
    assert run(empty_url, COUNTS) == [(stored + 2, stored + 2)]
    with pytest.raises(Exception, match="can only be added to"):
        run(empty_url, "delete from audit_entries")


def test_what_is_there_is_given_up_only_when_told(
    used: tuple[Database, Account, int], empty_url: str, tmp_path: Path
) -> None:
    database, *_ = used
    backups.dump(database.url, tmp_path / "copy")
    with pytest.raises(StartError, match="is there already"):
        backups.dump(database.url, tmp_path / "copy")
    migrations.upgrade(empty_url)
    kept = connect(empty_url)
    make_account(kept, "Kept")
    with pytest.raises(StartError, match="at work on this database"):
        backups.restore(empty_url, tmp_path / "copy", replace=True)
    kept.dispose()

    with pytest.raises(StartError, match="not empty"):
        backups.restore(empty_url, tmp_path / "copy")
    assert run(empty_url, "select name from clients") == [("Kept",)]

    backups.restore(empty_url, tmp_path / "copy", replace=True)

    assert run(empty_url, "select name from clients") == run(
        database.url, "select name from clients"
    )
    left = "select nspname from pg_namespace where nspname ~ 'before'"
    assert run(empty_url, left) == []


def test_a_file_that_is_not_whole_leaves_everything_as_it_was(
    used: tuple[Database, Account, int], empty_url: str, tmp_path: Path
) -> None:
    database, *_ = used
    whole = tmp_path / "whole"
    backups.dump(database.url, whole)
    migrations.upgrade(empty_url)
    content = whole.read_bytes()
    for size in (0, 100, len(content) // 2, len(content) - 200):
        (tmp_path / "part").write_bytes(content[:size])

        with pytest.raises(StartError):
            backups.restore(empty_url, tmp_path / "part", replace=True)

        migrations.check(empty_url)
    with pytest.raises(StartError, match="no file"):
        backups.restore(empty_url, tmp_path / "nothing")


def test_a_copy_of_an_older_release_is_brought_up_to_date_and_a_newer_one_refused(
    empty_url: str, database_url: str, tmp_path: Path
) -> None:
    with pytest.raises(StartError, match="holds nothing"):
        backups.dump(empty_url, tmp_path / "copy")
    upgrade_to(empty_url, "0012")
    run(empty_url, "insert into organizations (name) values ('Old')")
    backups.dump(empty_url, tmp_path / "old")

    assert backups.restore(database_url, tmp_path / "old", replace=True) == "0012"

    migrations.check(database_url)
    assert run(database_url, "select name from organizations") == [("Old",)]
    run(database_url, "update alembic_version set version_num = '9999'")
    backups.dump(database_url, tmp_path / "new")
    with pytest.raises(StartError, match="newer than this program"):
        backups.restore(empty_url, tmp_path / "new", replace=True)
    assert migrations.current(empty_url) == "0012"

"""The schema changed, the database copied and restored, while loops are at work."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import _administer, _url_of
from tests.faults import load
from tests.faults.processes import Stack, on_demand
from tradeoff.store import backups, migrations

ROOT = Path(__file__).parents[2]
#: The last commit whose newest migration is 0002: the release before.
BEFORE = "8f0e86d"


@pytest.fixture
def old_source(tmp_path: Path) -> Path:
    """The release before, from the repository's past."""
    target = tmp_path / "old"
    target.mkdir()
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("needs the repository's past")
    archive = subprocess.run(
        [git, "-C", str(ROOT), "archive", BEFORE, "src", "migrations"],
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        pytest.skip("needs the repository's past, of which this clone has too little")
    subprocess.run(["tar", "-x", "-C", str(target)], input=archive.stdout, check=True)
    return target


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_migration_while_the_release_before_serves(tmp_path: Path, old_source: Path) -> None:
    """F14: the old code works on the old schema, during the migration, and on the new schema."""
    stack = Stack(tmp_path / "data", source=old_source)
    try:
        old = stack.add_api("old")
        refused = stack.run_command("api", "--port", "0", source=None)
        assert refused.returncode == 1
        assert "run `tradeoff migrate` first" in refused.stdout + refused.stderr

        experiment = stack.create_experiment(old.url, parallel_bandwidth=2)
        loops = [
            load.Loop(old.url, stack.account.token, experiment, seed=seed, failing=0.1)
            for seed in range(4)
        ]
        for loop in loops:
            loop.start()
        load.await_progress(loops, 10)
        migrations.upgrade(stack.database_url)
        load.await_progress(loops, 20)

        stack.source = None
        new = stack.add_api("new")
        newer = [
            load.Loop(new.url, stack.account.token, experiment, seed=seed, transient=0.2)
            for seed in range(4, 6)
        ]
        for loop in newer:
            loop.start()
        load.await_progress(newer, 10)
        load.await_progress(loops, 10)
        load.stop([*loops, *newer])

        assert old.starts == 1
        assert "500" not in load.trouble([*loops, *newer])
        load.audit([*loops, *newer], stack.database_url).assert_clean()
    finally:
        stack.close()


@on_demand
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_backup_under_load_and_restore(stack: Stack, tmp_path: Path) -> None:
    """F15: all that was acknowledged before the backup is in it, and the service starts on it."""
    api = stack.add_api()
    experiment = stack.create_experiment(api.url, parallel_bandwidth=2)
    loops = [load.Loop(api.url, stack.account.token, experiment, seed=seed) for seed in range(3)]
    for loop in loops:
        loop.start()
    load.await_progress(loops, 30)
    before = {mark for loop in loops for mark in list(loop.ledger.acknowledged)}

    backups.dump(stack.database_url, tmp_path / "copy")
    load.await_progress(loops, 10)
    load.stop(loops)
    _administer(stack.database_url, "create database {}", "restored")
    restored = _url_of(stack.database_url, "restored")
    backups.restore(restored, tmp_path / "copy")

    marks = load.query(restored, "select metadata->>'mark' from observations")
    found = [mark for (mark,) in marks]
    assert before <= set(found)
    assert len(set(found)) == len(found)
    counted = load.query(restored, "select observation_count from experiments")
    assert counted == [(len(found),)]
    assert load.query(restored, "select count(*) > 0 from idempotency_keys") == [(True,)]
    # Sequences and unique indexes are right: the service goes on from there.
    stack.served_url = restored
    again = stack.add_api("restored")
    ledger_before = len(found)
    more = [load.Loop(again.url, stack.account.token, experiment, observations=10)]
    more[0].start()
    load.run_for(more)
    assert load.query(restored, "select observation_count from experiments") == [
        (ledger_before + 10,)
    ]

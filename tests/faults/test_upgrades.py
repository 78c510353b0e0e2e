"""The schema changed, the database copied and restored, while loops are at work."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import _administer, _url_of
from tests.faults import load
from tests.faults.processes import Stack, on_demand
from tests.faults.proxy import proxied
from tradeoff.store import backups, migrations

ROOT = Path(__file__).parents[2]
#: The last commit whose newest migration is 0002: the oldest code that knows the queue.
OLDEST = "8f0e86d"


def run_git(*arguments: str) -> bytes:
    """What git says of the repository's past; skips the test where there is none, or too little."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("needs the repository's past")
    done = subprocess.run([git, "-C", str(ROOT), *arguments], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("needs the repository's past, of which this clone has too little")
    return done.stdout


def check_out(commit: str, target: Path) -> Path:
    """The code of a commit."""
    archive = run_git("archive", commit, "src", "migrations")
    target.mkdir()
    subprocess.run(["tar", "-x", "-C", str(target)], input=archive, check=True)
    return target


def commit_before() -> str:
    """The last one that knew nothing of the newest migration."""
    newest = f"migrations/versions/{migrations.head()}_*.py"
    added = run_git("log", "-1", "--format=%H", "--diff-filter=A", "--", newest).decode().strip()
    # Nothing was added yet while somebody is at work on it.
    return f"{added}^" if added else "HEAD"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("release", ["before", pytest.param("oldest", marks=on_demand)])
def test_rolling_upgrade(tmp_path: Path, release: str) -> None:
    """F14 and F16: migrate, then worker and API processes one by one; no request fails of it."""
    commit = OLDEST if release == "oldest" else commit_before()
    stack = Stack(tmp_path / "data", source=check_out(commit, tmp_path / "source"))
    before = migrations.current(stack.database_url)
    try:
        apis = [stack.add_api(f"api-{number}") for number in (1, 2)]
        worker = stack.add_worker()
        with proxied([("127.0.0.1", api.port) for api in apis]) as proxy:
            experiments = [
                stack.create_experiment(proxy.url),
                stack.create_experiment(proxy.url, type="random"),
            ]
            loops = [
                load.Loop(proxy.url, stack.account.token, experiment, seed=seed, think_seconds=0.2)
                for seed, experiment in enumerate(experiments * 2)
            ]
            for loop in loops:
                loop.start()
            load.await_progress(loops, 5)

            # By a process of this release, as an operator does; the old ones go on.
            migrated = stack.run_command("migrate", source=None)
            assert migrated.stdout.strip() == f"{before} -> {migrations.head()}", migrated.stderr
            load.await_progress(loops, 5)

            stack.upgrade(worker)
            for api in apis:
                load.await_progress(loops, 5)
                stack.upgrade(api)
                load.await_progress(loops, 5)
                stack.await_ready(api)
            load.await_progress(loops, 5)
            load.stop(loops)

        load.audit(loops, stack.database_url).assert_clean()
        # A connection that is closed before an answer began is sent anew, by balancer or client.
        assert set(load.trouble(loops)) <= {"RemoteProtocolError", "ReadError", "WriteError"}
        assert [part.starts for part in (worker, *apis)] == [2, 2, 2]
    finally:
        stack.close()


@on_demand
@pytest.mark.slow
@pytest.mark.timeout(900)
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

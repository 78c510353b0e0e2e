"""Postgres restarted, crashed, out of reach, out of connections, out of space."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg2
import pytest

from tests.faults import load
from tests.faults.processes import Stack, on_demand, running
from tests.faults.proxy import proxied
from tests.waiting import wait_for


def start_loops(stack: Stack, url: str, count: int = 4) -> list[load.Loop]:
    """Loops on two experiments, at work."""
    experiments = [stack.create_experiment(url, parallel_bandwidth=2) for _ in range(2)]
    loops = [
        load.Loop(url, stack.account.token, experiments[seed % 2], seed=seed)
        for seed in range(count)
    ]
    for loop in loops:
        loop.start()
    return loops


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_postgres_restarted_and_crashed(stack: Stack, fault_seconds: float) -> None:
    """F5: 503 with Retry-After meanwhile; the API stays up, and all goes on within seconds."""
    api = stack.add_api()
    worker = stack.add_worker()
    stack.watch()
    loops = start_loops(stack, api.url)

    deadline = time.monotonic() + fault_seconds
    turns = 0
    while turns < 2 or time.monotonic() < deadline:
        load.await_progress(loops, 5)
        stack.restart_postgres("immediate" if turns % 2 else "fast")
        load.await_progress(loops)
        turns += 1
        time.sleep(2)
    load.await_progress(loops, 5)
    load.stop(loops)

    load.audit(loops, stack.database_url).assert_clean()
    assert stack.kills["postgres fast"] >= 1
    assert stack.kills["postgres immediate"] >= 1
    assert load.trouble(loops)["503"] >= 1, load.trouble(loops)
    assert api.starts == 1, "the API process stays up"
    assert worker.is_alive()


@on_demand
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_rows_held_until_the_pool_is_exhausted(stack: Stack) -> None:
    """F7: whoever needs a connection is told to come back; who needs none is answered."""
    api = stack.add_api(database_pool_size=3)
    loops = start_loops(stack, api.url)
    load.await_progress(loops, 5)

    holder = psycopg2.connect(stack.database_url)
    with holder.cursor() as cursor:
        cursor.execute("lock table experiments, suggestions in access exclusive mode")
        busy = wait_for_trouble(loops, ("409", "503"))
        alive = httpx.get(f"{api.url}/health/live", timeout=5, trust_env=False)
    holder.close()
    load.await_progress(loops, 5)
    load.stop(loops)

    assert alive.status_code == 200
    assert busy
    load.audit(loops, stack.database_url).assert_clean()


@on_demand
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_postgres_out_of_reach_with_connections_open(stack: Stack) -> None:
    """F8: nothing passes and nothing is refused; 503 in time, and no thread stays stuck."""
    with proxied([stack.socket]) as proxy:
        stack.served_url = f"postgresql://tradeoff@127.0.0.1:{proxy.port}/tradeoff"
        api = stack.add_api()
        loops = start_loops(stack, api.url)
        load.await_progress(loops, 5)

        proxy.stall()
        seen = wait_for_trouble(loops, ("503", "ReadTimeout"))
        alive = httpx.get(f"{api.url}/health/live", timeout=5, trust_env=False)
        proxy.resume()
        load.await_progress(loops, 20)
        load.stop(loops)

    assert seen
    assert alive.status_code == 200
    assert proxy.seen["stalled"] > 0
    load.audit(loops, stack.database_url).assert_clean()


def wait_for_trouble(loops: list[load.Loop], kinds: tuple[str, ...]) -> int:
    """Wait until tries failed in one of these ways; gives how often they did."""

    def count() -> int:
        return sum(load.trouble(loops)[kind] for kind in kinds)

    wait_for(count, f"no {' or '.join(kinds)}")
    return count()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own, which only root may mount."""
    folder.mkdir()
    mount = shutil.which("mount")
    if not sys.platform.startswith("linux") or mount is None:
        pytest.skip("needs a mount of a small tmpfs")
    command = [mount, "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs root, to mount a small tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@on_demand
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_disk_full(tmp_path: Path) -> None:
    """F10: nothing is half-stored, reads go on, and writes too when there is space again."""
    with small_disk(tmp_path / "disk", 64) as disk, running(tmp_path / "data") as stack:
        move_to_tablespace(stack, disk)
        api = stack.add_api()
        loops = start_loops(stack, api.url)
        load.await_progress(loops, 5)

        ballast = fill(disk)
        seen = wait_for_trouble(loops, ("503", "507"))
        experiment = loops[0].experiment_id
        reading = httpx.get(
            f"{api.url}/v1/experiments/{experiment}",
            auth=(stack.account.token, ""),
            timeout=20,
            trust_env=False,
        )
        ballast.unlink()
        load.await_progress(loops, 5)
        load.stop(loops)

        assert seen, "the disk was never full"
        assert reading.status_code == 200
        load.audit(loops, stack.database_url).assert_clean()


def move_to_tablespace(stack: Stack, disk: Path) -> None:
    """Put the tables where space is short."""
    owner = stack.folder.joinpath("postgres").resolve().joinpath("data").stat()
    space = disk / "space"
    space.mkdir()
    for path in (disk, space):
        shutil.chown(path, owner.st_uid, owner.st_gid)
        path.chmod(0o700)
    for parent in (disk.parent, *disk.parent.parents):
        if parent.stat().st_uid == 0 and parent.is_relative_to("/tmp/pytest-of-root"):
            parent.chmod(parent.stat().st_mode | 0o011)
    connection = psycopg2.connect(stack.database_url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("create tablespace small location %s", (str(space),))
        for table in ("observations", "suggestions", "experiments", "idempotency_keys"):
            cursor.execute(f"alter table {table} set tablespace small")
    connection.close()


def fill(disk: Path) -> Path:
    """Leave hardly any space."""
    ballast = disk / "ballast"
    free = shutil.disk_usage(disk).free
    with ballast.open("wb") as file:
        file.write(bytes(max(0, free - 256 * 1024)))
    return ballast

"""The embedded Postgres as its users meet it: real servers, killed and started again."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest

from tests.waiting import wait_for
from tradeoff import errors
from tradeoff.store import clusters, database, embedded, programs

SOURCE = Path(embedded.__file__).parents[2]


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "data"
    yield path
    embedded.remove(path)


def query(url: str, statement: str) -> Any:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else None


def setting(url: str, name: str) -> str:
    return str(query(url, f"SHOW {name}")[0][0])


def start_in_a_process(data_dir: Path, *, uid: int | None = None) -> dict[str, Any]:
    code = textwrap.dedent(
        """
        import json, os, pathlib, sys
        from tradeoff.store import embedded
        if sys.argv[2:]:  # only now, since the interpreter may lie where that user cannot read
            os.setgroups([])
            os.setgid(int(sys.argv[2]))
            os.setuid(int(sys.argv[2]))
        server = embedded.start(pathlib.Path(sys.argv[1]))
        print(json.dumps({"pid": server.pid, "url": server.url, "started": server.started}))
        """
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(data_dir), *([] if uid is None else [str(uid)])],
        env={"PYTHONPATH": str(SOURCE), "PATH": os.defpath},
        stdout=subprocess.PIPE,
        check=True,
    )
    return dict(json.loads(answer.stdout))


def wait_until_dead(pid: int) -> None:
    wait_for(lambda: not psutil.pid_exists(pid), f"{pid} lives on")


def test_start_gives_a_database_that_keeps_what_it_is_told(data_dir: Path) -> None:
    server = embedded.start(data_dir)

    assert server.started
    assert server.is_running()
    assert setting(server.url, "fsync") == "on"
    assert setting(server.url, "synchronous_commit") == "on"
    assert setting(server.url, "server_encoding") == "UTF8"
    assert int(setting(server.url, "max_connections")) >= 200


def test_server_listens_on_no_network_and_in_a_closed_folder(data_dir: Path) -> None:
    server = embedded.start(data_dir)

    assert setting(server.url, "listen_addresses") == ""
    folder = Path(setting(server.url, "unix_socket_directories").strip('"'))
    assert folder.stat().st_mode & 0o077 == 0
    assert not psutil.Process(server.pid).net_connections(kind="inet")


def test_second_start_adopts_the_running_server(data_dir: Path) -> None:
    first = embedded.start(data_dir)

    second = start_in_a_process(data_dir)

    assert second["pid"] == first.pid
    assert second["url"] == first.url
    assert not second["started"]


def test_four_starters_at_once_get_one_server(data_dir: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        servers = list(pool.map(lambda _: start_in_a_process(data_dir), range(4)))

    assert len({server["pid"] for server in servers}) == 1
    assert sorted(server["started"] for server in servers) == [False, False, False, True]


def test_two_data_directories_are_two_servers(tmp_path: Path, data_dir: Path) -> None:
    other = tmp_path / "other" / "data"
    try:
        first, second = embedded.start(data_dir), embedded.start(other)

        assert first.pid != second.pid
        assert first.url != second.url
    finally:
        embedded.remove(other)


def test_killed_server_comes_back_with_its_data(data_dir: Path) -> None:
    first = embedded.start(data_dir)
    query(first.url, "CREATE TABLE kept AS SELECT 42 AS answer")

    os.kill(first.pid, signal.SIGKILL)
    second = embedded.start(data_dir)

    assert second.started
    assert second.pid != first.pid
    assert second.url == first.url
    assert query(second.url, "SELECT answer FROM kept") == [(42,)]


def test_pid_file_naming_another_program_does_not_stop_a_start(data_dir: Path) -> None:
    first = embedded.start(data_dir)
    pid_file = data_dir / "postgres" / "data" / "postmaster.pid"
    left_behind = pid_file.read_text()
    os.kill(first.pid, signal.SIGKILL)
    wait_until_dead(first.pid)
    with subprocess.Popen(["sleep", "60"]) as other_program:
        pid_file.write_text(left_behind.replace(str(first.pid), str(other_program.pid), 1))

        second = embedded.start(data_dir)

        assert second.started
        assert other_program.poll() is None
        other_program.kill()


def test_pid_file_naming_a_zombie_does_not_stop_a_start(data_dir: Path) -> None:
    embedded.start(data_dir)
    embedded.stop(data_dir)
    pid_file = data_dir / "postgres" / "data" / "postmaster.pid"
    with subprocess.Popen(["true"]) as zombie:
        while psutil.Process(zombie.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        pid_file.write_text(f"{zombie.pid}\n{pid_file.parent}\n1\n5432\n\n\n\n")
        shutil.chown(pid_file, pid_file.parent.stat().st_uid)

        assert embedded.start(data_dir).started


def test_orphans_of_a_killed_server_are_waited_for(data_dir: Path) -> None:
    first = embedded.start(data_dir)
    children = psutil.Process(first.pid).children()
    # A frozen child cannot notice that its server is gone until it is woken.
    children[0].suspend()
    os.kill(first.pid, signal.SIGKILL)

    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(embedded.start, data_dir)
        time.sleep(1.0)
        waited = not starting.done()
        children[0].resume()

        assert starting.result(30).started
        assert waited


def test_stop_ends_the_server_and_says_whether_one_ran(data_dir: Path) -> None:
    server = embedded.start(data_dir)

    assert embedded.stop(data_dir)
    assert not server.is_running()
    assert embedded.find_running(data_dir) is None
    assert not embedded.stop(data_dir)


def test_stop_where_nothing_ever_was(tmp_path: Path) -> None:
    assert not embedded.stop(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_stop_does_not_wait_for_clients(data_dir: Path) -> None:
    server = embedded.start(data_dir)

    with closing(psycopg2.connect(server.url)):
        assert server.count_others() == 1
        began = time.monotonic()
        assert server.stop()
        assert time.monotonic() - began < 30


def test_last_one_to_leave_stops_the_server(data_dir: Path) -> None:
    first, second = embedded.start(data_dir), embedded.start(data_dir)

    assert not first.leave()
    assert second.is_running()
    assert second.leave()
    assert not second.is_running()


def test_own_connections_that_are_just_ending_do_not_keep_the_server(data_dir: Path) -> None:
    server = embedded.start(data_dir)
    ending = psycopg2.connect(server.url, application_name=database.name_sessions("tradeoff-test"))

    def end() -> None:
        with closing(ending), ending.cursor() as cursor:
            cursor.execute("select pg_sleep(0.5)")

    with ThreadPoolExecutor(1) as threads:
        ended = threads.submit(end)
        assert server.leave()
        ended.result()


def test_leaving_a_server_that_was_killed(data_dir: Path) -> None:
    server = embedded.start(data_dir)
    os.kill(server.pid, signal.SIGKILL)

    assert server.leave()


def test_find_running_starts_nothing(data_dir: Path) -> None:
    assert embedded.find_running(data_dir) is None

    server = embedded.start(data_dir)

    found = embedded.find_running(data_dir)
    assert found is not None
    assert found.pid == server.pid


def test_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    with pytest.raises(errors.StartError, match="cannot be used"):
        embedded.start(tmp_path / "file")

    assert (tmp_path / "file").read_text() == "mine"


def test_folder_that_is_no_data_folder_is_refused_and_left_alone(data_dir: Path) -> None:
    stranger = data_dir / "postgres" / "data" / "holiday.jpg"
    stranger.parent.mkdir(parents=True)
    stranger.write_text("beach")

    with pytest.raises(errors.StartError, match="not a Postgres data folder"):
        embedded.start(data_dir)

    assert stranger.read_text() == "beach"


def test_data_of_another_major_version_is_refused_and_left_alone(data_dir: Path) -> None:
    embedded.start(data_dir).stop()
    version = data_dir / "postgres" / "data" / "PG_VERSION"
    version.write_text("11\n")

    with pytest.raises(errors.StartError, match=r"made by Postgres 11.*TRADEOFF_PG_BIN"):
        embedded.start(data_dir)

    assert version.read_text() == "11\n"


def test_data_folder_decides_the_version(data_dir: Path) -> None:
    older = [
        folder
        for folder in programs.list_folders()
        if programs.read_major(folder) not in (None, 18)
    ]
    if not older:
        pytest.skip("only one version of Postgres is installed")
    made = embedded.start(data_dir, pg_bin=older[0])
    made.stop()

    again = embedded.start(data_dir)

    assert again.major == made.major == programs.read_major(older[0])


def test_pg_bin_without_programs_is_refused(tmp_path: Path, data_dir: Path) -> None:
    with pytest.raises(errors.StartError, match="TRADEOFF_PG_BIN"):
        embedded.start(data_dir, pg_bin=tmp_path)


def test_long_and_odd_paths_work(tmp_path: Path) -> None:
    data_dir = tmp_path / "a folder, with 'quotes' and spaces" / ("long" * 30)
    try:
        server = embedded.start(data_dir)

        assert query(server.url, "SELECT 1") == [(1,)]
    finally:
        embedded.remove(data_dir)


def test_server_that_cannot_start_shows_its_log(data_dir: Path) -> None:
    embedded.start(data_dir).stop()
    (data_dir / "postgres" / "local.conf").write_text("max_connections = many\n")

    with pytest.raises(errors.StartError, match="max_connections"):
        embedded.start(data_dir)


def test_operators_own_settings_are_read(data_dir: Path) -> None:
    embedded.start(data_dir).stop()
    local = data_dir / "postgres" / "local.conf"
    local.write_text("max_connections = 77\n")
    local.chmod(0o644)

    assert setting(embedded.start(data_dir).url, "max_connections") == "77"


def test_half_made_data_folder_of_a_killed_start_is_cleared(data_dir: Path) -> None:
    embedded.start(data_dir).stop()
    leftover = data_dir / "postgres" / "draft-1"
    shutil.move(data_dir / "postgres" / "data", leftover)

    assert embedded.start(data_dir).started
    assert not leftover.exists()


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")


@needs_root
def test_root_hands_postgres_to_an_account_without_rights(data_dir: Path) -> None:
    server = embedded.start(data_dir)

    assert psutil.Process(server.pid).uids().real != 0
    assert (data_dir / "postgres").resolve().parent == programs.ROOT_HOME
    assert data_dir.stat().st_mode & 0o077 == 0


@needs_root
def test_directory_removed_and_made_again_is_a_new_database(data_dir: Path) -> None:
    first = embedded.start(data_dir)
    first.stop()
    home = (data_dir / "postgres").resolve()
    shutil.rmtree(data_dir)

    try:
        assert embedded.start(data_dir).url != first.url
        assert home in clusters.list_orphans()
        assert (data_dir / "postgres").resolve() not in clusters.list_orphans()
    finally:
        shutil.rmtree(home)


@needs_root
def test_programs_out_of_reach_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = next(folder for folder in programs._packaged() if programs.read_major(folder))
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    shutil.copytree(package.parent, hidden / package.relative_to(package.parents[2]).parent)
    libraries = f"{package.parents[1].name}.libs"
    shutil.copytree(package.parents[2] / libraries, hidden / libraries)
    monkeypatch.setattr(programs, "ROOT_HOME", Path("/var/lib/tradeoff-test"))
    monkeypatch.setattr(
        programs, "_packaged", lambda: [hidden / package.relative_to(package.parents[2])]
    )
    data_dir = tmp_path / "data"
    try:
        server = embedded.start(data_dir)

        assert query(server.url, "SELECT 1") == [(1,)]
        assert psutil.Process(server.pid).exe().startswith("/var/lib/tradeoff-test/")
        assert hidden.stat().st_mode & 0o777 == 0o700
    finally:
        embedded.remove(data_dir)
        shutil.rmtree("/var/lib/tradeoff-test", ignore_errors=True)


@needs_root
def test_other_users_run_it_as_themselves(tmp_path_factory: pytest.TempPathFactory) -> None:
    nobody = pwd.getpwnam("nobody")
    account = programs.Account(nobody.pw_uid, nobody.pw_gid)
    if not any(programs._runs(folder, account) for folder in programs._packaged()):
        pytest.skip("this environment is closed to other users")
    folder = Path("/tmp") / f"tradeoff-test-{os.getpid()}"
    folder.mkdir()
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    try:
        server = start_in_a_process(folder / "data", uid=nobody.pw_uid)
        again = start_in_a_process(folder / "data", uid=nobody.pw_uid)

        assert psutil.Process(server["pid"]).uids().real == nobody.pw_uid
        assert again["pid"] == server["pid"]
        assert not (folder / "data" / "postgres").is_symlink()
        assert re.search(r"host=/tmp/tradeoff-test-\d+/data/postgres/run", server["url"])
        # Root may look after a server of somebody else's, too.
        assert embedded.start(folder / "data").pid == server["pid"]
        assert embedded.stop(folder / "data")
    finally:
        embedded.stop(folder / "data")
        shutil.rmtree(folder)

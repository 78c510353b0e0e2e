"""The command line as a shell sees it: output, errors, exit codes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import wait_for
from tradeoff import __version__
from tradeoff.store import embedded


def run_tradeoff(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tradeoff", *(str(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **environment},
        check=False,
    )


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"
    embedded.remove(tmp_path / "data")


def test_help_teaches_and_answers_at_once() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    answer = run_tradeoff("--help")
    took = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before

    assert answer.returncode == 0
    for word in ("tradeoff demo", "tradeoff up", "TRADEOFF_DATABASE_URL", "doctor"):
        assert word in answer.stdout
    # It takes 0.2 s on an idle core; a heavy import would take seconds.
    assert took < 2


def test_help_imports_no_heavy_room() -> None:
    code = (
        "import sys; from tradeoff.cli import main;"
        "print([m for m in ('sqlalchemy', 'fastapi', 'torch', 'numpy', 'pydantic')"
        " if m in sys.modules])"
    )

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert answer.stdout.strip() == b"[]"


def test_version() -> None:
    assert run_tradeoff("--version").stdout.strip() == f"tradeoff {__version__}"


def test_thin_install_says_what_to_install() -> None:
    code = (
        "import importlib.util as u, sys; find = u.find_spec;"
        "u.find_spec = lambda name, *a: None if name == 'typer' else find(name, *a);"
        "from tradeoff.__main__ import main; main()"
    )

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)

    assert answer.returncode == 1
    assert b"pip install 'tradeoff[server]'" in answer.stderr
    assert b"Traceback" not in answer.stderr


def test_setting_that_makes_no_sense_names_its_variable(tmp_path: Path) -> None:
    answer = run_tradeoff("migrate", TRADEOFF_DATA_DIR=str(tmp_path), TRADEOFF_DEVICE="tpu")

    assert answer.returncode == 1
    assert "TRADEOFF_DEVICE" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_command_needs_no_running_up_and_leaves_nothing_running(data_dir: Path) -> None:
    migrated = run_tradeoff("migrate", "--data-dir", data_dir)
    made = run_tradeoff("client", "create", "robotics", "--data-dir", data_dir)
    listed = run_tradeoff("client", "list", "--data-dir", data_dir)

    assert "empty -> " in migrated.stdout
    assert made.returncode == 0
    assert [client["name"] for client in json.loads(listed.stdout)] == ["robotics"]
    assert embedded.find_running(data_dir) is None


def test_db_stop_ends_a_postgres_that_was_left(data_dir: Path) -> None:
    embedded.start(data_dir)

    assert run_tradeoff("db", "stop", "--data-dir", data_dir).stdout.strip() == "stopped"
    again = run_tradeoff("db", "stop", "--data-dir", data_dir)

    assert again.stdout.strip() == "was not running"
    assert again.returncode == 0


def test_db_url_is_for_other_programs(data_dir: Path) -> None:
    stopped = run_tradeoff("db", "url", "--data-dir", data_dir)
    server = embedded.start(data_dir)

    assert run_tradeoff("db", "url", "--data-dir", data_dir).stdout.strip() == server.url
    assert stopped.returncode == 1
    assert "tradeoff up" in stopped.stderr


def test_doctor_finds_nothing_wrong_with_a_fresh_machine(tmp_path: Path) -> None:
    answer = run_tradeoff("doctor", "--json", TRADEOFF_DATA_DIR=str(tmp_path / "none"))

    found = {finding["about"]: finding for finding in json.loads(answer.stdout)}
    assert answer.returncode == 0
    assert found["Postgres programs"]["state"] == "ok"
    assert found["Database"]["advice"] == "`tradeoff up` starts it."
    assert not (tmp_path / "none").exists()


def test_doctor_says_what_to_do_and_exits_with_one(tmp_path: Path) -> None:
    answer = run_tradeoff(
        "doctor",
        TRADEOFF_DATA_DIR=str(tmp_path),
        TRADEOFF_DATABASE_URL="postgresql://secret:hunter2@127.0.0.1:9/none",
    )

    assert answer.returncode == 1
    assert "wrong" in answer.stdout
    assert "TRADEOFF_DATABASE_URL" in answer.stdout
    assert "hunter2" not in answer.stdout + answer.stderr


@pytest.mark.parametrize("command", ["api --port 0", "worker"])
@pytest.mark.parametrize("early", [True, False])
def test_process_alone_that_is_asked_to_end_leaves_nothing(
    data_dir: Path, command: str, early: bool
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tradeoff", *command.split(), "--data-dir", str(data_dir)],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        if early:
            # Half-way through the start of Postgres.
            wait_for((data_dir / "postgres.lock").exists)
        else:
            assert process.stderr is not None
            while "tarted" not in (line := process.stderr.readline()):
                assert line, "it ended before it started"
        process.terminate()
        code = process.wait(60)

    assert code in (0, 143)
    assert embedded.find_running(data_dir) is None

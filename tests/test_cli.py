"""The command line as a shell sees it: output, errors, exit codes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tradeoff import Client, __version__
from tradeoff.service import access
from tradeoff.store import embedded
from tradeoff.store.database import Database

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def run_tradeoff(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tradeoff", *(str(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **environment},
        check=False,
    )


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Run:
    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        return run_tradeoff(
            *arguments, TRADEOFF_DATABASE_URL=database_url, TRADEOFF_DATA_DIR=str(tmp_path)
        )

    return call


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


COMMANDS = """\
up, api, worker, migrate, demo, doctor, experiments, frontier, import, export, resend,
client create, client list, token create, token list, token rotate, token revoke, db stop, db url"""


@pytest.mark.parametrize("command", COMMANDS.replace("\n", " ").split(", "))
def test_every_command_explains_itself(command: str) -> None:
    answer = run_tradeoff(*command.split(), "--help")

    assert answer.returncode == 0
    assert len(answer.stdout) > 200


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


def test_client_create_gives_json_with_working_tokens(run: Run, database: Database) -> None:
    answer = run("client", "create", "robotics")

    made = json.loads(answer.stdout)
    assert made["name"] == "robotics"
    with database.transaction() as session:
        api = access.authenticate(session, made["tokens"]["api"])
        development = access.authenticate(session, made["tokens"]["development"])
    assert (api.client_id, api.development) == (made["id"], False)
    assert development.development


def test_token_create_prints_the_secret_alone(run: Run, database: Database) -> None:
    run("client", "create", "robotics")

    answer = run("token", "create", "--client", "robotics", "--role", "read")

    assert answer.stdout.count("\n") == 1
    with database.transaction() as session:
        assert access.authenticate(session, answer.stdout.strip()).role == "read"


def test_revoked_token_is_refused_and_listed_as_such(run: Run, database: Database) -> None:
    secret = json.loads(run("client", "create", "robotics").stdout)["tokens"]["api"]
    listed = json.loads(run("token", "list", "--client", "robotics").stdout)
    token = next(entry for entry in listed if not entry["development"])
    assert secret.startswith(token["prefix"])
    assert secret not in json.dumps(listed)

    assert run("token", "revoke", token["id"]).returncode == 0

    again = run("token", "revoke", token["id"])
    assert again.returncode == 1
    assert "Traceback" not in again.stderr
    with database.transaction() as session, pytest.raises(Exception, match="revoked"):
        access.authenticate(session, secret)


def test_rotated_token_goes_on_for_a_day_beside_the_new_one(run: Run, database: Database) -> None:
    old = json.loads(run("client", "create", "robotics").stdout)["tokens"]["api"]
    listed = json.loads(run("token", "list").stdout)
    token = next(entry for entry in listed if not entry["development"])

    new = run("token", "rotate", token["id"]).stdout.strip()

    with database.transaction() as session:
        assert access.authenticate(session, new).role == "write"
        assert access.authenticate(session, old).role == "write"
    ending = {entry["id"]: entry["expires"] for entry in json.loads(run("token", "list").stdout)}
    assert ending[token["id"]] is not None
    again = run("token", "rotate", token["id"])
    assert again.returncode == 1
    assert "rotated already" in again.stderr


def test_unknown_client_is_an_error_that_names_those_there_are(run: Run) -> None:
    run("client", "create", "robotics")

    answer = run("token", "create", "--client", "robotic")

    assert answer.returncode == 1
    assert answer.stdout == ""
    assert "robotics" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_unknown_role_is_refused(run: Run) -> None:
    run("client", "create", "robotics")

    answer = run("token", "create", "--client", "robotics", "--role", "god")

    assert answer.returncode == 1
    assert "read, write, admin" in answer.stderr


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


def test_doctor_looks_into_a_database(run: Run) -> None:
    answer = run("doctor", "--json")

    found = {finding["about"]: finding for finding in json.loads(answer.stdout)}
    assert answer.returncode == 0
    assert [found[about]["state"] for about in ("Database", "Durability", "Schema")] == ["ok"] * 3
    assert "0 workers" in found["Queue"]["found"]


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


def test_doctor_on_an_empty_database_names_the_command(postgres_url: str, tmp_path: Path) -> None:
    answer = run_tradeoff(
        "doctor", TRADEOFF_DATA_DIR=str(tmp_path), TRADEOFF_DATABASE_URL=postgres_url
    )

    assert answer.returncode == 1
    assert "tradeoff migrate" in answer.stdout


def test_looking_without_a_token_or_a_server_says_what_to_do(tmp_path: Path) -> None:
    nothing = {"TRADEOFF_DATA_DIR": str(tmp_path), "TRADEOFF_API_URL": "http://127.0.0.1:9"}

    no_token = run_tradeoff("experiments", **nothing, TRADEOFF_API_TOKEN="")
    no_server = run_tradeoff("experiments", **nothing, TRADEOFF_API_TOKEN="tdo_x")

    for answer in (no_token, no_server):
        assert answer.returncode == 1
        assert "tradeoff up" in answer.stderr
        assert "Traceback" not in answer.stderr


def test_experiments_and_their_frontier(live_server: Any) -> None:
    with Client(live_server.token, api_url=live_server.url) as client:
        experiment = client.experiments.create(
            name="diatoms",
            parameters=[{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}],
            metrics=[
                {"name": "accuracy", "objective": "maximize"},
                {"name": "ms", "objective": "minimize"},
            ],
            observation_budget=9,
        )
        for x, accuracy, ms in ((0.1, 0.5, 3.0), (0.2, 0.9, 5.0), (0.3, 0.4, 4.0)):
            experiment.observations().create(
                assignments={"x": x},
                values=[{"name": "accuracy", "value": accuracy}, {"name": "ms", "value": ms}],
            )
    reach = {"TRADEOFF_API_URL": live_server.url, "TRADEOFF_API_TOKEN": live_server.token}

    listed = json.loads(run_tradeoff("experiments", **reach).stdout)
    best = json.loads(run_tradeoff("frontier", experiment.id, **reach).stdout)
    missing = run_tradeoff("frontier", 999999, **reach)

    assert [(e["name"], e["observations"], e["budget"]) for e in listed] == [("diatoms", 3, 9)]
    assert sorted((p["accuracy"], p["ms"], p["x"]) for p in best) == [(0.5, 3, 0.1), (0.9, 5, 0.2)]
    assert missing.returncode == 1
    assert "Traceback" not in missing.stderr


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
            limit = time.monotonic() + 60
            while not (data_dir / "postgres.lock").exists() and time.monotonic() < limit:
                time.sleep(0.01)
        else:
            assert process.stderr is not None
            while "tarted" not in (line := process.stderr.readline()):
                assert line, "it ended before it started"
        process.terminate()
        code = process.wait(60)

    assert code in (0, 143)
    assert embedded.find_running(data_dir) is None

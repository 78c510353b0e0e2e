"""Commands of the operator, in this process: what they print, refuse and leave behind."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import text

from tests.builders import make_experiment, observe
from tests.commands import Command
from tests.conftest import Account, LiveServer
from tests.store.test_migrations import empty_url
from tradeoff import Client
from tradeoff.cli import main
from tradeoff.service import access, ladder
from tradeoff.store import migrations, tables
from tradeoff.store.database import Database, connect

__all__ = ["empty_url"]


@pytest.fixture
def experiment(database: Database, account: Account) -> int:
    """An experiment of Acme's with two observations."""
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=2)
    return experiment_id


def test_client_create_gives_json_with_working_tokens(command: Command, database: Database) -> None:
    answer = command("client", "create", "robotics")

    made = answer.json
    assert made["name"] == "robotics"
    with database.transaction() as session:
        api = access.authenticate(session, made["tokens"]["api"])
        development = access.authenticate(session, made["tokens"]["development"])
    assert (api.client_id, api.development) == (made["id"], False)
    assert development.development


def test_token_create_prints_the_secret_alone(command: Command, database: Database) -> None:
    command("client", "create", "robotics")

    answer = command("token", "create", "--client", "robotics", "--role", "read")

    assert answer.out.count("\n") == 1
    with database.transaction() as session:
        assert access.authenticate(session, answer.out.strip()).role == "read"


def test_revoked_token_is_refused_and_listed_as_such(command: Command, database: Database) -> None:
    secret = command("client", "create", "robotics").json["tokens"]["api"]
    listed = command("token", "list", "--client", "robotics").json
    token = next(entry for entry in listed if not entry["development"])
    assert secret.startswith(token["prefix"])
    assert secret not in json.dumps(listed)

    assert command("token", "revoke", token["id"]).code == 0

    again = command("token", "revoke", token["id"])
    assert again.code == 1
    assert "Traceback" not in again.err
    with database.transaction() as session, pytest.raises(Exception, match="revoked"):
        access.authenticate(session, secret)


def test_rotated_token_goes_on_for_a_day_beside_the_new_one(
    command: Command, database: Database
) -> None:
    old = command("client", "create", "robotics").json["tokens"]["api"]
    listed = command("token", "list").json
    token = next(entry for entry in listed if not entry["development"])

    new = command("token", "rotate", token["id"]).out.strip()

    with database.transaction() as session:
        assert access.authenticate(session, new).role == "write"
        assert access.authenticate(session, old).role == "write"
    ending = {entry["id"]: entry["expires"] for entry in command("token", "list").json}
    assert ending[token["id"]] is not None
    again = command("token", "rotate", token["id"])
    assert again.code == 1
    assert "rotated already" in again.err


def test_unknown_client_is_an_error_that_names_those_there_are(command: Command) -> None:
    command("client", "create", "robotics")

    answer = command("token", "create", "--client", "robotic")

    assert answer.code == 1
    assert answer.out == ""
    assert "robotics" in answer.err
    assert "Traceback" not in answer.err


def test_unknown_role_is_refused(command: Command) -> None:
    command("client", "create", "robotics")

    answer = command("token", "create", "--client", "robotics", "--role", "god")

    assert answer.code == 1
    assert "read, write, admin" in answer.err


def test_doctor_looks_into_a_database(command: Command) -> None:
    answer = command("doctor", "--json")

    found = {finding["about"]: finding for finding in answer.json}
    assert answer.code == 0
    assert [found[about]["state"] for about in ("Database", "Durability", "Schema")] == ["ok"] * 3
    assert "0 workers" in found["Queue"]["found"]


def test_doctor_on_an_empty_database_names_the_command(command: Command, postgres_url: str) -> None:
    answer = command("doctor", url=postgres_url)

    assert answer.code == 1
    assert "tradeoff migrate" in answer.out


def test_looking_without_a_token_or_a_server_says_what_to_do(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEOFF_API_URL", "http://127.0.0.1:9")

    monkeypatch.setenv("TRADEOFF_API_TOKEN", "")
    no_token = command("experiments")
    monkeypatch.setenv("TRADEOFF_API_TOKEN", "tdo_x")
    no_server = command("experiments")

    for answer in (no_token, no_server):
        assert answer.code == 1
        assert "tradeoff up" in answer.err
        assert "Traceback" not in answer.err


def test_experiments_and_their_frontier(
    command: Command, live_server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    monkeypatch.setenv("TRADEOFF_API_URL", live_server.url)
    monkeypatch.setenv("TRADEOFF_API_TOKEN", live_server.token)

    listed = command("experiments").json
    best = command("frontier", experiment.id).json
    missing = command("frontier", 999_999)

    assert [(e["name"], e["observations"], e["budget"]) for e in listed] == [("diatoms", 3, 9)]
    assert sorted((p["accuracy"], p["ms"], p["x"]) for p in best) == [(0.5, 3, 0.1), (0.9, 5, 0.2)]
    assert missing.code == 1
    assert "Traceback" not in missing.err


def words_of(group: Any) -> Iterator[tuple[str, ...]]:
    """What calls each command of a group and of those in it."""
    for name, each in group.commands.items():
        yield (name,)
        if hasattr(each, "commands"):
            yield from ((name, *words) for words in words_of(each))


def test_every_command_explains_itself(command: Command) -> None:
    every = list(words_of(typer.main.get_command(main.app)))
    assert {("up",), ("token", "rotate"), ("db", "stop")} <= set(every)

    for words in every:
        answer = command(*words, "--help")
        assert answer.code == 0, words
        assert len(answer.out) > 200, words


def test_what_was_done_by_commands_is_told_by_the_audit_log(command: Command) -> None:
    made = command("client", "create", "robotics").json
    command("client", "create", "vision")
    token = command("token", "list", "--client", "robotics").json[0]["id"]
    assert command("token", "revoke", token).out == f"revoked {token}\n"

    told = command("audit", "--client", made["id"]).json
    revoked = command("audit", "--action", "token.revoke", "--since", "2026-01-31").json
    newest = command("audit", "--limit", 1).json

    assert [entry["action"] for entry in told][-1] == "client.create"
    assert {entry["client_id"] for entry in told} == {made["id"]}
    assert [(entry["object_id"], entry["origin"]) for entry in revoked] == [(token, "command")]
    assert newest == revoked
    assert not command("audit", "--since", "2999-01-01").json


def test_audit_refuses_what_is_no_moment(command: Command) -> None:
    refused = command("audit", "--since", "yesterday")

    assert refused.code == 1
    assert refused.out == ""
    assert refused.err == (
        "--since: must be a day or a moment, such as 2026-01-31, not 'yesterday'\n"
    )
    assert command("audit", "--limit", 0).code == 2


def test_a_backup_comes_back_and_is_never_written_over_anything(
    command: Command, experiment: int, empty_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "copy.dump"
    count = text("select count(*) from observations where experiment_id = :experiment")

    written = command("backup", file)
    again = command("backup", file)
    restored = command("restore", file, url=empty_url)
    twice = command("restore", file, url=empty_url)
    replaced = command("restore", file, "--replace", url=empty_url)

    assert written.out.startswith(f"{file}: {file.stat().st_size} bytes, of version ")
    assert (again.code, again.out) == (1, "")
    assert "is there already" in again.err
    version = migrations.head()
    assert restored.out == replaced.out == f"{file}: of version {version}, now {version}\n"
    assert (twice.code, twice.out) == (1, "")
    assert "--replace" in twice.err
    found = connect(empty_url)
    with found.transaction() as session:
        assert session.scalar(count, {"experiment": experiment}) == 2
    found.dispose()


def test_a_backup_goes_through_a_pipe_and_comes_back(
    command: Command, experiment: int, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = io.TextIOWrapper(io.BytesIO())
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", pipe)
        written = command("backup", "-")
    dump = pipe.buffer.getvalue()
    assert written.code == 0
    assert written.err.startswith(f"-: {len(dump)} bytes, of version ")

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(dump)))
    restored = command("restore", "-", url=empty_url)

    version = migrations.head()
    assert restored.out == f"-: of version {version}, now {version}\n"
    found = connect(empty_url)
    with found.transaction() as session:
        assert session.get_one(tables.Experiment, experiment).observation_count == 2
    found.dispose()


def test_a_backup_that_is_none_is_refused(command: Command, empty_url: str, tmp_path: Path) -> None:
    file = tmp_path / "copy.dump"
    missing = command("restore", file, url=empty_url)
    file.write_bytes(b"no dump")
    wrong = command("restore", file, url=empty_url)

    for refused in (missing, wrong):
        assert (refused.code, refused.out) == (1, "")
        assert str(file) in refused.err
    assert migrations.current(empty_url) is None


def test_the_queue_shows_what_fails_and_tries_it_again(
    command: Command, database: Database, experiment: int, account: Account
) -> None:
    assert command("queue", "show").json["failing"] == []
    with database.transaction() as session:
        ladder.note_failure(session, experiment, overran=True)

    shown = command("queue", "show", "--json").json
    tried = command("queue", "retry", experiment)
    missing = command("queue", "retry", 999_999)

    assert shown["workers"] == []
    (failing,) = shown["failing"]
    assert (failing["id"], failing["client_id"]) == (experiment, account.client_id)
    assert failing["rung"] == 1
    assert tried.out == f"experiment {experiment} is tried again\n"
    after = command("queue", "show").json
    assert (after["failing"], after["queue"]["waiting"]) == ([], 1)
    assert missing.code == 1
    assert "999999" in missing.err


def test_a_client_is_erased_when_it_is_meant(
    command: Command, database: Database, experiment: int, account: Account
) -> None:
    asked = command("client", "erase", account.client_id)
    missing = command("client", "erase", 999_999, "--yes")
    assert asked.code == 1
    assert (missing.code, missing.err) == (1, "There is no client 999999.\n")
    assert [each["name"] for each in command("client", "list").json] == ["Acme"]

    erased = command("client", "erase", account.client_id, "--yes")

    assert (erased.code, erased.out) == (0, f"erased {account.client_id}\n")
    assert command("client", "list").json == []
    with database.transaction() as session:
        assert session.get(tables.Experiment, experiment) is None
        with pytest.raises(Exception, match="token"):
            access.authenticate(session, account.token)
    assert command("audit", "--action", "client.erase").json[0]["details"] == {}


def test_quotas_are_set_shown_and_taken_back(command: Command, experiment: int) -> None:
    changed = command("client", "quotas", "Acme", "--set", "experiments=7").json
    back = command("client", "quotas", "Acme", "--set", "experiments=").json
    unknown = command("client", "quotas", "Acme", "--set", "gpus=1")
    wrong = command("client", "quotas", "Acme", "--set", "experiments=many")

    found = {each["quota"]: (each["limit"], each["used"]) for each in changed}
    assert found["experiments"] == (7, 1)
    assert found["observations"] == (None, 2)
    assert {each["quota"]: each["limit"] for each in back}["experiments"] is None
    assert unknown.code == wrong.code == 1
    assert "experiments, observations, file_bytes, requests_per_second" in unknown.err
    assert "'many'" in wrong.err


def test_a_token_may_be_bound_and_what_does_not_exist_is_named(
    command: Command, database: Database, experiment: int
) -> None:
    secret = command("token", "create", "--client", "Acme", "--experiment", experiment).out.strip()
    with database.transaction() as session:
        assert access.authenticate(session, secret).experiment_id == experiment

    for words in (("token", "rotate", 999_999), ("token", "revoke", 999_999)):
        refused = command(*words)
        assert (refused.code, refused.out) == (1, "")
        assert "999999" in refused.err
    none = command("token", "create", "--client", "Acme", "--experiment", 999_999)
    assert none.code == 1
    assert "999999" in none.err


def test_a_database_of_a_newer_release_is_refused_and_left_alone(
    command: Command, database: Database, tmp_path: Path
) -> None:
    """What going back to an older program looks like."""
    with database.transaction() as session:
        session.execute(text("update alembic_version set version_num = '9999'"))

    for words in ("api --port 0", "migrate", "queue show", "client list"):
        refused = command(*words.split())
        assert (refused.code, refused.out) == (1, "")
        assert refused.err == (
            "The database is at version 9999, which is newer than this program knows; install the "
            "release of Tradeoff that made it, or a later one\n"
        )
    # A copy does not depend on what is in it, and is what one wants at such a moment.
    assert command("backup", tmp_path / "copy").code == 0
    assert migrations.current(database.url) == "9999"

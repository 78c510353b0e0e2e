"""`tradeoff resend` against the real server: everything is stored, and stored once."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders import METRICS, PARAMETERS, make_account, measure
from tests.conftest import LiveServer
from tests.faults.processes import free_port
from tests.faults.proxy import FaultProxy, proxied
from tradeoff import Client, client
from tradeoff.client import resend as resending
from tradeoff.client import spool as spooling
from tradeoff.client.resources import Experiment
from tradeoff.client.suggestions import Suggestion
from tradeoff.store.database import Database

DAY = 86_400.0


@pytest.fixture
def line(live_server: LiveServer) -> Iterator[FaultProxy]:
    """What stands between the client and the server."""
    url = httpx.URL(live_server.url)
    with proxied([(url.host, url.port or 0)]) as proxy:
        yield proxy


@pytest.fixture
def api(
    line: FaultProxy, live_server: LiveServer, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    """A client behind the line that gives up soon, in the environment that `resend` will see."""
    monkeypatch.setenv("TRADEOFF_API_TOKEN", live_server.token)
    monkeypatch.setattr(resending, "RETRY_SECONDS", 0.5)
    with Client(api_url=line.url, retry_seconds=0.5) as found:
        yield found


def create(api: Client) -> Experiment:
    return api.experiments.create(
        name="away", parameters=PARAMETERS, metrics=METRICS, observation_budget=50
    )


def observe(suggestion: Suggestion) -> Path:
    """Report in vain; gives the file that is left."""
    with pytest.raises(client.Spooled) as caught:
        suggestion.observe(measure(suggestion.assignments))
    return caught.value.path


def states(spool: Path, **options: Any) -> list[str]:
    return [outcome.state for outcome in resending.resend(spool, **options)]


def stored(experiment: Experiment) -> list[str | None]:
    return [each.suggestion for each in experiment.observations().fetch().iterate_pages()]


def age(path: Path, seconds: float) -> Path:
    """Make a letter older than it is."""
    letter = spooling.read(path)
    older = spooling.write(replace(letter, when=letter.when - seconds))
    path.unlink()
    return older


def test_what_never_arrived_is_delivered(api: Client, line: FaultProxy, spool: Path) -> None:
    experiment = create(api)
    suggestions = [experiment.suggest() for _ in range(3)]
    line.refuse()
    paths = [observe(suggestion) for suggestion in suggestions]
    assert states(spool) == ["kept"] * 3
    assert all(path.exists() for path in paths)

    line.accept()

    assert states(spool) == ["sent"] * 3
    # Newest first, and sent in the order of their making.
    assert stored(experiment) == [suggestion.id for suggestion in reversed(suggestions)]
    assert spooling.waiting(spool) == []
    assert states(spool) == []


def test_what_arrived_and_lost_its_answer_is_stored_once(
    api: Client, line: FaultProxy, spool: Path
) -> None:
    experiment = create(api)
    suggestion = experiment.suggest()
    line.cut_probability = 1.0
    observe(suggestion)
    assert line.seen["answers cut"] > 0
    line.cut_probability = 0.0
    assert stored(experiment) == [suggestion.id], "its first try took effect"

    assert states(spool) == ["sent"]

    assert stored(experiment) == [suggestion.id]
    assert spooling.waiting(spool) == []


@pytest.mark.parametrize("arrived", [True, False])
def test_a_report_whose_key_is_forgotten_is_looked_for_first(
    api: Client, line: FaultProxy, spool: Path, database: Database, arrived: bool
) -> None:
    experiment = create(api)
    suggestion = experiment.suggest()
    if arrived:
        line.cut_probability = 1.0
    else:
        line.refuse()
    age(observe(suggestion), 2 * DAY)
    line.cut_probability = 0.0
    line.accept()
    forget_keys(database)

    assert states(spool) == ["already there" if arrived else "sent"]

    assert stored(experiment) == [suggestion.id]


def test_a_forgotten_report_is_not_taken_for_another_one(
    api: Client, line: FaultProxy, spool: Path, database: Database
) -> None:
    experiment = create(api)
    suggestion = experiment.suggest()
    suggestion.observe({**measure(suggestion.assignments), "accuracy": 0.123})
    line.refuse()
    age(observe(suggestion), 2 * DAY)
    line.accept()
    forget_keys(database)

    assert states(spool) == ["sent"]

    assert stored(experiment) == [suggestion.id] * 2, "a second measurement, as it was meant"


@pytest.mark.parametrize("arrived", [True, False])
def test_a_forgotten_batch_is_looked_for_as_a_whole(
    api: Client, line: FaultProxy, spool: Path, database: Database, arrived: bool
) -> None:
    experiment = create(api)
    suggestion = experiment.suggest()
    point = {"learning_rate": 1e-3, "filters": 9, "activation": "relu"}
    values = [{"name": "accuracy", "value": 0.5}, {"name": "inference_ms", "value": 1.0}]
    batch: list[dict[str, Any]] = [
        {"assignments": point, "values": values},
        {"assignments": point, "values": values},
        {"suggestion": suggestion.id, "failed": True},
    ]
    # One that is alike is there anyway; two are in the batch.
    experiment.observations().create(assignments=point, values=values)
    if arrived:
        line.cut_probability = 1.0
    else:
        line.refuse()
    with pytest.raises(client.Spooled) as caught:
        experiment.observations().create_batch(batch)
    age(caught.value.path, 2 * DAY)
    line.cut_probability = 0.0
    line.accept()
    forget_keys(database)

    assert states(spool) == ["already there" if arrived else "sent"]

    assert len(stored(experiment)) == 4


def test_another_token_of_the_same_client_doubles_nothing(
    api: Client,
    line: FaultProxy,
    spool: Path,
    live_server: LiveServer,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tradeoff.service import accounts

    experiment = create(api)
    suggestion = experiment.suggest()
    line.cut_probability = 1.0
    observe(suggestion)
    line.cut_probability = 0.0
    with database.transaction() as session:
        _, token = accounts.create_token(session, client_id=live_server.client_id)
    monkeypatch.setenv("TRADEOFF_API_TOKEN", token)

    # It is shown only to a server that the user names.
    assert states(spool) == ["kept"]
    monkeypatch.setenv("TRADEOFF_API_URL", line.url)
    assert states(spool) == ["already there"]

    assert stored(experiment) == [suggestion.id]


def test_a_token_of_somebody_else_spoils_nothing(
    api: Client,
    line: FaultProxy,
    spool: Path,
    live_server: LiveServer,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    experiment = create(api)
    line.refuse()
    path = observe_offline(api, experiment)
    line.accept()
    tokens = [make_account(database, "Others").token, "tdo_mistyped"]
    for token in tokens:
        monkeypatch.setenv("TRADEOFF_API_TOKEN", token)
        (outcome,) = resending.resend(spool, api_url=line.url)
        assert (outcome.state, path.exists()) == ("kept", True)
        assert "TRADEOFF_API_TOKEN" in (outcome.reason or "")
    monkeypatch.delenv("TRADEOFF_API_TOKEN")
    monkeypatch.setenv("TRADEOFF_DATA_DIR", str(spool))
    assert states(spool) == ["kept"]

    monkeypatch.setenv("TRADEOFF_API_TOKEN", live_server.token)
    assert states(spool) == ["sent"]


def test_what_is_refused_for_good_is_set_aside_with_the_reason(
    api: Client, line: FaultProxy, spool: Path
) -> None:
    experiment = create(api)
    line.refuse()
    with pytest.raises(client.Spooled) as caught:
        experiment.observations().create(suggestion="123456789", failed=True)
    line.accept()

    (outcome,) = resending.resend(spool)

    assert outcome.state == "refused"
    path = caught.value.path
    aside = json.loads(path.with_name(f"{path.name}.refused").read_text())
    assert "suggestion" in aside["refused"]
    assert not path.exists()
    assert states(spool) == []


def test_a_file_that_is_no_letter_is_left_alone(api: Client, spool: Path) -> None:
    spool.mkdir()
    for name, text in (("1.json", "{"), ("2.json", "[]"), ("3.json", "{}"), ("4.txt", "mine")):
        (spool / name).write_text(text)

    outcomes = resending.resend(spool)

    assert [(outcome.state, outcome.about) for outcome in outcomes] == [
        ("kept", "an unreadable file")
    ] * 3
    assert len(list(spool.iterdir())) == 5, "the four and the lock"


def test_a_script_killed_with_its_server_loses_nothing(
    database_url: str, tmp_path: Path, account: Any, spool: Path
) -> None:
    port = free_port()
    environment = {
        **os.environ,
        "TRADEOFF_DATABASE_URL": database_url,
        "TRADEOFF_DATA_DIR": str(tmp_path),
        "TRADEOFF_API_URL": f"http://127.0.0.1:{port}",
        "TRADEOFF_API_TOKEN": account.token,
        "TRADEOFF_SPOOL_DIR": str(spool),
    }
    code = (
        "import sys; from tradeoff import Client\n"
        "suggestion = Client().experiments(sys.argv[1]).suggestions().create()\n"
        "print('asked', flush=True); sys.stdin.readline()\n"
        "suggestion.observe(accuracy=0.5, inference_ms=1.0)\n"
    )
    with Client(account.token, api_url=f"http://127.0.0.1:{port}") as api:
        with server_process(port, environment) as server:
            experiment = create(api)
            script = subprocess.Popen(
                [sys.executable, "-c", code, experiment.id],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            assert script.stdin is not None
            assert script.stdout is not None
            assert script.stderr is not None
            assert script.stdout.readline() == b"asked\n"
            server.kill()
            server.wait()
        script.stdin.write(b"\n")
        script.stdin.flush()
        assert b"trying again" in script.stderr.readline()
        script.kill()
        script.communicate()
        command = [sys.executable, "-m", "tradeoff", "resend", "--json"]
        with server_process(port, environment):
            once, again = (
                subprocess.run(command, env=environment, capture_output=True, check=True)
                for _ in range(2)
            )
            assert len(stored(experiment)) == 1

    assert [outcome["state"] for outcome in json.loads(once.stdout)] == ["sent"]
    assert json.loads(again.stdout) == []


def test_a_second_resend_stays_away(api: Client, spool: Path) -> None:
    spool.mkdir()
    with (spool / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            resending.resend(spool)


def test_the_command_tells_what_it_did_and_what_is_left(
    api: Client, line: FaultProxy, spool: Path
) -> None:
    experiment = create(api)
    line.refuse()
    path = observe_offline(api, experiment)
    line.accept()

    looked = tradeoff("resend", "--dry-run")
    assert looked.returncode == 1
    assert f"would send     POST /experiments/{experiment.id}/observations of " in looked.stdout
    assert path.exists()

    elsewhere = tradeoff("resend", "--api-url", f"http://127.0.0.1:{free_port()}")
    assert elsewhere.returncode == 1
    assert "kept" in elsewhere.stdout
    assert "Traceback" not in elsewhere.stderr

    sent = tradeoff("resend")
    assert sent.returncode == 0
    assert sent.stdout.splitlines()[-1] == "1 sent"
    assert f"Nothing to send in {spool}." in tradeoff("resend").stdout
    assert len(stored(experiment)) == 1


def test_a_thin_install_can_resend(api: Client, line: FaultProxy, spool: Path) -> None:
    experiment = create(api)
    line.refuse()
    observe_offline(api, experiment)
    line.accept()
    code = (
        "import importlib.util as u, sys; find = u.find_spec;"
        "u.find_spec = lambda name, *a: None if name == 'typer' else find(name, *a);"
        "sys.argv = ['tradeoff', 'resend', '--json'];"
        "from tradeoff.__main__ import main; main()"
    )

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert [outcome["state"] for outcome in json.loads(answer.stdout)] == ["sent"]
    assert len(stored(experiment)) == 1


def observe_offline(api: Client, experiment: Experiment) -> Path:
    """Report a point of one's own in vain; gives the file that is left."""
    with pytest.raises(client.Spooled) as caught:
        api.experiments(experiment.id).observations().create(
            assignments={"learning_rate": 1e-3, "filters": 9, "activation": "relu"}, failed=True
        )
    return caught.value.path


def forget_keys(database: Database) -> None:
    """As the server does after 48 hours."""
    from sqlalchemy import text

    with database.transaction() as session:
        session.execute(text("delete from idempotency_keys"))


@contextmanager
def server_process(port: int, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """`tradeoff api` as a process of its own; it answers when this returns."""
    command = [sys.executable, "-m", "tradeoff", "api", "--port", str(port)]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 240
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health/live").is_success:
                    break
            except httpx.TransportError:
                assert process.poll() is None, "it ended before it answered"
                assert time.monotonic() < deadline, "it does not answer"
                time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(60)


def tradeoff(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tradeoff", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
        check=False,
    )

"""Reports that cannot be delivered: when they are kept, how, and what the user is told."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.client.scripted import Script, answer, broken
from tradeoff import Client, client
from tradeoff.client import spool as spooling

pytestmark = pytest.mark.usefixtures("naps")

OBSERVED = {"id": "1", "values": []}
REPORT = {"suggestion": "5", "values": [{"name": "accuracy", "value": 0.9}]}


def report(api: Client) -> None:
    api.experiments(7).observations().create(**REPORT)


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


def test_a_report_that_was_given_up_is_kept_with_all_that_it_takes_to_send_it(
    connect: Callable[..., Client], spool: Path
) -> None:
    script = Script(broken)
    before = time.time()

    with pytest.raises(client.Spooled) as caught:
        report(connect(script))

    (path,) = files(spool)
    kept = json.loads(path.read_text())
    assert before <= kept.pop("when") <= time.time()
    assert kept == {
        "method": "POST",
        "path": "/experiments/7/observations",
        "body": script.requests[0].content.decode(),
        "key": script.requests[0].headers["idempotency-key"],
        "api_url": "http://server",
        "token_mark": spooling.mark_of("tdo_secret"),
    }
    assert json.loads(kept["body"]) == REPORT
    assert "tdo_secret" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(spool.stat().st_mode) == 0o700
    assert caught.value.path == path


def test_the_error_says_where_it_is_kept_and_how_it_gets_to_the_server(
    connect: Callable[..., Client], spool: Path
) -> None:
    with pytest.raises(client.ConnectionFailed) as caught:
        report(connect(Script(broken)))

    told = str(caught.value)
    assert str(files(spool)[0]) in told
    assert f"`TRADEOFF_SPOOL_DIR={spool} tradeoff resend`" in told
    assert "connection refused" in told


def test_batches_and_failures_are_kept_too(connect: Callable[..., Client], spool: Path) -> None:
    api = connect(Script(broken))
    suggestion = connect(Script(answer(body={"id": "5", "experiment": "7"}), broken))

    with pytest.raises(client.Spooled):
        api.experiments(7).observations().create_batch([REPORT])
    with pytest.raises(client.Spooled):
        suggestion.experiments(7).suggestions().create().fail(transient=True)

    batch, failure = [json.loads(json.loads(path.read_text())["body"]) for path in files(spool)]
    assert batch == {"observations": [REPORT]}
    assert failure == {"suggestion": "5", "failed": True, "failure_kind": "transient"}


def test_nothing_else_is_worth_keeping(connect: Callable[..., Client], spool: Path) -> None:
    api = connect(Script(broken))

    for ask in (
        lambda: api.experiments(7).fetch(),
        lambda: api.experiments.create(name="a"),
        lambda: api.experiments(7).suggestions().create(),
        lambda: api.experiments(7).observations().create_batch([REPORT], dry_run=True),
    ):
        with pytest.raises(client.ConnectionFailed) as caught:
            ask()
        assert not isinstance(caught.value, client.Spooled)
    assert files(spool) == []


def test_it_is_on_disk_as_long_as_it_may_get_lost(
    connect: Callable[..., Client], spool: Path
) -> None:
    seen = []

    def look(request: httpx.Request) -> httpx.Response:
        seen.append(len(files(spool)))
        return broken(request) if len(seen) < 3 else answer(body=OBSERVED)

    report(connect(Script(look)))

    # A kill -9 between two tries loses nothing; nor does the disk see what goes well at once.
    assert seen == [0, 1, 1]
    assert files(spool) == []


@pytest.mark.parametrize("status", [503, 429, 408, 409])
def test_a_server_that_stays_in_trouble_is_as_good_as_away(
    connect: Callable[..., Client], spool: Path, status: int
) -> None:
    script = Script(answer(status, {"message": "no database"}, **{"Retry-After": "1"}))

    with pytest.raises(client.Spooled, match="no database") as caught:
        report(connect(script))

    assert len(files(spool)) == 1
    assert isinstance(caught.value.__cause__, client.ApiError)
    assert caught.value.__cause__.status_code == status


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_what_the_server_refuses_is_not_kept(
    connect: Callable[..., Client], spool: Path, status: int
) -> None:
    for first in (broken, None):
        answers = [answer(status, {"message": "no"})]
        script = Script(*([first, *answers] if first else answers))

        with pytest.raises(client.ApiError) as caught:
            report(connect(script))

        assert caught.value.status_code == status
        assert files(spool) == []


def test_somebody_elses_page_is_no_refusal(connect: Callable[..., Client], spool: Path) -> None:
    with pytest.raises(client.Spooled, match="is it a Tradeoff server"):
        report(connect(Script(httpx.Response(200, text="<html>Sign in</html>"))))

    assert len(files(spool)) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("when", ["in the first try", "between two"])
def test_whoever_stops_the_program_loses_nothing(
    connect: Callable[..., Client],
    spool: Path,
    caplog: pytest.LogCaptureFixture,
    error: type[BaseException],
    when: str,
) -> None:
    def stop(request: httpx.Request) -> httpx.Response:
        raise error

    script = Script(stop) if when == "in the first try" else Script(broken, stop)

    with pytest.raises(error):
        report(connect(script))

    assert len(files(spool)) == 1
    assert str(files(spool)[0]) in caplog.text


def test_a_disk_that_cannot_be_written_is_told_beside_the_first_reason(
    connect: Callable[..., Client], spool: Path
) -> None:
    # In the way of the folder; root may write everywhere else.
    spool.write_text("a file")

    with pytest.raises(client.ConnectionFailed, match="connection refused") as caught:
        report(connect(Script(broken)))

    assert not isinstance(caught.value, client.Spooled)
    (note,) = caught.value.__notes__
    assert "File exists" in note
    assert json.dumps(REPORT) in note


def test_an_exception_of_the_training_wins_and_its_report_is_kept(
    connect: Callable[..., Client], spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = Script(answer(body={"id": "5", "experiment": "7"}), broken)
    suggestion = connect(script).experiments(7).suggestions().create()

    with pytest.raises(MemoryError), suggestion:
        raise MemoryError

    assert len(files(spool)) == 1
    assert str(files(spool)[0]) in caplog.text


def test_the_folder_is_chosen_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRADEOFF_SPOOL_DIR", str(tmp_path / "a"))
    monkeypatch.setenv("TRADEOFF_DATA_DIR", str(tmp_path / "b"))
    assert spooling.folder() == tmp_path / "a"

    monkeypatch.delenv("TRADEOFF_SPOOL_DIR")
    assert spooling.folder() == tmp_path / "b" / "spool"

    monkeypatch.delenv("TRADEOFF_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert spooling.folder() == tmp_path / ".tradeoff" / "spool"


def test_many_may_write_at_once(connect: Callable[..., Client], spool: Path) -> None:
    api = connect(Script(broken), retry_seconds=0)

    def give_up() -> None:
        for _ in range(20):
            with pytest.raises(client.Spooled):
                report(api)

    threads = [threading.Thread(target=give_up) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    letters = [spooling.read(path) for path in files(spool)]
    assert len({letter.key for letter in letters}) == 100
    assert [letter.when for letter in letters] == sorted(letter.when for letter in letters)


def test_a_script_that_is_killed_while_it_waits_leaves_its_report(
    tmp_path: Path, spool: Path
) -> None:
    code = (
        "from tradeoff import Client\n"
        "api = Client('tdo_x', api_url='http://127.0.0.1:9')\n"
        "api.experiments(7).observations().create(suggestion='5', failed=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "TRADEOFF_SPOOL_DIR": str(spool)},
        stderr=subprocess.PIPE,
        text=True,
    ) as script:
        assert script.stderr is not None
        assert "trying again" in script.stderr.readline()
        script.send_signal(signal.SIGKILL)

    (path,) = files(spool)
    assert json.loads(spooling.read(path).body) == {"suggestion": "5", "failed": True}

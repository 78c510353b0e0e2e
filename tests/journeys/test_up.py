"""`tradeoff up` as a user meets it: a real process, its parts killed, itself stopped and killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.waiting import wait_for
from tradeoff.store import embedded

PARAMETERS = [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}]
METRICS = [{"name": "a", "objective": "maximize"}, {"name": "b", "objective": "minimize"}]


class Up:
    """One `tradeoff up` on a data directory, on a free port."""

    def __init__(self, data_dir: Path, *arguments: str, **environment: str) -> None:
        self.data_dir = data_dir
        command = [sys.executable, "-m", "tradeoff", "up", "--data-dir", str(data_dir)]
        if "--port" not in arguments:
            command += ["--port", "0"]
        output = data_dir.with_name("output")
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                [*command, *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
                start_new_session=True,
            )
        self._output = output
        self.url = ""

    def said(self) -> str:
        return self._output.read_text()

    def wait_until_ready(self) -> Up:
        wait_for(
            lambda: "Ready: " in self.said() or self.process.poll() is not None,
        )
        found = re.search(r"Ready: (\S+)", self.said())
        assert found, self.said()
        self.url = found[1]
        return self

    def child(self, name: str) -> int:
        """The process id of a child; 0 while it is down."""
        for entry in json.loads((self.data_dir / "children.json").read_text()):
            if entry["name"] == name and is_alive(entry["pid"]):
                return int(entry["pid"])
        return 0

    def postgres(self) -> int:
        server = embedded.find_running(self.data_dir)
        return server.pid if server else 0

    def token(self) -> str:
        return (self.data_dir / "token").read_text().strip()

    def call(self, method: str, path: str, body: object = None) -> Any:
        answer = httpx.request(
            method, f"{self.url}{path}", json=body, auth=(self.token(), ""), timeout=120
        )
        assert answer.is_success, answer.text
        return answer.json()

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=5).is_success
        except httpx.TransportError:
            return False

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(240)

    def everything(self) -> list[psutil.Process]:
        """Every process that belongs to this data directory."""
        pids = {self.process.pid, self.postgres()} - {0}
        with suppress(psutil.NoSuchProcess):
            pids |= {child.pid for child in psutil.Process(self.process.pid).children(True)}
        found = []
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                found.append(psutil.Process(pid))
        return found


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def make_experiment(up: Up) -> int:
    body = {"name": "kept", "parameters": PARAMETERS, "metrics": METRICS, "observation_budget": 50}
    return int(up.call("POST", "/v1/experiments", body)["id"])


def observe(up: Up, experiment: int) -> None:
    suggestion = up.call("POST", f"/v1/experiments/{experiment}/suggestions")
    x = suggestion["assignments"]["x"]
    values = [{"name": "a", "value": x}, {"name": "b", "value": x * x}]
    body = {"suggestion": suggestion["id"], "values": values}
    up.call("POST", f"/v1/experiments/{experiment}/observations", body)


def count(up: Up, experiment: int) -> int:
    return int(up.call("GET", f"/v1/experiments/{experiment}/observations")["count"])


def clean(data_dir: Path, *ups: Up) -> None:
    for up in ups:
        if up.process.poll() is None:
            up.process.kill()
            up.process.wait()
    embedded.remove(data_dir)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    data_dir = tmp_path_factory.mktemp("up") / "data"
    running = Up(data_dir)
    yield running.wait_until_ready()
    running.end()
    clean(data_dir, running)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "data"
    yield path
    embedded.remove(path)


def test_first_start_shows_the_token_and_keeps_it_to_itself(up: Up) -> None:
    assert up.token() in up.said()
    assert (up.data_dir / "token").stat().st_mode & 0o777 == 0o600
    assert up.data_dir.stat().st_mode & 0o077 == 0
    assert count(up, make_experiment(up)) == 0
    for log in (up.data_dir / "logs").iterdir():
        assert up.token() not in log.read_text()


def test_the_link_that_it_prints_opens_the_dashboard_once(up: Up) -> None:
    printed = re.search(r"/sign-in#(\S+)", up.said())
    assert printed is not None
    command = [sys.executable, "-m", "tradeoff", "dashboard", "--data-dir", str(up.data_dir)]
    asked = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode().strip()
    assert asked.startswith(f"{up.url}/sign-in#")

    for code in (printed[1], asked.partition("#")[2]):
        with httpx.Client(base_url=up.url, headers={"Origin": up.url}) as browser:
            answer = browser.post("/sign-in/link", data={"code": code})
            assert answer.headers["location"] == "/experiments"
            assert browser.get("/experiments").status_code == 200
            assert browser.post("/sign-in/link", data={"code": code}).status_code == 403


def test_killed_api_is_started_again(up: Up) -> None:
    experiment = make_experiment(up)
    observe(up, experiment)
    killed = up.child("api")

    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: up.child("api") not in (0, killed))
    wait_for(up.is_ready)

    observe(up, experiment)
    assert count(up, experiment) == 2
    assert "api ended (killed by SIGKILL)" in up.said()


def test_killed_worker_is_started_again(up: Up) -> None:
    killed = up.child("worker-1")

    os.kill(killed, signal.SIGKILL)

    wait_for(lambda: up.child("worker-1") not in (0, killed))
    assert "worker-1 ended (killed by SIGKILL)" in up.said()


def test_killed_postgres_is_started_again_with_its_data(up: Up) -> None:
    experiment = make_experiment(up)
    observe(up, experiment)
    killed = up.postgres()

    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: up.postgres() not in (0, killed))
    wait_for(up.is_ready)

    assert count(up, experiment) == 1
    observe(up, experiment)
    assert count(up, experiment) == 2


def test_second_up_on_the_directory_is_refused(up: Up) -> None:
    second = Up(up.data_dir)

    assert second.process.wait(240) == 1

    said = second.said()
    assert "already runs on" in said
    assert up.url in said
    assert str(up.process.pid) in said
    assert "Traceback" not in said
    assert up.is_ready()


def test_commands_beside_a_running_up_use_its_database(up: Up) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "tradeoff", "client", "create", "beside", "--data-dir", up.data_dir],
        stdout=subprocess.PIPE,
        check=True,
    )

    token = json.loads(made.stdout)["tokens"]["api"]
    answer = httpx.get(f"{up.url}/v1/experiments", auth=(token, ""))
    assert answer.status_code == 200
    assert answer.json()["count"] == 0
    assert up.is_ready()


def test_db_stop_leaves_a_running_up_alone(up: Up) -> None:
    asked = subprocess.run(
        [sys.executable, "-m", "tradeoff", "db", "stop", "--data-dir", up.data_dir],
        stderr=subprocess.PIPE,
        check=False,
    )

    assert asked.returncode == 1
    assert up.url in asked.stderr.decode()
    assert up.is_ready()


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_signal_ends_everything_in_order(data_dir: Path, number: signal.Signals) -> None:
    workers = 2 if number == signal.SIGTERM else 1
    up = Up(data_dir, "--workers", str(workers)).wait_until_ready()
    everything = up.everything()
    assert len(everything) >= 3 + 2 * workers

    up.process.send_signal(number)
    # An impatient user's second one is harmless.
    time.sleep(0.3)
    code = up.end(number)

    assert code == 0
    assert [process for process in everything if is_alive(process.pid)] == []
    assert "Stopped; nothing is left running." in up.said()
    assert "killed" not in up.said()


def test_killed_up_comes_back_on_the_same_data(data_dir: Path) -> None:
    first = Up(data_dir).wait_until_ready()
    token, experiment = first.token(), make_experiment(first)
    observe(first, experiment)
    children = [first.child("api"), first.child("worker-1")]

    first.process.kill()
    first.process.wait()
    port = first.url.rpartition(":")[2]
    second = Up(data_dir, "--port", port).wait_until_ready()

    try:
        assert second.url == first.url
        assert [child for child in children if is_alive(child)] == []
        assert second.token() == token
        assert token not in second.said()
        assert count(second, experiment) == 1
        assert "adopted" in second.said()
        assert second.end() == 0
        assert embedded.find_running(data_dir) is None
    finally:
        clean(data_dir, second)


def test_port_in_use_is_said_before_anything_starts(data_dir: Path, up: Up) -> None:
    port = up.url.rpartition(":")[2]
    other = Up(data_dir, "--port", port)

    assert other.process.wait(240) == 1

    assert f"port {port}" in other.said()
    assert "--port" in other.said()
    assert "Traceback" not in other.said()
    assert embedded.find_running(data_dir) is None


def test_ones_own_postgres_is_used_and_left_running(data_dir: Path, database_url: str) -> None:
    up = Up(data_dir, TRADEOFF_DATABASE_URL=database_url).wait_until_ready()

    try:
        observe(up, make_experiment(up))

        assert up.end() == 0
        assert not (data_dir / "postgres").exists()
    finally:
        clean(data_dir, up)


def test_database_that_does_not_answer_is_said_plainly(data_dir: Path) -> None:
    up = Up(data_dir, TRADEOFF_DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")

    assert up.process.wait(240) == 1

    assert "TRADEOFF_DATABASE_URL" in up.said()
    assert "Traceback" not in up.said()


@pytest.mark.long
def test_lost_token_file_is_made_anew(data_dir: Path) -> None:
    first = Up(data_dir).wait_until_ready()
    experiment = make_experiment(first)
    first.end()
    (data_dir / "token").unlink()

    second = Up(data_dir).wait_until_ready()

    try:
        assert count(second, experiment) == 0
        assert second.end() == 0
    finally:
        clean(data_dir, second)


@pytest.mark.slow
def test_api_that_cannot_come_up_ends_the_start_and_leaves_nothing(data_dir: Path) -> None:
    up = Up(data_dir)
    everything: list[psutil.Process] = []
    wait_for(lambda: (data_dir / "children.json").exists())
    while up.process.poll() is None:
        if (data_dir / "children.json").exists() and (api := up.child("api")):
            everything += [process for process in up.everything() if process not in everything]
            os.kill(api, signal.SIGKILL)
        time.sleep(0.05)

    assert up.process.returncode == 1
    assert "The API does not come up" in up.said()
    assert "Traceback" not in up.said()
    assert [process for process in everything if is_alive(process.pid)] == []

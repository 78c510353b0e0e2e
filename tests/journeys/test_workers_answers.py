"""What only a worker can answer, through the API: importances, tasks, and the reference engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import LiveServer
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

X = [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}]


@contextmanager
def worker(server: LiveServer, folder: Path, **environment: str) -> Iterator[None]:
    """A worker process on the server's database."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tradeoff", "worker"],
        env={
            **os.environ,
            "TRADEOFF_DATABASE_URL": server.database_url,
            "TRADEOFF_DATA_DIR": str(folder),
            "TRADEOFF_DEVICE": "cpu",
            **environment,
        },
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.fixture
def http(live_server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"{live_server.url}/v1", auth=(live_server.token, ""), timeout=120
    ) as client:
        yield client


def create(http: httpx.Client, **fields: Any) -> str:
    body = {"name": "e", "parameters": X, "metrics": [{"name": "y"}], **fields}
    answer = http.post("/experiments", json=body)
    assert answer.status_code == 200, answer.text
    return f"/experiments/{answer.json()['id']}"


def loop(http: httpx.Client, path: str, count: int) -> None:
    for _ in range(count):
        suggestion = http.post(f"{path}/suggestions", json={}).json()
        value = -((suggestion["assignments"]["x"] - 0.3) ** 2)
        report = {"suggestion": suggestion["id"], "value": value}
        assert http.post(f"{path}/observations", json=report).status_code == 200


def next_of_the_model(http: httpx.Client, path: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        suggestion: dict[str, Any] = http.post(f"{path}/suggestions", json={}).json()
        return suggestion if suggestion["source"] == "model" else None

    found: dict[str, Any] = wait_for(look, "the model suggested nothing")
    return found


def test_a_worker_computes_importances_and_chooses_tasks(
    http: httpx.Client, live_server: LiveServer, tmp_path: Path
) -> None:
    plain = create(http)
    tasks = [{"name": "full", "cost": 1}, {"name": "cheap", "cost": 0.1}]
    multitask = create(http, tasks=tasks, observation_budget=20)
    loop(http, plain, 6)
    loop(http, multitask, 6)
    with worker(live_server, tmp_path):

        def told() -> dict[str, Any] | None:
            (each,) = http.get(f"{plain}/metric_importances").json()["data"]
            return each if each["method"] == "model" else None

        importances = wait_for(told, "no importances came")
        assert importances["importances"] == {"x": 1}
        assert importances["calibration"]["observations"] == 6
        computed = importances["computed"]
        time.sleep(1.1)
        assert http.put(f"{plain}/metric_importances", json={}).status_code == 200
        wait_for(lambda: told()["computed"] > computed, "a PUT brought nothing")  # type: ignore[index]

        assert next_of_the_model(http, multitask)["task"]["name"] in {"full", "cheap"}


def test_the_reference_answers_for_one_experiment_or_for_all(
    http: httpx.Client, live_server: LiveServer, tmp_path: Path
) -> None:
    ours, chosen = create(http), create(http, engine="reference")
    assert http.get(chosen).json()["engine"] == "reference"
    assert http.get(ours).json()["engine"] == "default"
    for path in (ours, chosen):
        loop(http, path, 5)

    with worker(live_server, tmp_path):
        method = "expected improvement"
        assert next_of_the_model(http, ours)["explanation"]["method"] == method
        stock = "BoTorch's stock loop"
        assert next_of_the_model(http, chosen)["explanation"]["method"] == stock

    another = create(http)
    loop(http, another, 5)
    with worker(live_server, tmp_path, TRADEOFF_ENGINE="reference"):
        assert next_of_the_model(http, another)["explanation"]["method"] == stock

"""The official `sigopt` client, unchanged, against a live server: only address and token differ."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import environments
from tests.conftest import LiveServer

SCRIPT = Path(__file__).with_name("sigopt_loop.py")

pytestmark = pytest.mark.compat


@pytest.fixture(scope="module")
def sigopt_python() -> str:
    """An interpreter with the official client; made once, by the script that users could run."""
    return str(environments.make("sigopt-venv.sh", "the official client"))


def run_loop(python: str, server: LiveServer, home: Path) -> dict[str, Any]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "SIGOPT_API_URL": server.url,
        "SIGOPT_API_TOKEN": server.token,
    }
    done = subprocess.run(
        [python, str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def test_the_classical_loop_runs_unchanged(
    sigopt_python: str, live_server: LiveServer, tmp_path: Path
) -> None:
    seen = run_loop(sigopt_python, live_server, tmp_path)

    assert seen["id"].isdigit()
    assert seen["parameters"] == ["kind", "n", "x"]
    assert seen["bounds"] == [1, 20]
    assert seen["count"] == 14
    assert seen["best"]
    assert all(set(each["values"]) == {"score", "cost"} for each in seen["best"])
    scores = [each["values"]["score"] for each in seen["best"]]
    assert scores == sorted(scores) or scores == sorted(scores, reverse=True)
    assert seen["batch"] == 3
    assert seen["pages"] == 17
    assert seen["own"] == ["open", {"x": 1.0, "n": 3, "kind": "a"}]
    assert (seen["open"], seen["open_after"]) == (1, 0)
    assert seen["updated"] == ["Renamed", None]
    assert seen["listed"] == [seen["id"]]
    assert seen["client"] == str(live_server.client_id)
    assert seen["unnamed_metric"] == [None, "maximize"]
    assert seen["single_value"] == [None, 0.25]
    assert seen["legacy_value"] is None
    assert seen["refused"][0] == 400
    assert "values" in seen["refused"][1]
    assert seen["missing"] == 404
    assert seen["deleted"] == "deleted"

"""The newer part of the official `sigopt` client: projects, runs, and the command line."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import LiveServer
from tests.wire.test_sigopt_client import sigopt_python

__all__ = ["sigopt_python"]

pytestmark = pytest.mark.compat

SCRIPT = Path(__file__).with_name("sigopt_runs.py")


def environment(server: LiveServer, home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "SIGOPT_API_URL": server.url,
        "SIGOPT_API_TOKEN": server.token,
        "SIGOPT_PROJECT": "gearbox",
        # Threads of linear algebra only fight each other on small machines.
        "OMP_NUM_THREADS": "1",
    }


def run_command(command: list[str], server: LiveServer, home: Path) -> str:
    """What a command prints, on both streams; its messages go to either."""
    done = subprocess.run(
        command,
        env=environment(server, home),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def fetch(server: LiveServer, path: str) -> dict[str, Any]:
    answer = httpx.get(f"{server.url}/v1{path}", auth=(server.token, ""))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_runs_and_experiments_of_runs_work_unchanged(
    sigopt_python: str, live_server: LiveServer, tmp_path: Path
) -> None:
    printed = run_command([sigopt_python, str(SCRIPT)], live_server, tmp_path)

    seen = json.loads(printed.splitlines()[-1])
    assert seen["no_project"] is True
    assert seen["project"] == ["gearbox", "Gearbox"]
    assert seen["conflict"] is True
    assert seen["run"] == {
        "state": "completed",
        "assignments": {"lr": 0.1, "layers": 3, "kind": "a"},
        "values": {"accuracy": [0.9, 0.01], "ms": [2, None], "size": [3.5, None]},
        "metadata": {"first": 1, "host": "laptop", "flag": 1},
        "model": "net",
        "datasets": ["iris"],
        "checkpoints": 3,
        "source": "print()",
        "files": 1,
    }
    assert seen["broken"] == "failed"
    assert seen["loops"] == 6
    assert seen["progress"] == [6, 0, 0]
    assert seen["finished"] is True
    assert seen["states"] == ["completed"] * 5 + ["failed"]
    assert seen["observed"] == [True] * 6
    assert seen["best"]
    assert seen["renamed"] == "renamed"
    assert (seen["archived"], seen["unarchived"]) == ("deleted", "active")
    assert (seen["archived_run"], seen["unarchived_run"]) == (True, False)
    assert seen["archived_again"] is True
    assert seen["uploaded"] == 25
    assert seen["guest"] == ["guest", "read", True]
    assert seen["guest_reads"] == "renamed"


TRAINING = """\
import sigopt

x = sigopt.params.setdefault("x", 0.5)
sigopt.log_metric("score", 1 - (x - 0.3) ** 2)
print("trained")
"""
EXPERIMENT = """\
name: from a file
parameters:
  - name: x
    type: double
    bounds: {min: 0, max: 1}
metrics:
  - name: score
    objective: maximize
budget: 3
parallel_bandwidth: 1
"""


def test_the_command_line_works_unchanged(
    sigopt_python: str, live_server: LiveServer, tmp_path: Path
) -> None:
    sigopt = str(Path(sigopt_python).with_name("sigopt"))
    train = [sigopt_python, "train.py"]
    (tmp_path / "train.py").write_text(TRAINING)
    (tmp_path / "experiment.yml").write_text(EXPERIMENT)
    client = f"/clients/{live_server.client_id}"

    def type_in(*arguments: str) -> str:
        return run_command([sigopt, *arguments], live_server, tmp_path)

    type_in("create", "project", "--project", "gearbox", "--project-name", "Gearbox")
    assert fetch(live_server, f"{client}/projects/gearbox")["name"] == "Gearbox"

    type_in("run", "--source-file", "train.py", *train)
    (run,) = fetch(live_server, f"{client}/projects/gearbox/training_runs")["data"]
    assert (run["state"], run["source_code"]["content"]) == ("completed", TRAINING)
    assert run["values"]["score"]["value"] == pytest.approx(0.96)

    type_in("optimize", "--experiment-file", "experiment.yml", *train)
    (experiment,) = fetch(live_server, f"{client}/projects/gearbox/aiexperiments")["data"]
    assert experiment["progress"]["finished_run_count"] == 3
    path = f"/experiments/{experiment['id']}/observations"
    assert [row["failed"] for row in fetch(live_server, path)["data"]] == [False] * 3

    httpx.put(
        f"{live_server.url}/v1/aiexperiments/{experiment['id']}",
        auth=(live_server.token, ""),
        json={"budget": 5},
    ).raise_for_status()
    type_in("start-worker", experiment["id"], *train)
    experiment = fetch(live_server, f"/aiexperiments/{experiment['id']}")
    assert experiment["progress"]["remaining_budget"] == 0

    type_in("archive", "experiment", "--project", "gearbox", experiment["id"])
    assert fetch(live_server, f"/aiexperiments/{experiment['id']}")["state"] == "deleted"
    type_in("unarchive", "experiment", "--project", "gearbox", experiment["id"])
    assert fetch(live_server, f"/aiexperiments/{experiment['id']}")["state"] == "active"
    type_in("archive", "run", "--project", "gearbox", run["id"])
    assert fetch(live_server, f"/training_runs/{run['id']}")["deleted"] is True

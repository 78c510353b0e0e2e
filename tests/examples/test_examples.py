"""Each example as a user runs it, against a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LiveServer
from tradeoff import Client

EXAMPLES = Path(__file__).parents[2] / "examples"


def run_example(*command: str, server: LiveServer) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "TRADEOFF_API_URL": server.url,
            "TRADEOFF_API_TOKEN": server.token,
        },
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "observations"),
    [((sys.executable, "first_loop.py"), 15), (("bash", "curl.sh"), 10)],
    ids=["first_loop.py", "curl.sh"],
)
def test_example_reaches_a_frontier(
    live_server: LiveServer, command: tuple[str, str], observations: int
) -> None:
    if command[1] == "first_loop.py":
        pytest.importorskip("sklearn")
    program, example = command

    answer = run_example(program, str(EXAMPLES / example), server=live_server)

    assert answer.returncode == 0, answer.stderr
    with Client(live_server.token, api_url=live_server.url) as client:
        (experiment,) = client.experiments.fetch().data
        assert experiment.progress.observation_count == observations
        assert not any(o.failed for o in experiment.observations().fetch().data)
        assert len(answer.stdout.splitlines()) == len(experiment.frontier()) > 0


def test_readme_names_every_example() -> None:
    readme = (EXAMPLES / "README.md").read_text()

    for example in EXAMPLES.iterdir():
        if example.name not in ("README.md", "__pycache__"):
            assert f"`{example.name}`" in readme

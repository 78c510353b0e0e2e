"""Each example is run as a user would, against a live server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LiveServer
from tradeoff import Client

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(command: list[str], server: LiveServer, home: Path) -> str:
    done = subprocess.run(
        command,
        cwd=home,
        env={
            "HOME": str(home),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "OMP_NUM_THREADS": "1",
            "TRADEOFF_API_URL": server.url,
            "TRADEOFF_API_TOKEN": server.token,
        },
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_example_is_listed_and_run() -> None:
    found = {path.name for path in EXAMPLES.iterdir() if path.name != "README.md"}

    assert found == {"curl.sh", "first_loop.py"}
    assert all(f"({name})" in (EXAMPLES / "README.md").read_text() for name in found)


def test_the_first_loop_prints_a_frontier(live_server: LiveServer, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")

    printed = run([sys.executable, str(EXAMPLES / "first_loop.py")], live_server, tmp_path)

    assert printed.count("accuracy") >= 1
    with Client(live_server.token, api_url=live_server.url) as client:
        (experiment,) = client.experiments.fetch()
        assert experiment.progress.observation_count == experiment.observation_budget
        assert len(experiment.frontier()) == len(printed.splitlines())


def test_the_loop_in_curl_reports_values_and_failures(
    live_server: LiveServer, tmp_path: Path
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")

    printed = run(["bash", str(EXAMPLES / "curl.sh"), "12"], live_server, tmp_path)

    with Client(live_server.token, api_url=live_server.url) as client:
        (experiment,) = client.experiments.fetch()
        observations = experiment.observations().fetch().data
        assert len(observations) == 12
        assert printed.count("-> failed") == sum(each.failed for each in observations)
        assert re.search(r"12 of 12 \(\w+\): layers \d+, learning rate [\d.e-]+ -> ", printed)
        assert '"inference_ms"' in printed.partition("efficient frontier:")[2]


def test_a_wrong_token_ends_the_loop_in_curl_with_the_servers_words(
    live_server: LiveServer, tmp_path: Path
) -> None:
    wrong = LiveServer(live_server.url, "tdo_wrong", live_server.client_id, "")

    with pytest.raises(AssertionError, match="403"):
        run(["bash", str(EXAMPLES / "curl.sh"), "1"], wrong, tmp_path)

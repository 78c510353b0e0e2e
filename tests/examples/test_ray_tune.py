"""Ray Tune as the reader of its example runs it, and once more after it has ended."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests import environments
from tests.conftest import LiveServer
from tests.examples.running import run_example
from tradeoff import Client

pytestmark = pytest.mark.long


@pytest.mark.timeout(1800)
def test_a_search_on_ray_goes_on_where_it_was(
    live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    packages = str(environments.make("ray-venv.sh", "Ray"))
    paths = [os.environ.get("PYTHONPATH", ""), packages]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    asked = ["search.py", "--epochs", "2", "--at-once", "1", "--out", str(tmp_path / "out")]

    # The second time there is one more to train, the third time nothing.
    for trials in (2, 3, 3):
        done = run_example(
            sys.executable,
            *asked,
            "--trials",
            str(trials),
            server=live_server,
            folder="ray_tune",
            seconds=600,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    assert "goes on after 3 observations" in done.stdout
    with Client(live_server.token, api_url=live_server.url) as client:
        (experiment,) = client.experiments.fetch()
        assert experiment.progress.observation_count == 3
        assert done.stdout.count("accuracy 0.") == len(experiment.frontier())

"""Each example as a user runs it, against a real server."""

from __future__ import annotations

import re
import shutil
import sys

import pytest

from tests.conftest import LiveServer
from tests.examples.running import EXAMPLES, run_example
from tradeoff import Client


def test_every_example_is_listed() -> None:
    found = {
        path.name
        for path in EXAMPLES.iterdir()
        if path.name != "README.md" and not path.name.startswith(("__", "."))
    }
    listed = re.findall(r"^\| \[([\w.]+)\]\(([\w.]+)\)", (EXAMPLES / "README.md").read_text(), re.M)

    assert {target for _, target in listed} == found
    assert all(name == target for name, target in listed)


def test_the_first_loop_prints_a_frontier(live_server: LiveServer) -> None:
    pytest.importorskip("sklearn")

    done = run_example(sys.executable, "first_loop.py", server=live_server)

    assert done.returncode == 0, done.stderr
    with Client(live_server.token, api_url=live_server.url) as client:
        (experiment,) = client.experiments.fetch()
        assert experiment.progress.observation_count == experiment.observation_budget
        assert len(experiment.frontier()) == len(done.stdout.splitlines())


def test_two_of_a_fleet_share_an_experiment(live_server: LiveServer) -> None:
    pytest.importorskip("sklearn")

    first = run_example(sys.executable, "fleet.py", "gpu-0", server=live_server)
    second = run_example(sys.executable, "fleet.py", "gpu-1", server=live_server)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    with Client(live_server.token, api_url=live_server.url) as client:
        (experiment,) = client.experiments.fetch()
        suggestions = experiment.suggestions().fetch().data
        assert experiment.progress.observation_count == len(suggestions) == 20
        assert {each.worker_id for each in suggestions} == {"gpu-0"}
    assert "accuracy" in first.stdout
    assert second.stdout == first.stdout[first.stdout.index("{'accuracy'") :]


def test_the_loop_in_curl_reports_values_and_failures(live_server: LiveServer) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")

    done = run_example("bash", "curl.sh", "12", server=live_server)

    assert done.returncode == 0, done.stderr
    with Client(live_server.token, api_url=live_server.url) as client:
        (experiment,) = client.experiments.fetch()
        observations = experiment.observations().fetch().data
    assert len(observations) == 12
    failures = sum(each.failed for each in observations)
    assert 0 < failures < 12
    assert done.stdout.count("-> failed") == failures
    assert re.search(r"12 of 12 \(\w+\): layers \d+, learning rate [\d.e-]+ -> ", done.stdout)
    assert '"inference_ms"' in done.stdout.partition("efficient frontier:")[2]


def test_a_wrong_token_ends_the_loop_in_curl_with_the_words_of_the_server(
    live_server: LiveServer,
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")

    done = run_example("bash", "curl.sh", "1", server=live_server, token="tdo_wrong")

    assert done.returncode != 0
    assert "403" in done.stderr

"""Each example as a user runs it, against a real server."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import LiveServer
from tests.examples.running import EXAMPLES, environment, run_example
from tradeoff import Client
from tradeoff.client.resources import Experiment


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


@pytest.mark.long
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


def test_scikit_learn_takes_twenty_lines(live_server: LiveServer) -> None:
    pytest.importorskip("sklearn")
    lines = (EXAMPLES / "scikit_learn.py").read_text().splitlines()

    done = run_example(sys.executable, "scikit_learn.py", server=live_server)

    assert done.returncode == 0, done.stderr
    assert sum(bool(line) for line in lines) <= 21  # the first says how to run it
    assert only_experiment(live_server).progress.observation_count == 10
    assert "{'accuracy': 0.9" in done.stdout


@pytest.mark.timeout(600)
def test_pytorch_trains_until_it_is_told_to_stop(live_server: LiveServer) -> None:
    if not all(map(importlib.util.find_spec, ("torch", "sklearn"))):
        pytest.skip("needs torch and scikit-learn")

    done = run_example(sys.executable, "pytorch.py", server=live_server, seconds=500)

    assert done.returncode == 0, done.stderr
    epochs = [int(line.split()[0]) for line in done.stdout.splitlines() if " epochs, " in line]
    assert len(epochs) == 10
    with Client(live_server.token, api_url=live_server.url) as client:
        (experiment,) = client.experiments.fetch()
        suggestions = experiment.suggestions().fetch().data[::-1]
        for each, count in zip(suggestions, epochs, strict=True):
            checkpoints = each.resource.checkpoints().fetch().data
            assert len(checkpoints) == count
            assert [c.should_stop for c in checkpoints[1:]] == [False] * (count - 1)
            assert checkpoints[0].should_stop or count == 6
    assert "{'accuracy': 0." in done.stdout


def test_constraints_of_three_kinds_are_kept(live_server: LiveServer) -> None:
    done = run_example(sys.executable, "constraints.py", server=live_server)

    assert done.returncode == 0, done.stderr
    with Client(live_server.token, api_url=live_server.url) as client:
        (experiment,) = client.experiments.fetch()
        observed = experiment.observations().fetch().data
        frontier = experiment.frontier()
    assert len(observed) == 25
    shares = [each.assignments for each in observed]
    assert all(each["share_conv"] + each["share_dense"] <= 1 for each in shares)
    for each in observed:
        too_large = each.assignments["width"] * (1 + each.assignments["share_conv"]) > 400
        assert each.failed == too_large
    assert any(each.failed for each in observed)
    assert frontier
    assert all(best.value_by_metric["joules"] <= 6 for best in frontier)


def test_processes_share_one_experiment(live_server: LiveServer) -> None:
    done = run_example(sys.executable, "parallel.py", server=live_server)

    assert done.returncode == 0, done.stderr
    told = re.match(r"(\d+) trainings, by process: \[(\d+), (\d+), (\d+)\]", done.stdout)
    assert told is not None
    counts = [int(count) for count in told.groups()]
    assert counts[0] == sum(counts[1:])
    # The budget, and what was in training when it was spent.
    assert 24 <= counts[0] <= 26
    assert only_experiment(live_server).progress.observation_count == counts[0]


def test_the_loop_in_r_reports_values_and_failures(live_server: LiveServer) -> None:
    wanted = "library(curl); library(jsonlite)"
    has_r = shutil.which("Rscript") and not subprocess.call(["Rscript", "-e", wanted])
    if not has_r:
        pytest.skip("R with its packages curl and jsonlite is not installed")

    done = run_example("Rscript", "plain_http.R", "10", server=live_server)

    assert done.returncode == 0, done.stderr
    with Client(live_server.token, api_url=live_server.url) as client:
        (experiment,) = client.experiments.fetch()
        observed = experiment.observations().fetch().data
    assert len(observed) == 10
    failures = sum(each.failed for each in observed)
    assert 0 < failures < 10
    assert done.stdout.count("failed") == failures
    assert "inference_ms" in done.stdout.partition("efficient frontier:")[2]


def test_the_notebook_runs_from_top_to_bottom(live_server: LiveServer) -> None:
    for needed in ("nbclient", "ipykernel", "pandas", "plotly"):
        pytest.importorskip(needed)
    executed = subprocess.run(
        [sys.executable, "-c", EXECUTE, "notebook.ipynb"],
        capture_output=True,
        text=True,
        cwd=EXAMPLES,
        env=environment(live_server),
        timeout=250,
        check=False,
    )

    assert executed.returncode == 0, executed.stderr
    cells = json.loads(executed.stdout)["cells"]
    shown = [set(out.get("data", ())) for cell in cells for out in cell.get("outputs", ())]
    assert sum("application/vnd.plotly.v1+json" in kinds for kinds in shown) == 2
    assert "text/html" in shown[0]
    assert "'layers'" in cells[-1]["outputs"][0]["data"]["text/plain"][0]
    kept = json.loads((EXAMPLES / "notebook.ipynb").read_text())
    assert not any(cell.get("outputs") for cell in kept["cells"])


#: Runs a notebook with the interpreter of the tests, and prints it as it was executed.
EXECUTE = """
import sys, nbclient, nbformat
from jupyter_client import KernelManager
notebook = nbformat.read(sys.argv[1], as_version=4)
manager = KernelManager()
manager.kernel_spec.argv[0] = sys.executable
nbclient.NotebookClient(notebook, km=manager, timeout=200).execute()
print(nbformat.writes(notebook))
"""


def only_experiment(server: LiveServer) -> Experiment:
    with Client(server.token, api_url=server.url) as client:
        (experiment,) = client.experiments.fetch()
    return experiment

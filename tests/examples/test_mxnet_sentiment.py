"""The text classifier in MXNet's own environment: our client has to run beside its old NumPy."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests import environments
from tests.conftest import LiveServer
from tests.examples.running import EXAMPLES, run_example
from tradeoff import Client

ROOT = EXAMPLES.parent

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def mxnet_python() -> str:
    """An interpreter with MXNet and the client; made once, by the script that users could run."""
    return str(environments.make("mxnet-venv.sh", "MXNet"))


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """Sentences that one word tells apart, in the encoding of the real ones."""
    folder = tmp_path / "reviews"
    folder.mkdir()
    for name, word in (("rt-polarity.pos", "superb"), ("rt-polarity.neg", "clichéd")):
        lines = [f"a {word} film , number {k} of the caf\xe9 ." for k in range(60)]
        (folder / name).write_text("\n".join(lines) + "\n", encoding="latin-1")
    return folder


def test_good_trainings_are_observed_and_the_others_fail(
    mxnet_python: str, live_server: LiveServer, reviews: Path, tmp_path: Path
) -> None:
    asked = ["--data", str(reviews), "--out", str(tmp_path / "out"), "--architecture"]
    small = ["--observations", "8", "--most-epochs", "4"]

    done = run_example(
        mxnet_python, "tune.py", *asked, *small, server=live_server, folder="mxnet_sentiment"
    )

    assert done.returncode == 0, done.stderr
    assert "108 sentences to train with, 12 to validate" in done.stdout
    with Client(live_server.token, api_url=live_server.url) as client:
        (experiment,) = client.experiments.fetch()
        observed = experiment.observations().fetch().data
        frontier = experiment.frontier()
    bounds = {p["name"]: (p["bounds"]["min"], p["bounds"]["max"]) for p in experiment.parameters}
    assert set(bounds) == {
        "dropout",
        "log_learning_rate",
        "batch_size",
        "max_grad_norm",
        "epochs",
        "embed_dim",
    }
    values = [each.value_by_metric for each in observed if not each.failed]
    # A learning rate of exp(-10) leaves the network where it begins.
    assert 0 < len(values) < len(observed) == 8
    assert all(each["accuracy"] >= 0.75 and each["train_seconds"] > 0 for each in values)
    assert f"feasible: {len(values)} of 8" in done.stdout
    with (tmp_path / "out" / "frontier.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(frontier)

    again = run_example(
        mxnet_python, "tune.py", *asked, *small, server=live_server, folder="mxnet_sentiment"
    )
    assert f"experiment {experiment.id} goes on" in again.stdout


def test_what_takes_too_long_has_failed(
    mxnet_python: str, live_server: LiveServer, reviews: Path, tmp_path: Path
) -> None:
    asked = ["--data", str(reviews), "--out", str(tmp_path / "out"), "--observations", "1"]

    done = run_example(
        mxnet_python,
        "tune.py",
        *asked,
        "--most-seconds",
        "0",
        server=live_server,
        folder="mxnet_sentiment",
    )

    assert "feasible: 0 of 1" in done.stdout
    assert "no training has been good and fast enough yet" in done.stderr

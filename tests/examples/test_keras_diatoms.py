"""The diatoms as a user tunes them: from start to end, after a crash, and on the real data."""

from __future__ import annotations

import csv
import http.server
import importlib
import importlib.util
import io
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import LiveServer
from tests.examples.running import EXAMPLES, environment, run_example
from tradeoff import Client

FOLDER = EXAMPLES / "keras_diatoms"
BOUNDS = {
    "batch_size": (8, 32),
    **{f"conv_{block}_filter_size": (2, 10) for block in (1, 2, 3)},
    **{f"conv_{block}_num_filters": (32, 256) for block in (1, 2, 3)},
    "log_beta_1": (-4.6, -0.7),
    "log_beta_2": (-13.8, -0.7),
    "log_decay": (-23, -2.3),
    "log_epsilon": (-23, -13.8),
    "log_lr": (-23, 0),
}

needs_keras = pytest.mark.skipif(
    importlib.util.find_spec("keras") is None, reason="needs tradeoff[demo]"
)


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set of the same form: three classes of waves."""
    folder = tmp_path_factory.mktemp("waves")
    rng = np.random.default_rng(0)
    for name, count in (("Adiac_TRAIN", 24), ("Adiac_TEST", 18)):
        labels = 1 + np.arange(count) % 3
        series = np.sin(np.outer(labels, np.linspace(0, 6, 20))) + rng.normal(0, 0.05, (count, 20))
        rows = [
            ",".join([str(k), *map(str, row)])
            for k, row in zip(labels, series.round(4), strict=True)
        ]
        (folder / name).write_text("\n".join(rows) + "\n")
    return folder


def command(data: Path, out: Path, *more: str) -> list[str]:
    least = ["--epochs", "1", "--observations", "3", "--name", "here"]
    return [sys.executable, "tune.py", "--data", str(data), "--out", str(out), *least, *more]


@needs_keras
@pytest.mark.long
def test_after_a_crash_the_same_command_goes_on_to_a_frontier(
    live_server: LiveServer, waves: Path, tmp_path: Path
) -> None:
    # So many epochs that it is killed while it trains.
    endless = [*command(waves, tmp_path), "--epochs", "100000"]
    with (
        Client(live_server.token, api_url=live_server.url) as client,
        subprocess.Popen(endless, cwd=FOLDER, env=environment(live_server), stdout=-1) as process,
    ):
        while not (found := client.experiments.fetch().data):
            assert process.poll() is None
        experiment = found[0]
        while not (held := experiment.suggestions().fetch(state="open").data):
            assert process.poll() is None
        process.kill()
        bounds = {
            p["name"]: (p["bounds"]["min"], p["bounds"]["max"]) for p in experiment.parameters
        }
        assert bounds == BOUNDS

        refused = run_example(*command(waves, tmp_path), server=live_server, folder=FOLDER.name)
        assert "trains for 100000 epochs, not 1" in refused.stderr
        experiment.resource.update(metadata={"epochs": 1})
        again = command(waves, tmp_path, "--parallel", "2")
        done = run_example(*again, server=live_server, folder=FOLDER.name)

        assert done.returncode == 0, done.stderr
        assert f"experiment {experiment.id} goes on after 0 observations" in done.stdout
        observed = experiment.observations().fetch().data
        assert held[0].id in {each.suggestion for each in observed}
        assert len(observed) in {3, 4}  # the second process may train beyond the budget
        assert not experiment.suggestions().fetch(state="open").data
        frontier = experiment.frontier()
    assert f"Efficient frontier: {len(frontier)} networks" in done.stdout
    with (tmp_path / "frontier.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {"accuracy", "inference_ms", *BOUNDS}
    assert sorted(float(row["accuracy"]) for row in rows) == sorted(
        best.value_by_metric["accuracy"] for best in frontier
    )
    assert all(float(row["inference_ms"]) > 0 for row in rows)
    assert (tmp_path / "frontier.png").read_bytes().startswith(b"\x89PNG")


@needs_keras
@pytest.mark.long
@pytest.mark.skipif("TRADEOFF_SHARED" not in os.environ, reason="needs $TRADEOFF_SHARED")
def test_it_tunes_on_the_real_diatoms(live_server: LiveServer, tmp_path: Path) -> None:
    data = Path(os.environ["TRADEOFF_SHARED"]) / "data" / "adiac"

    again = command(data, tmp_path, "--observations", "2")
    done = run_example(*again, server=live_server, folder=FOLDER.name)

    assert done.returncode == 0, done.stderr
    assert "390 series to train with, 391 to validate, 37 classes" in done.stdout
    assert "Efficient frontier: " in done.stdout


def test_the_archive_is_downloaded_once(waves: Path, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("Adiac_TRAIN", "Adiac_TEST"):
            # As the newer edition has it: blanks, and a suffix.
            archive.writestr(f"Adiac/{name}.txt", (waves / name).read_text().replace(",", "  "))
    asked: list[str] = []

    class Home(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(packed.getvalue())

    diatoms = importlib.import_module("examples.keras_diatoms.diatoms")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Home) as home:
        threading.Thread(target=home.serve_forever, daemon=True).start()
        for _ in range(2):
            diatoms.download(tmp_path / "data", f"http://127.0.0.1:{home.server_port}/Adiac.zip")
        home.shutdown()

    assert asked == ["/Adiac.zip"]
    read, wanted = diatoms.load(tmp_path / "data"), diatoms.load(waves)
    assert np.array_equal(read.train, wanted.train)
    assert (read.classes, read.validate.shape) == (3, (18, 20, 1))
    assert abs(read.train.mean()) < 1e-6
    with pytest.raises(FileNotFoundError, match="no Adiac_TRAIN"):
        diatoms.load(tmp_path)

"""Hydra's own multirun, with a server of ours behind it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tradeoff import Client

pytestmark = pytest.mark.slow

APPLICATION = """
import hydra


@hydra.main(version_base=None, config_path=".", config_name="config")
def main(config):
    if config.net.layers == 3:
        raise MemoryError("does not fit")
    assert config.epochs == 7 and config.act in ("relu", "tanh")
    return {"accuracy": 1 - config.lr, "ms": 2.0 * config.net.layers}


main()
"""
CONFIG = """
defaults:
  - override hydra/sweeper: tradeoff
lr: 0.1
act: relu
epochs: 1
net: {layers: 1}
hydra:
  sweeper:
    metrics: {accuracy: maximize, ms: minimize}
    budget: 6
    at_once: 2
    params:
      lr: tag(log, interval(1e-4, 1e-1))
      act: choice(relu, tanh)
"""


def test_a_multirun_asks_the_server(client: Client, libraries: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APPLICATION)
    (tmp_path / "config.yaml").write_text(CONFIG)
    asked = ["app.py", "--multirun", "net.layers=range(1,4)", "epochs=7", "hydra.sweep.dir=out"]

    done = subprocess.run(
        [sys.executable, *asked],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(libraries)]),
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    (experiment,) = client.experiments.fetch()
    act, lr, layers = sorted(experiment.parameters, key=lambda each: str(each["name"]))
    assert (lr["transformation"], act["type"], layers["bounds"]["max"]) == ("log", "categorical", 3)
    observed = experiment.observations().fetch().data
    assert len(observed) == 6
    for each in observed:
        assert each.failed == (each.assignments["net.layers"] == 3)
        if not each.failed:
            expected = 1 - each.assignments["lr"]
            assert each.value_by_metric["accuracy"] == pytest.approx(expected)
    told = (tmp_path / "out" / "frontier.yaml").read_text()
    assert told.count("accuracy:") == len(experiment.frontier())

"""Ray Tune, in an environment of its own: Ray is large (440 MB)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import environments
from tradeoff import Client

# Importing Ray takes long, and so does each of its processes.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

#: As a user would write it; one of the three depths does not fit.
SEARCH = """
import sys

import ray
from ray import tune

from tradeoff.integrations.ray import TradeoffSearcher


def train(config):
    if config["net"]["layers"] == 3:
        raise MemoryError("does not fit")
    tune.report({"accuracy": 1 - config["lr"], "ms": 2.0 * config["net"]["layers"]})


ray.init(num_cpus=1, include_dashboard=False)
searcher = TradeoffSearcher(["accuracy", "ms"], ["max", "min"], budget=5)
tuner = tune.Tuner(
    train,
    param_space={"lr": tune.loguniform(1e-4, 1e-1), "net": {"layers": tune.randint(1, 4)}},
    tune_config=tune.TuneConfig(search_alg=searcher, num_samples=5, max_concurrent_trials=1),
    run_config=tune.RunConfig(storage_path=sys.argv[1]),
)
results = tuner.fit()
print("errors", results.num_errors, "experiment", searcher.experiment_id)
"""


@pytest.fixture(scope="session")
def ray_packages() -> Path:
    """Ray can be imported; installed once, by the script that developers may run."""
    folder = environments.make("ray-venv.sh", "Ray")
    sys.path.append(str(folder))
    return folder


@pytest.mark.long  # the others show its parts
@pytest.mark.timeout(900)
def test_a_whole_run_of_several_metrics(client: Client, ray_packages: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SEARCH, str(tmp_path)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(ray_packages)]),
            "RAY_USAGE_STATS_ENABLED": "0",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (experiment,) = client.experiments.fetch()
    observed = experiment.observations().fetch().data
    failures = [each for each in observed if each.failed]
    assert len(observed) == 5
    assert f"errors {len(failures)} experiment {experiment.id}" in done.stdout
    assert {each.assignments["net/layers"] for each in failures} <= {3}
    for each in observed:
        if not each.failed:
            layers = each.assignments["net/layers"]
            assert each.value_by_metric == {
                "accuracy": 1 - each.assignments["lr"],
                "ms": 2 * layers,
            }
    assert experiment.suggestions().fetch(state="open").count == 0
    assert {best.value_by_metric["ms"] for best in experiment.frontier()} <= {2, 4}


@pytest.mark.usefixtures("ray_packages")
def test_a_searcher_as_ray_uses_it(client: Client, tmp_path: Path) -> None:
    from ray import tune

    from tradeoff.integrations.ray import TradeoffSearcher

    searcher = TradeoffSearcher(["accuracy", "ms"], ["max", "min"], client=client)
    space = {
        "lr": tune.loguniform(1e-4, 1e-1),
        "net": {"layers": tune.randint(1, 4), "act": tune.choice(["relu", None])},
        "seed": 7,
    }

    assert searcher.set_search_properties(None, None, space)
    assert not searcher.set_search_properties(None, None, space)
    first, second, third = (searcher.suggest(name) for name in ("a", "b", "c"))
    searcher.on_trial_complete("a", {"accuracy": 0.5, "ms": 1.0, "training_iteration": 1})
    searcher.save(str(tmp_path / "searcher.pkl"))
    again = TradeoffSearcher(client=client)
    again.restore(str(tmp_path / "searcher.pkl"))
    again.on_trial_complete("b", error=True)
    again.on_trial_complete("c")
    again.on_trial_complete("unknown", {"accuracy": 1, "ms": 1})

    experiment = client.experiments(searcher.experiment_id or "").fetch()
    assert {each["name"]: each["type"] for each in experiment.parameters} == {
        "lr": "double",
        "net/layers": "int",
        "net/act": "categorical",
    }
    assert experiment.metrics[1]["objective"] == "minimize"
    layers = next(each for each in experiment.parameters if each["name"] == "net/layers")
    assert layers["bounds"]["max"] == 3
    for each in (first, second, third):
        assert set(each) == {"lr", "net"}
        assert each["net"]["act"] in ("relu", None)
    failed, measured = experiment.observations().fetch().data
    assert failed.failed
    assert measured.value_by_metric == {"accuracy": 0.5, "ms": 1.0}
    assert measured.assignments["lr"] == first["lr"]
    assert experiment.suggestions().fetch(state="open").count == 0


@pytest.mark.usefixtures("ray_packages")
def test_a_searcher_goes_on_with_an_experiment(client: Client) -> None:
    from ray import tune

    from tradeoff.integrations.ray import TradeoffSearcher

    space = {"x": tune.uniform(0, 1)}
    first = TradeoffSearcher("loss", "min", client=client)
    first.set_search_properties(None, None, space)
    first.suggest("a")
    second = TradeoffSearcher("loss", "min", client=client, experiment_id=first.experiment_id)
    second.set_search_properties(None, None, space)

    second.suggest("b")

    (experiment,) = client.experiments.fetch()
    assert experiment.suggestions().fetch(state="open").count == 2


@pytest.mark.usefixtures("ray_packages")
@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({"x": {"grid_search": [1, 2]}}, "x: use tune.choice"),
        ({"a": {"x": "quniform"}}, "a/x: only uniform"),
    ],
)
def test_what_cannot_be_suggested_is_named(client: Client, space: Any, told: str) -> None:
    from ray import tune

    from tradeoff.integrations.ray import TradeoffSearcher

    if "a" in space:
        space = {"a": {"x": tune.quniform(0, 1, 0.1)}}
    with pytest.raises(ValueError, match=told):
        TradeoffSearcher("loss", "min", client=client).set_search_properties(None, None, space)

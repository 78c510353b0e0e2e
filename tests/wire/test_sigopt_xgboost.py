"""`sigopt.xgboost` of the official client, unchanged: what arrives of its runs and experiments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import LiveServer
from tests.wire.test_sigopt_client import sigopt_python
from tests.wire.test_sigopt_runs import fetch, run_command

__all__ = ["sigopt_python"]

pytestmark = pytest.mark.compat

SCRIPT = Path(__file__).with_name("sigopt_xgboost.py")


def runs_of(server: LiveServer, experiment_id: str) -> list[dict[str, Any]]:
    """The training runs of an experiment, the oldest first."""
    listed = fetch(server, f"/clients/{server.client_id}/projects/trees/training_runs")["data"]
    return [run for run in reversed(listed) if run["experiment"] == experiment_id]


def test_the_xgboost_helper_works_unchanged(
    sigopt_python: str, live_server: LiveServer, tmp_path: Path
) -> None:
    printed = run_command([sigopt_python, str(SCRIPT)], live_server, tmp_path)

    seen: dict[str, Any] = json.loads(printed.splitlines()[-1])
    check_run(live_server, seen)
    check_experiment_of_defaults(live_server, seen)
    check_experiment_of_choices(live_server, seen)


def check_run(server: LiveServer, seen: dict[str, Any]) -> None:
    run = fetch(server, f"/training_runs/{seen['run']}")

    assert (run["name"], run["state"], run["experiment"]) == ("one model", "completed", None)
    assert run["values"]["holdout-accuracy"]["value"] == seen["run_accuracy"] > 0.8
    assert {"holdout-logloss", "holdout-F1", "Training time"} <= set(run["values"])
    assert (run["assignments"]["max_depth"], run["assignments"]["num_boost_round"]) == (3, 12)
    # What xgboost assumed is logged as well, and said to be its own.
    assert len(run["assignments"]) > 20
    assert run["assignments_meta"]["max_depth"]["source"] == "User Specified"
    assert run["assignments_meta"]["subsample"]["source"] == "XGBoost Defaults"
    assert run["assignments_sources"]["XGBoost Defaults"]["default_show"] is False
    assert run["dev_metadata"]["_IS_XGB_RUN"] == 1
    assert run["metadata"]["Dataset rows"] == 160
    assert run["model"]["type"] == "XGBoost"
    assert list(run["datasets"]) == ["holdout"]
    importances = run["sys_metadata"]["feature_importances"]
    assert importances["type"] == "weight"
    assert set(importances["scores"]) <= {"length", "width", "depth", "mass"}
    # Every fifth of 12 rounds, and the last.
    checkpoints = fetch(server, f"/training_runs/{run['id']}/checkpoints")["data"]
    assert run["checkpoint_count"] == len(checkpoints) == 4
    assert [value["name"] for value in checkpoints[0]["values"]] == ["holdout-logloss"]


def check_experiment_of_defaults(server: LiveServer, seen: dict[str, Any]) -> None:
    experiment = fetch(server, f"/aiexperiments/{seen['experiment']}")

    assert experiment["metadata"] == {"_IS_XGB_EXPERIMENT": "True"}
    transformations = {p["name"]: p["transformation"] for p in experiment["parameters"]}
    assert transformations == {
        "eta": "log",
        "gamma": None,
        "max_depth": None,
        "min_child_weight": None,
        "num_boost_round": None,
    }
    assert [m["name"] for m in experiment["metrics"]] == ["TestSet-accuracy"]
    assert experiment["progress"]["remaining_budget"] == 0
    assert seen["finished"] is True

    runs = runs_of(server, experiment["id"])
    assert [run["state"] for run in runs] == ["completed"] * 4
    for run in runs:
        assert {run["assignments_meta"][name]["source"] for name in transformations} == {"SigOpt"}
        assert run["assignments_meta"]["early_stopping_rounds"]["source"] == "SigOpt Defaults"
        assert run["checkpoint_count"] > 0
        observation = fetch(
            server, f"/experiments/{experiment['id']}/observations/{run['observation']}"
        )
        assert observation["failed"] is False
        assert observation["values"][0]["value"] == run["values"]["TestSet-accuracy"]["value"]
    best = max(runs, key=lambda run: run["values"]["TestSet-accuracy"]["value"])
    (found,) = seen["best"]
    values = {run["id"]: run["values"]["TestSet-accuracy"]["value"] for run in runs}
    assert values[found] == values[best["id"]]


def check_experiment_of_choices(server: LiveServer, seen: dict[str, Any]) -> None:
    experiment = fetch(server, f"/aiexperiments/{seen['chosen']}")

    assert [p["name"] for p in experiment["parameters"]] == ["eta", "max_depth"]
    assert [m["strategy"] for m in experiment["metrics"]] == ["optimize", "store"]
    runs = runs_of(server, experiment["id"])
    assert len(runs) == 3
    assert seen["chosen_best"] == [max(run["values"]["holdout-F1"]["value"] for run in runs)]

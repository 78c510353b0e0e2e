from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import text

from tests.api.caller import Caller, ok, path_of, refusal
from tradeoff.service import insights
from tradeoff.store.database import Database

CUBE = [{"name": name, "type": "double", "bounds": {"min": 0, "max": 1}} for name in "ab"]
METRICS = [
    {"name": "z", "objective": "minimize"},
    {"name": "constant", "strategy": "store"},
]


def observed(api: Caller, count: int, **changes: Any) -> str:
    """An experiment whose metric `z` depends on `a` alone, with observations; gives its path."""
    path = path_of(api.experiment(**{"parameters": CUBE, "metrics": METRICS, **changes}))
    draw = random.Random(0)
    points = [{"a": draw.random(), "b": draw.random()} for _ in range(count)]
    reports = [
        {
            "assignments": point,
            "values": [
                {"name": "z", "value": 7 * point["a"]},
                {"name": "constant", "value": 3},
            ],
        }
        for point in points
    ]
    ok(api.post(f"{path}/observations/batch", {"observations": reports}))
    return path


def test_importances_are_told_at_once_by_metric_name(api: Caller) -> None:
    path = observed(api, 10)

    told = ok(api.get(f"{path}/metric_importances"))

    assert told["object"] == "pagination"
    assert told["count"] == 2
    constant, z = told["data"]
    assert (constant["metric"], z["metric"]) == ("constant", "z")
    assert constant["importances"] == {"a": 0.5, "b": 0.5}
    assert z["object"] == "metric_importances"
    assert z["importances"]["a"] > 0.6
    assert sum(z["importances"].values()) == pytest.approx(1)
    assert (z["method"], z["observations"], z["computed"]) == ("trees", 10, None)
    assert z["calibration"] is None
    single = ok(api.get(f"{path}/importances"))
    assert single["importances"] == z["importances"]
    assert single["failure"] is None


def test_importances_wait_for_five_successes_for_each_parameter(api: Caller) -> None:
    path = observed(api, 9)
    api.observe(path, assignments={"a": 0.5, "b": 0.5}, failed=True)

    message = refusal(api.get(f"{path}/metric_importances"), 422)

    assert "10 successful observations" in message
    assert "9" in message
    refusal(api.put(f"{path}/metric_importances", {}), 422)
    refusal(api.get(f"{path}/importances"), 422)


def test_one_parameter_matters_for_everything(api: Caller) -> None:
    path = path_of(api.single())
    for index in range(5):
        api.observe(path, assignments={"x": index / 5}, value=index**2)

    (told,) = ok(api.get(f"{path}/metric_importances"))["data"]

    assert told["metric"] is None
    assert told["importances"] == {"x": 1}


def test_conditionals_and_development_have_none(api: Caller) -> None:
    conditional = api.experiment(
        conditionals=[{"name": "c", "values": ["1", "2"]}],
        parameters=[*CUBE, {**CUBE[0], "name": "d", "conditions": {"c": ["1"]}}],
    )
    assert "conditionals" in refusal(api.get(f"{path_of(conditional)}/metric_importances"), 422)
    developer = api.as_token(api.development_token)
    path = observed(developer, 12)
    assert "development" in refusal(developer.get(f"{path}/metric_importances"), 422)


def test_what_the_models_said_is_told_instead_of_trees(api: Caller, shared: Database) -> None:
    path = observed(api, 10)
    shares = {"z": {"a": 0.9, "b": 0.1}, "constant": {"a": 0.5, "b": 0.5}}
    with shared.transaction() as session:
        insights.keep(
            session,
            int(path.rpartition("/")[2]),
            observations=10,
            importances=shares,
            failure={"a": 0.2, "b": 0.8},
            calibrations={"z": {"observations": 10, "explained": 0.9, "coverage": 0.95}},
        )

    _, z = ok(api.get(f"{path}/metric_importances"))["data"]
    assert z["method"] == "model"
    assert z["importances"] == shares["z"]
    assert z["calibration"] == {"observations": 10, "explained": 0.9, "coverage": 0.95}
    assert z["computed"] > 0
    assert ok(api.get(f"{path}/importances"))["failure"] == {"a": 0.2, "b": 0.8}

    # Of other parameters nothing was said.
    added = {**CUBE[0], "name": "new", "default_value": 0.5}
    ok(api.put(path, {"parameters": [*CUBE, added]}))
    for index in range(5):
        api.observe(path, assignments={"a": 0, "b": 0.5, "new": index / 5}, values=[
            {"name": "z", "value": index}, {"name": "constant", "value": 3},
        ])  # fmt: skip
    _, z = ok(api.get(f"{path}/metric_importances"))["data"]
    assert z["method"] == "trees"
    assert z["importances"].keys() == {"a", "b", "new"}


def test_a_put_asks_a_worker(api: Caller, shared: Database) -> None:
    path = observed(api, 10, type="random")

    answered = ok(api.put(f"{path}/metric_importances", {}))
    ok(api.put(f"{path}/metric_importances", {}))

    assert answered == ok(api.get(f"{path}/metric_importances"))
    with shared.transaction() as session:
        query = (
            "select count(*) from jobs.procrastinate_jobs where task_name = 'analysis' "
            "and args ->> 'experiment_id' = :id and status = 'todo'"
        )
        assert session.scalar(text(query), {"id": path.rpartition("/")[2]}) == 1


def test_importances_of_an_experiment_of_runs(api: Caller) -> None:
    client = f"/v1/clients/{api.client_id}"
    ok(api.post(f"{client}/projects", {"id": "p", "name": "P"}))
    body = {"name": "runs", "parameters": CUBE, "metrics": [{"name": "z"}], "budget": 20}
    experiment = ok(api.post(f"{client}/projects/p/aiexperiments", body))
    for index in range(10):
        run = {
            "name": f"{index}",
            "state": "completed",
            "assignments": {"a": index / 10, "b": (index * 7 % 10) / 10},
            "values": {"z": {"value": index}},
        }
        ok(api.post(f"/v1/aiexperiments/{experiment['id']}/training_runs", run))

    (z,) = ok(api.get(f"/v1/experiments/{experiment['id']}/metric_importances"))["data"]

    assert z["importances"]["a"] > z["importances"]["b"]


def test_importances_are_nobody_elses(api: Caller, other: Caller) -> None:
    path = path_of(api.single())

    refusal(other.get(f"{path}/metric_importances"), 404)
    refusal(other.put(f"{path}/metric_importances", {}), 404)
    assert "unknown" in refusal(api.put(f"{path}/metric_importances", {"unknown": 1}))

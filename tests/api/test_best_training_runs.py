from __future__ import annotations

from tests.api.caller import Caller, ok, path_of, refusal

X = [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}]


def test_the_best_runs_are_below_either_address(api: Caller) -> None:
    project = f"/v1/clients/{api.client_id}/projects"
    ok(api.post(project, {"id": "p", "name": "P"}))
    body = {"name": "runs", "parameters": X, "metrics": [{"name": "y"}], "budget": 5}
    experiment = ok(api.post(f"{project}/p/aiexperiments", body))
    runs = f"/v1/aiexperiments/{experiment['id']}/training_runs"
    for value in (1, 3, 2):
        run = {"name": "r", "state": "completed", "values": {"y": {"value": value}}}
        ok(api.post(runs, {**run, "assignments": {"x": value / 5}}))

    (best,) = ok(api.get(f"/v1/experiments/{experiment['id']}/best_training_runs"))["data"]

    assert best["values"]["y"]["value"] == 3
    there = ok(api.get(f"/v1/aiexperiments/{experiment['id']}/best_training_runs"))["data"]
    assert there == [best]


def test_what_was_reported_without_a_run_has_none(api: Caller, other: Caller) -> None:
    path = path_of(api.single())
    api.observe(path, assignments={"x": 0.5}, value=1)

    assert ok(api.get(f"{path}/best_training_runs"))["count"] == 0
    refusal(other.get(f"{path}/best_training_runs"), 404)

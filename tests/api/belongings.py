"""Something of each kind that a path of the API can name."""

from __future__ import annotations

from typing import Any

from tests.api.caller import Caller, ok, path_of, single_body

#: MD5 of the one byte `x`, which a file of a run holds.
MD5_OF_X = "nU5PIGININLrklKSlz8+GQ=="


def make_belongings(owner: Caller, *, mark: str) -> dict[str, int | str]:
    """Objects of an administrator's client, by the placeholder that names them in a path.

    The training run and its file belong to no experiment; `mark` stands in everything that has a
    name.
    """
    project = f"/v1/clients/{owner.client_id}/projects/owned"
    ok(owner.post(f"/v1/clients/{owner.client_id}/projects", {"id": "owned", "name": mark}))
    ok(owner.post(f"{project}/notes", {"contents": mark}))
    made = {
        "organization": ok(owner.get("/v1/tokens/self"))["organization"],
        "client": owner.client_id,
        "token": _id(owner, f"/v1/clients/{owner.client_id}/tokens", {"role": "read"}),
        "user": _id(owner, "/v1/users", {"name": mark, "email": f"{mark}@example.com"}),
        "tag": _id(
            owner, f"/v1/clients/{owner.client_id}/tags", {"name": mark, "color": "#000000"}
        ),
        "aiexperiment": _id(
            owner, f"{project}/aiexperiments", single_body(name=mark, metrics=[{"name": "f"}])
        ),
        **_of_experiment(owner, mark),
        **_of_run(owner, f"{project}/training_runs", mark),
    }
    return {**{kind: int(number) for kind, number in made.items()}, "project": "owned"}


def _of_experiment(owner: Caller, mark: str) -> dict[str, Any]:
    experiment = owner.single(name=mark, metadata={"mark": mark})
    path = path_of(experiment)
    suggestion = _id(owner, f"{path}/suggestions", {})
    report = {"assignments": {"x": 0.5}, "value": 1, "metadata": {"mark": mark}}
    return {
        "experiment": experiment["id"],
        "suggestion": suggestion,
        "checkpoint": _id(
            owner, f"{path}/suggestions/{suggestion}/checkpoints", {"values": [{"value": 1}]}
        ),
        "observation": _id(owner, f"{path}/observations", report),
        "queued_suggestion": _id(owner, f"{path}/queued_suggestions", {"assignments": {"x": 0.25}}),
    }


def _of_run(owner: Caller, runs: str, mark: str) -> dict[str, Any]:
    run = _id(owner, runs, {"name": mark})
    file = {"name": mark, "content_type": "image/png", "content_length": 1, "content_md5": MD5_OF_X}
    return {
        "training_run": run,
        "run_checkpoint": _id(
            owner,
            f"/v1/training_runs/{run}/checkpoints",
            {"values": [{"name": "f", "value": 1}]},
        ),
        "file": _id(owner, f"/v1/training_runs/{run}/files", file),
    }


def _id(owner: Caller, path: str, body: dict[str, Any]) -> int:
    return int(ok(owner.post(path, body))["id"])

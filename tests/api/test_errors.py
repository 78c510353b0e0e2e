from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from tradeoff.api import errors
from tradeoff.api.wire.experiments import ExperimentCreate
from tradeoff.api.wire.observations import ObservationCreate
from tradeoff.errors import Conflict, NotAllowed, Unavailable

X = {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}


def told(model: Any, body: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    return errors.bad_input(caught.value, model).message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": None}, "name: must be a string, not null"),
        ({"parameters": None}, "parameters: must be an array, not null"),
        ({"parameters": {}}, "parameters: must be an array, not {}"),
        ({"parameters": []}, "parameters: must hold at least 1, not 0"),
        ({"parameters": [X, 3]}, "parameters[1]: must be an object, not 3"),
        (
            {"parameters": [X, {**X, "name": "y", "bounds": {"min": "3", "max": 4}}]},
            "parameters[1].bounds.min: must be a number, not '3'",
        ),
        (
            {"parameters": [{**X, "bounds": {"min": True, "max": 4}}]},
            "parameters[0].bounds.min: must be a number, not true",
        ),
        ({"parameters": [{"name": "x", "type": "double"}]}, "parameters[0].bounds: required"),
        ({"parameters": [{"name": "x", "bounds": X["bounds"]}]}, "parameters[0].type: required"),
        (
            {"parameters": [{**X, "type": "float"}]},
            "parameters[0].type: must be 'double', 'int' or 'categorical', not 'float'",
        ),
        (
            {"parameters": [{**X, "prior": {"name": "uniform"}}]},
            "parameters[0].prior.name: must be one of 'normal', 'beta'",
        ),
        ({"parameters": [{**X, "prior": {}}]}, "parameters[0].prior.name: required"),
        (
            {"parameters": [{**X, "prior": {"name": "normal", "mean": 0.5}}]},
            "parameters[0].prior.scale: required",
        ),
        (
            {"parameters": [{**X, "prior": {"name": "normal", "mean": 0.5, "scale": 0}}]},
            "parameters[0].prior.scale: must be above 0, not 0",
        ),
        ({"colour": 1}, "colour: unknown key; allowed are budget, conditionals, "),
        (
            {"metrics": [{"name": "f", "goal": "up"}]},
            "metrics[0].goal: unknown key; allowed are name, objective, strategy, threshold",
        ),
        (
            {"metrics": [{"name": "f", "strategy": "constraint"}]},
            "metrics[0].threshold: required for a constraint metric",
        ),
        (
            {"linear_constraints": [{"type": "less_than", "threshold": 1, "terms": [{"nam": 1}]}]},
            "linear_constraints[0].terms[0].name: required",
        ),
        ({"parallel_bandwidth": 0}, "parallel_bandwidth: must be a positive integer, not 0"),
        ({"observation_budget": 1.5}, "observation_budget: must be an integer, not 1.5"),
        ({"type": "magic"}, "type: must be 'offline', 'random' or 'grid', not 'magic'"),
        ({"metadata": {"a": [1]}}, "metadata.a: must be a string or a number, not [1]"),
        ({"budget": 3}, "budget: an experiment has an observation_budget instead"),
        ({"tasks": []}, "tasks: at least two are needed, not 0"),
        ({"runs_only": True}, "project: required with runs_only"),
        ({"project": 7}, "project: must be a string, not 7"),
    ],
)
def test_what_is_wrong_is_told_in_plain_words(changes: dict[str, Any], message: str) -> None:
    body = {"name": "n", "parameters": [X], **changes}

    assert told(ExperimentCreate, body).startswith(message)


def test_at_most_five_mistakes_are_told_at_once() -> None:
    parameters = [{"name": f"x{index}", "type": "double", "bounds": 3} for index in range(9)]

    message = told(ExperimentCreate, {"name": "n", "parameters": parameters})

    assert message.count("must be an object") == 5
    assert message.endswith("; and 4 more")


def test_a_wrong_entry_is_not_reported_as_too_few_entries_too() -> None:
    message = told(ExperimentCreate, {"name": "n", "parameters": [{**X, "type": "float"}]})

    assert "at least" not in message


def test_a_rule_between_fields_has_no_path() -> None:
    message = told(ObservationCreate, {})

    assert message == "exactly one of suggestion and assignments is required"


def app_that_raises(error: Exception) -> FastAPI:
    app = FastAPI()
    errors.install(app)

    @app.get("/")
    def fail() -> None:
        raise error

    return app


async def answer(app: FastAPI, path: str = "/", **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(path, headers=headers)


def get(app: FastAPI, path: str = "/", **headers: str) -> httpx.Response:
    import anyio

    return anyio.run(lambda: answer(app, path, **headers))


def test_what_nobody_foresaw_is_a_500_that_tells_nothing_but_its_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    response = get(app_that_raises(RuntimeError("the secret is tdo_x")))

    assert response.status_code == 500
    request_id = response.headers["x-request-id"]
    assert set(response.json()) == {"message", "status"}
    assert request_id in response.json()["message"]
    assert "secret" not in response.text
    assert "RuntimeError" in caplog.text


def test_a_request_id_is_kept_when_it_is_harmless() -> None:
    app = app_that_raises(Conflict())

    assert get(app, **{"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    for bad in ("", "a b", "a;b", "x" * 65):
        assert get(app, **{"X-Request-Id": bad}).headers["x-request-id"] != bad


def test_what_is_over_soon_says_when_to_come_back() -> None:
    assert get(app_that_raises(Unavailable())).headers["retry-after"] == "2"
    assert get(app_that_raises(Conflict())).headers["retry-after"] == "1"


def test_a_refused_token_says_why() -> None:
    body = get(app_that_raises(NotAllowed("no", token_status="expired"))).json()

    assert body == {"message": "no", "status": 403, "token_status": "expired"}


def test_an_unknown_path_and_method_have_sigopts_body() -> None:
    app = app_that_raises(Conflict())

    assert get(app, "/nowhere").json()["status"] == 404
    assert get(app, "/nowhere").headers["x-request-id"]

"""Development tokens: what they may use, what is refused, and what their experiments are."""

from __future__ import annotations

import pytest

from tests.api.caller import Caller, ok, path_of, refusal
from tradeoff.api.routes import ROUTES
from tradeoff.api.routing import Route

PROJECT = {"id": "tried", "name": "Tried"}


@pytest.fixture
def developer(api: Caller) -> Caller:
    return api.as_token(api.development_token)


def test_what_a_development_token_may_use(developer: Caller) -> None:
    client = f"/v1/clients/{developer.client_id}"
    project = f"{client}/projects/tried"
    experiment = path_of(developer.single())
    token = ok(developer.get("/v1/tokens/self"))
    ok(developer.post(f"{client}/projects", PROJECT))
    run = ok(developer.post(f"{project}/training_runs", {"name": "r"}))

    assert (token["token_type"], token["development"]) == ("client-dev", True)
    for path in (
        "/v1/experiments",
        experiment,
        f"{experiment}/suggestions",
        f"{experiment}/observations",
        f"{experiment}/best_assignments",
        f"{experiment}/queued_suggestions",
        f"{experiment}/stopping_criteria",
        client,
        f"{client}/experiments",
        f"{client}/projects",
        project,
        f"{project}/experiments",
        f"{project}/training_runs",
        f"{client}/training_runs",
        f"/v1/training_runs/{run['id']}",
        f"/v1/training_runs/{run['id']}/checkpoints",
        "/v1/organizations",
        f"/v1/organizations/{token['organization']}",
        "/v1/sessions",
    ):
        ok(developer.get(path))
    ok(developer.put(f"/v1/training_runs/{run['id']}", {"state": "completed"}))
    ok(developer.put("/v1/tokens/self", {"token": "rotate"}))


#: AIExperiments, tags, guest tokens, users, and all that an administrator does.
REFUSED = [
    route
    for route in ROUTES
    if "aiexperiment" in route.path
    or "tag" in route.path
    or "/users" in route.path
    or (route.path.endswith("/tokens") and route.method == "POST")
    or route.administers
]


@pytest.mark.parametrize("route", REFUSED, ids=lambda route: f"{route.method} {route.path}")
def test_what_a_development_token_may_not_use(api: Caller, developer: Caller, route: Route) -> None:
    client = f"/v1/clients/{api.client_id}"
    ok(developer.post(f"{client}/projects", PROJECT))
    run = ok(developer.post(f"{client}/projects/tried/training_runs", {"name": "r"}))
    ids = {
        "client": api.client_id,
        "project": "tried",
        "organization": ok(api.get("/v1/tokens/self"))["organization"],
        "experiment": developer.single()["id"],
        "training_run": run["id"],
        "tag": ok(api.post(f"{client}/tags", {"name": "t", "color": "#000000"}))["id"],
    }
    if not set(route.placeholders) <= set(ids):
        # Of what such a token can never have, nothing exists for it.
        ids |= dict.fromkeys(route.placeholders, 8_000_000_000) | ids
        refused = developer.request(route.method, route.path.format(**ids))
        assert refused.status_code in (403, 404)
        return

    answer = developer.request(route.method, route.path.format(**ids))

    refusal(answer, 403)
    assert answer.json()["token_status"] == "invalid_permissions"


def test_its_experiments_are_marked_and_drawn_at_random(developer: Caller) -> None:
    experiment = developer.single()
    path = path_of(experiment)

    assert experiment["development"] is True
    assert ok(developer.get(path))["development"] is True
    for _ in range(3):
        suggestion = ok(developer.post(f"{path}/suggestions"))
        assert suggestion["source"] == "random"
        developer.observe(path, suggestion=suggestion["id"], value=1)


def test_development_and_production_stay_apart(api: Caller, developer: Caller) -> None:
    tried, real = developer.single(), api.single()

    for caller, foreign in ((api, tried), (developer, real)):
        path = path_of(foreign)
        for answer in (
            caller.get(path),
            caller.put(path, {"name": "x"}),
            caller.delete(path),
            caller.post(f"{path}/suggestions"),
            caller.post(f"{path}/observations", {"assignments": {"x": 0.5}, "value": 1}),
            caller.get(f"{path}/best_assignments"),
        ):
            refusal(answer, 403)
            assert answer.json()["token_status"] == "invalid_permissions"
    listed = [each["id"] for each in ok(developer.get("/v1/experiments"))["data"]]
    assert listed == [tried["id"]]
    assert [each["id"] for each in ok(api.get("/v1/experiments"))["data"]] == [real["id"]]
    assert ok(developer.get("/v1/experiments", development="False"))["count"] == 0
    assert ok(api.get("/v1/experiments", development="True"))["count"] == 0

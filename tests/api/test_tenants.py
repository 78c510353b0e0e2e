"""One client's things do not exist for another: byte for byte the answer of what never was."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.api.belongings import make_belongings
from tests.api.caller import Caller, ok, path_of, refusal
from tests.builders import make_account, make_admin
from tradeoff.api.routes import ROUTES
from tradeoff.api.routing import Route
from tradeoff.store.database import Database

NEVER = 8_000_000_000
BODIES: dict[str, dict[str, Any]] = {
    "experiments.create": {"nonsense": 1},
    "observations.create": {"assignments": {"x": 0.5}, "value": 1},
    "suggestions.create": {},
}


@pytest.fixture(scope="module")
def owner(http: httpx.Client, shared: Database) -> Caller:
    account = make_account(shared, "Owner")
    return Caller(http, make_admin(shared, account), account.client_id)


@pytest.fixture(scope="module")
def stranger(http: httpx.Client, shared: Database) -> Caller:
    """Another client, with the token that reaches farthest."""
    account = make_account(shared, "Stranger")
    return Caller(http, make_admin(shared, account), account.client_id)


@pytest.fixture(scope="module")
def owned(owner: Caller) -> dict[str, int | str]:
    """The ids of something of each kind."""
    return make_belongings(owner, mark="owned")


def ask(caller: Caller, route: Route, ids: dict[str, Any]) -> httpx.Response:
    path = route.path
    for name in route.placeholders:
        path = path.replace(f"{{{name}}}", str(ids[name]))
    body = BODIES.get(route.name, {}) if route.body_model is not None else None
    return caller.request(route.method, path, json=body)


NUMBERED = [route for route in ROUTES if route.placeholders]
CHILDREN = [route for route in NUMBERED if len(route.placeholders) >= 2]


@pytest.mark.parametrize("route", NUMBERED, ids=lambda route: f"{route.method} {route.path}")
def test_a_foreign_thing_is_answered_as_one_that_never_was(
    owner: Caller, stranger: Caller, owned: dict[str, Any], route: Route
) -> None:
    before = ok(owner.get(f"/v1/experiments/{owned['experiment']}"))

    foreign = ask(stranger, route, owned)
    unknown = {k: NEVER + v if isinstance(v, int) else f"no-{v}" for k, v in owned.items()}
    never = ask(stranger, route, unknown)

    refusal(foreign, 404)
    masked = re.sub(r"\d{10}", lambda found: str(int(found[0]) - NEVER), never.text)
    assert foreign.text == masked
    kept = {k: v for k, v in foreign.headers.items() if k not in ("date", "x-request-id")}
    assert kept["content-type"] == never.headers["content-type"]
    assert set(kept) == {k for k in never.headers if k not in ("date", "x-request-id")}
    assert ok(owner.get(f"/v1/experiments/{owned['experiment']}")) == before


@pytest.mark.parametrize("route", CHILDREN, ids=lambda route: f"{route.method} {route.path}")
def test_parents_and_children_belong_together(
    stranger: Caller, owned: dict[str, Any], route: Route
) -> None:
    runs = f"/v1/clients/{stranger.client_id}/projects/owned/training_runs"
    stranger.post(
        f"/v1/clients/{stranger.client_id}/projects", {"id": "owned", "name": "Of another"}
    )
    mine = {
        "experiment": int(stranger.single()["id"]),
        "client": stranger.client_id,
        "training_run": int(ok(stranger.post(runs, {"name": "mine"}))["id"]),
        "project": "nowhere",
    }

    refusal(ask(stranger, route, {**owned, **mine}), 404)


def test_lists_and_counts_show_ones_own_alone(owner: Caller, stranger: Caller) -> None:
    mine = {each["id"] for each in ok(owner.get("/v1/experiments", state="all"))["data"]}
    theirs = {each["id"] for each in ok(stranger.get("/v1/experiments", state="all"))["data"]}

    assert mine
    assert not mine & theirs
    assert ok(stranger.get("/v1/experiments", state="all"))["count"] == len(theirs)


def test_a_foreign_suggestion_cannot_be_reported_on(
    stranger: Caller, owned: dict[str, int]
) -> None:
    path = path_of(stranger.single())
    foreign = stranger.post(f"{path}/observations", {"suggestion": owned["suggestion"], "value": 1})
    never = stranger.post(f"{path}/observations", {"suggestion": NEVER, "value": 1})

    assert refusal(foreign).replace(str(owned["suggestion"]), "") == refusal(never).replace(
        str(NEVER), ""
    )

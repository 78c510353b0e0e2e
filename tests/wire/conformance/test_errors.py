"""The body of errors, status codes, and the order of checks (contract section 2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.caller import Caller, ok, refusal
from tests.api.test_accounts import make_token
from tests.wire.conformance.bodies import AI, X, make_ai, make_experiment, make_run, path_of_run
from tradeoff.store.database import Database

GOOD: dict[str, Any] = {"assignments": {"x": 0.5}, "values": [{"value": 1}]}


@pytest.fixture(scope="module")
def reader(us: Caller, shared: Database) -> Caller:
    return make_token(shared, us, role="read")


@pytest.fixture(scope="module")
def theirs(them: Caller) -> str:
    return make_experiment(them)


@pytest.fixture(scope="module")
def ours(us: Caller) -> str:
    return make_experiment(us)


@pytest.fixture(scope="module")
def ai(us: Caller, project: str) -> str:
    return make_ai(us, project)


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Digest x", ""])
def test_an_authorization_header_that_cannot_be_read_is_400(
    http: httpx.Client, header: str
) -> None:
    refusal(http.get("/v1/experiments", headers={"Authorization": header}), 400)


def test_no_header_at_all_is_401_whatever_is_asked_for(http: httpx.Client) -> None:
    for path in ("/v1/experiments", "/v1/experiments/1", "/v1/tokens/self", "/v1/files/1"):
        refusal(http.get(path), 401)


def test_an_unknown_token_is_403_and_counts_as_revoked(us: Caller) -> None:
    answer = us.as_token("not-a-token").get("/v1/experiments/999999999")

    refusal(answer, 403)
    assert answer.json()["token_status"] == "revoked"


# The order of checks


def test_what_is_no_json_is_told_before_an_unknown_token(us: Caller, theirs: str) -> None:
    stranger = us.as_token("not-a-token")

    refusal(stranger.request("POST", f"{theirs}/observations", content=b"{"), 400)
    refusal(stranger.post(f"{theirs}/observations", GOOD), 403)


@pytest.mark.parametrize("path", ["", "/suggestions", "/observations/1", "/best_assignments"])
@pytest.mark.parametrize("query", ["", "limit=-1", "limit=1&limit=2", "colour=red", "fields=x"])
def test_what_one_may_not_see_is_404_whatever_else_is_wrong_with_a_query(
    us: Caller, theirs: str, path: str, query: str
) -> None:
    refusal(us.request("GET", f"{theirs}{path}?{query}"), 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", ""),
        ("DELETE", "?include_runs=perhaps"),
        ("POST", "/suggestions"),
        ("PUT", "/suggestions/1"),
        ("POST", "/observations"),
        ("POST", "/observations/batch"),
        ("PUT", "/observations/1"),
        ("POST", "/queued_suggestions"),
        ("POST", "/tokens"),
    ],
)
def test_what_one_may_not_see_is_404_whatever_else_is_wrong_with_a_body(
    us: Caller, reader: Caller, developer: Caller, theirs: str, method: str, path: str
) -> None:
    for caller in (us, reader, developer):
        refusal(caller.request(method, theirs + path, json={"colour": 1}), 404)


def test_who_may_read_and_not_write_is_told_so_before_the_body_is_looked_at(
    reader: Caller, ours: str
) -> None:
    ok(reader.get(ours))
    for method, path in (
        ("PUT", ""),
        ("DELETE", ""),
        ("POST", "/suggestions"),
        ("POST", "/observations"),
        ("POST", "/observations/batch"),
        ("DELETE", "/suggestions"),
        ("DELETE", "/observations"),
        ("POST", "/queued_suggestions"),
    ):
        answer = reader.request(method, ours + path, json={"colour": 1})
        refusal(answer, 403)
        assert answer.json()["token_status"] == "invalid_permissions"
    refusal(reader.post("/v1/experiments", {"colour": 1}), 403)


# Codes


@pytest.mark.parametrize(
    ("path", "body"),
    [("suggestions", {}), ("observations", GOOD), ("observations/batch", {"observations": []})],
)
def test_nobody_reports_to_an_aiexperiment_directly(
    us: Caller, ai: str, path: str, body: dict[str, Any]
) -> None:
    address = f"{ai.replace('aiexperiments', 'experiments')}/{path}"

    refusal(us.post(address, body), 403)
    refusal(us.post(address, {"colour": 1}), 403)


def test_development_and_production_do_not_cross(
    us: Caller, developer: Caller, ours: str, ai: str
) -> None:
    of_developer = make_experiment(developer)

    for caller, path in ((developer, ours), (us, of_developer), (developer, ai)):
        refusal(caller.get(path), 403)
        refusal(caller.put(path, {"colour": 1}), 403)
    refusal(developer.get(f"{ours}/observations/1"), 403)


MISSING = [
    "/v1/experiments/999999999",
    "/v1/aiexperiments/999999999",
    "/v1/training_runs/999999999",
    "/v1/files/999999999",
    "/v1/clients/999999999",
    "/v1/organizations/999999999",
    "/v1/tokens/abcdef",
    "/v1/nothing",
    "/v1/experiments/one",
    "/v1/training_runs/one",
]


@pytest.mark.parametrize("path", MISSING)
def test_what_does_not_exist_is_404(us: Caller, path: str) -> None:
    refusal(us.get(path), 404)


def test_a_part_of_another_parent_is_404(us: Caller, ours: str, project: str) -> None:
    other = make_experiment(us)
    suggestion = ok(us.post(f"{other}/suggestions"))["id"]
    observation = ok(us.post(f"{other}/observations", GOOD))["id"]
    queued = ok(us.post(f"{other}/queued_suggestions", {"assignments": {"x": 1}}))["id"]
    first, second = (path_of_run(make_run(us, project)) for _ in range(2))
    values = {"values": [{"name": "f", "value": 1}]}
    checkpoint = ok(us.post(f"{first}/checkpoints", values))["id"]

    refusal(us.get(f"{ours}/suggestions/{suggestion}"), 404)
    refusal(us.put(f"{ours}/suggestions/{suggestion}", {}), 404)
    refusal(us.get(f"{ours}/observations/{observation}"), 404)
    refusal(us.put(f"{ours}/observations/{observation}", {}), 404)
    refusal(us.delete(f"{ours}/observations/{observation}"), 404)
    refusal(us.get(f"{ours}/queued_suggestions/{queued}"), 404)
    refusal(us.get(f"{second}/checkpoints/{checkpoint}"), 404)


def test_a_classical_experiment_is_no_aiexperiment(us: Caller, ours: str) -> None:
    path = ours.replace("experiments", "aiexperiments")

    for answer in (
        us.get(path),
        us.put(path, {}),
        us.delete(path),
        us.post(f"{path}/training_runs"),
    ):
        refusal(answer, 404)


def test_what_is_there_already_is_409(us: Caller, project: str) -> None:
    projects = project.removesuffix("/gears")
    tag = {"name": "twice", "color": "#000000"}
    ok(us.post(f"/v1/clients/{us.client_id}/tags", tag))

    refusal(us.post(projects, {"id": "gears", "name": "Another"}), 409)
    refusal(us.post(f"/v1/clients/{us.client_id}/tags", {**tag, "color": "#ffffff"}), 409)


def test_a_tag_that_is_not_there_is_422_to_put_on_and_404_to_take_off(
    us: Caller, them: Caller, project: str
) -> None:
    run = path_of_run(make_run(us, project))
    foreign = ok(them.post(f"/v1/clients/{them.client_id}/tags", {"name": "t", "color": "#000000"}))

    refusal(us.post(f"{run}/tags", {"id": "999999999"}), 422)
    refusal(us.post(f"{run}/tags", {"id": foreign["id"]}), 422)
    refusal(us.delete(f"{run}/tags/999999999"), 404)
    refusal(us.post(f"{run}/tags", {"id": "abc"}), 400)
    refusal(us.post(f"{run}/tags", {}), 400)


def test_a_deleted_experiment_takes_nothing_new(us: Caller, project: str) -> None:
    path, ai = make_experiment(us), make_ai(us, project)
    ok(us.delete(path))
    ok(us.delete(ai))
    new: list[tuple[str, dict[str, Any]]] = [
        (f"{path}/suggestions", {}),
        (f"{path}/suggestions", {"assignments": {"x": 0.5}}),
        (f"{path}/observations", GOOD),
        (f"{path}/observations/batch", {"observations": [GOOD]}),
        (f"{path}/queued_suggestions", {"assignments": {"x": 0.5}}),
        (f"{ai}/training_runs", {"name": "run"}),
    ]
    for address, body in new:
        refusal(us.post(address, body), 400)


def test_every_refusal_has_sigopts_body(us: Caller, ours: str, http: httpx.Client) -> None:
    answers: list[Callable[[], httpx.Response]] = [
        lambda: us.post("/v1/experiments", {}),
        lambda: http.get("/v1/experiments"),
        lambda: us.as_token("x").get("/v1/experiments"),
        lambda: us.get("/v1/nothing"),
        lambda: us.request("PATCH", ours),
    ]
    for answer, status in zip(answers, (400, 401, 403, 404, 405), strict=True):
        refused = answer()
        assert refused.headers["content-type"] == "application/json; charset=utf-8"
        assert set(refused.json()) - {"token_status"} == {"message", "status"}
        refusal(refused, status)


def test_an_aiexperiment_is_not_for_development_tokens(
    developer: Caller, us: Caller, project: str
) -> None:
    refusal(developer.post(f"{project}/aiexperiments", AI), 403)
    refusal(developer.get(f"{project}/aiexperiments"), 403)
    refusal(developer.get("/v1/aiexperiments"), 403)
    refusal(
        developer.post(
            "/v1/experiments",
            {
                "name": "n",
                "parameters": [X],
                "metrics": ["f"],
                "runs_only": True,
                "project": "gears",
            },
        ),
        403,
    )

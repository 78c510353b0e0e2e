"""Suggestions, the queue, grids, random experiments and development (9.1, 9.2, 9.12)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.caller import Caller, ok, refusal
from tests.wire.conformance.bodies import C, G, N, X, ids, make_ai, make_experiment, make_run


@pytest.fixture(scope="module")
def path(us: Caller) -> str:
    return make_experiment(us)


def ask(us: Caller, path: str, **body: Any) -> dict[str, Any]:
    return ok(us.post(f"{path}/suggestions", body))


@pytest.mark.parametrize(
    "body",
    [
        {"assignments": None},
        {"assignments": {}},
        {"assignments": []},
        {"assignments": {"x": 1, "y": 1}},
        {"task": "cheap"},
        {"colour": 1},
        {"metadata": 1},
        {"metadata": {"a": {}}},
        {"state": "open"},
        {"fields": "id"},
    ],
)
def test_what_cannot_be_asked(us: Caller, path: str, body: dict[str, Any]) -> None:
    refusal(us.post(f"{path}/suggestions", body))


@pytest.mark.parametrize("body", [{}, {"metadata": None}, {"task": None}, {"metadata": {"a": 1}}])
def test_every_asking_opens_another_one(us: Caller, path: str, body: dict[str, Any]) -> None:
    first, second = ask(us, path, **body), ask(us, path, **body)

    assert first["id"] != second["id"]
    assert first["assignments"] != second["assignments"]
    assert first["metadata"] == body.get("metadata")
    assert first["state"] == second["state"] == "open"


def test_the_budget_is_not_enforced(us: Caller) -> None:
    path = make_experiment(us, observation_budget=1)
    for x in (0.1, 0.2, 0.3):
        ok(us.post(f"{path}/observations", {"assignments": {"x": x}, "values": [{"value": x}]}))

    assert ask(us, path)["state"] == "open"
    assert ok(us.get(path))["progress"]["observation_count"] == 3


def test_only_metadata_of_a_suggestion_changes_and_other_keys_are_ignored(
    us: Caller, path: str
) -> None:
    made = ask(us, path, metadata={"a": 1})
    where = f"{path}/suggestions/{made['id']}"

    assert ok(us.put(where, {}))["metadata"] == {"a": 1}
    assert ok(us.put(where, {"state": "closed", "assignments": {"x": 9}, "colour": 1})) == made
    assert ok(us.put(where, {"metadata": {"b": "2", "c": None}}))["metadata"] == {"b": "2"}
    assert ok(us.put(where, {"metadata": None}))["metadata"] is None
    refusal(us.put(where, {"metadata": {"a": True}}))


def test_lists_filter_by_state_and_by_ids(us: Caller) -> None:
    path = make_experiment(us)
    made = [ask(us, path)["id"] for _ in range(4)]
    ok(us.post(f"{path}/observations", {"suggestion": made[0], "values": [{"value": 1}]}))
    ok(us.delete(f"{path}/suggestions/{made[1]}"))

    assert ids(ok(us.get(f"{path}/suggestions"))) == [made[3], made[2], made[0]]
    assert ids(ok(us.get(f"{path}/suggestions", state="open"))) == [made[3], made[2]]
    assert ids(ok(us.get(f"{path}/suggestions", id=f"{made[0]},{made[3]}"))) == [made[3], made[0]]
    assert ids(ok(us.get(f"{path}/suggestions", id=f'["{made[0]}",{made[3]}]'))) == [
        made[3],
        made[0],
    ]
    assert made[1] in ids(ok(us.get(f"{path}/suggestions", deleted="True")))
    refusal(us.get(f"{path}/suggestions/{made[1]}"), 404)
    for query in (
        {"state": "closed"},
        {"state": "all"},
        {"id": "a"},
        {"id": "[]"},
        {"sort": "created"},
    ):
        refusal(us.get(f"{path}/suggestions", **query))


def test_open_ones_or_all_are_deleted(us: Caller) -> None:
    path = make_experiment(us)
    first = ask(us, path)["id"]
    ask(us, path)
    ok(us.post(f"{path}/observations", {"suggestion": first, "values": [{"value": 1}]}))

    assert ok(us.delete(f"{path}/suggestions", state="open")) == {}
    assert ids(ok(us.get(f"{path}/suggestions"))) == [first]
    assert ok(us.delete(f"{path}/suggestions")) == {}
    assert ok(us.get(f"{path}/suggestions"))["count"] == 0
    refusal(us.delete(f"{path}/suggestions", state="closed"))


# The queue (9.2)


def test_the_queue_is_served_first_in_first_out_and_once(us: Caller) -> None:
    path = make_experiment(us)
    queued = [
        ok(us.post(f"{path}/queued_suggestions", {"assignments": {"x": x}, "task": None}))["id"]
        for x in (5, 6, 7)
    ]
    assert ids(ok(us.get(f"{path}/queued_suggestions"))) == queued[::-1]
    ok(us.delete(f"{path}/queued_suggestions/{queued[1]}"))

    served = [ask(us, path)["assignments"]["x"] for _ in range(3)]

    assert served[:2] == [5, 7]
    assert 0 <= served[2] <= 1
    assert ok(us.get(f"{path}/queued_suggestions"))["count"] == 0
    refusal(us.get(f"{path}/queued_suggestions/{queued[0]}"), 404)
    refusal(us.delete(f"{path}/queued_suggestions/{queued[0]}"), 404)


@pytest.mark.parametrize(
    "body", [{}, {"assignments": None}, {"assignments": {"x": 1}, "metadata": {}}, {"task": "t"}]
)
def test_what_cannot_be_queued(us: Caller, path: str, body: dict[str, Any]) -> None:
    refusal(us.post(f"{path}/queued_suggestions", body))


# Grids


def test_a_grid_is_enumerated_with_the_first_name_fastest_and_wraps_around(us: Caller) -> None:
    path = make_experiment(
        us,
        type="grid",
        parameters=[G, {"name": "b", "type": "int", "grid": [20, 10]}],
    )
    points = [
        {"b": 10, "g": 1},
        {"b": 20, "g": 1},
        {"b": 10, "g": 2.5},
        {"b": 20, "g": 2.5},
        {"b": 10, "g": 4},
        {"b": 20, "g": 4},
    ]

    served = [ask(us, path)["assignments"] for _ in range(8)]

    assert served == [*points, *points[:2]]
    assert all(isinstance(each["b"], int) for each in served)


def test_the_place_in_a_grid_is_the_number_of_observations_and_open_suggestions(
    us: Caller,
) -> None:
    path = make_experiment(us, type="grid", parameters=[G])
    first = ask(us, path)
    assert first["assignments"] == {"g": 1}
    ok(us.delete(f"{path}/suggestions/{first['id']}"))
    again = ask(us, path)
    assert again["assignments"] == {"g": 1}
    ok(us.post(f"{path}/observations", {"suggestion": again["id"], "values": [{"value": 1}]}))
    assert ask(us, path)["assignments"] == {"g": 2.5}
    ok(us.post(f"{path}/observations", {"assignments": {"g": 1}, "failed": True}))
    assert ask(us, path)["assignments"] == {"g": 4}


# Random and development


@pytest.mark.parametrize("development", [True, False])
def test_random_points_lie_in_the_space(us: Caller, developer: Caller, development: bool) -> None:
    caller = developer if development else us
    path = make_experiment(
        caller,
        type="offline" if development else "random",
        parameters=[
            X,
            N,
            C,
            G,
            {**X, "name": "p", "prior": {"name": "beta", "shape_a": 5, "shape_b": 1}},
        ],
    )

    seen = [ask(caller, path)["assignments"] for _ in range(12)]

    assert len({each["x"] for each in seen}) == 12
    for each in seen:
        assert 0 <= each["x"] <= 1
        assert 0 <= each["p"] <= 1
        assert each["n"] in range(1, 10)
        assert each["c"] in ("a", "b")
        assert each["g"] in (1, 2.5, 4)


def test_random_points_satisfy_linear_constraints(us: Caller) -> None:
    path = make_experiment(
        us,
        type="random",
        parameters=[X, {**X, "name": "y"}],
        linear_constraints=[
            {
                "type": "less_than",
                "threshold": 0.3,
                "terms": [{"name": "x", "weight": 1}, {"name": "y", "weight": 1}],
            }
        ],
    )
    for _ in range(8):
        point = ask(us, path)["assignments"]
        assert point["x"] + point["y"] <= 0.3 + 1e-9


def test_development_experiments_are_seen_by_development_tokens_alone(
    us: Caller, developer: Caller
) -> None:
    made = make_experiment(developer).rpartition("/")[2]

    assert ok(developer.get(f"/v1/experiments/{made}"))["development"] is True
    assert made in ids(ok(developer.get("/v1/experiments")))
    assert made in ids(ok(developer.get("/v1/experiments", development="True")))
    assert made not in ids(ok(developer.get("/v1/experiments", development="False")))
    assert made not in ids(ok(us.get("/v1/experiments")))


def test_what_development_tokens_may_use(us: Caller, developer: Caller, project: str) -> None:
    ok(developer.get("/v1/tokens/self"))
    ok(developer.get("/v1/sessions"))
    client = ok(developer.get(f"/v1/clients/{us.client_id}"))
    ok(developer.get(f"/v1/organizations/{client['organization']}"))
    ok(developer.get(project))
    run = make_run(developer, project)
    ok(developer.request("MERGE", f"/v1/training_runs/{run['id']}", json={"state": "completed"}))
    path = make_experiment(developer)
    for address, body in (
        (f"/v1/clients/{us.client_id}/tags", {"name": "n", "color": "#000000"}),
        (f"{path}/tokens", {}),
        (f"{project}/aiexperiments", {}),
    ):
        refusal(developer.post(address, body), 403)
    refusal(developer.get(f"/v1/clients/{us.client_id}/tags"), 403)


def test_the_queue_of_an_aiexperiment_goes_to_its_runs(us: Caller, project: str) -> None:
    ai = make_ai(us, project)
    queue = f"{ai.replace('aiexperiments', 'experiments')}/queued_suggestions"
    ok(us.post(queue, {"assignments": {"x": 3, "n": 4}}))

    assert make_run(us, ai)["assignments"] == {"x": 3, "n": 4}

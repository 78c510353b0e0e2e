from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.api.caller import ASSIGNMENTS, Caller, ok, path_of, refusal, values


def queue(api: Caller, path: str, x: float) -> dict[str, Any]:
    return ok(api.post(f"{path}/queued_suggestions", {"assignments": {"x": x}}))


def waiting(api: Caller, path: str) -> list[float]:
    """What is in the queue, newest first."""
    return [row["assignments"]["x"] for row in ok(api.get(f"{path}/queued_suggestions"))["data"]]


def test_a_suggestion_is_queued_and_fetched(api: Caller) -> None:
    experiment = api.experiment()
    path = path_of(experiment)

    queued = ok(
        api.post(f"{path}/queued_suggestions", {"assignments": {**ASSIGNMENTS, "filters": 16.0}})
    )

    assert queued == {
        "object": "queued_suggestion",
        "id": queued["id"],
        "experiment": experiment["id"],
        "assignments": ASSIGNMENTS,
        "created": queued["created"],
    }
    assert ok(api.get(f"{path}/queued_suggestions/{queued['id']}")) == queued
    assert ok(api.get(f"{path}/queued_suggestions"))["data"] == [queued]


@pytest.mark.parametrize(
    "kind",
    [
        {"type": "offline"},
        {"type": "random"},
        {"type": "grid", "parameters": [{"name": "x", "type": "double", "grid": [0, 0.1, 0.2]}]},
    ],
    ids=lambda kind: kind["type"],
)
def test_the_queue_is_served_first_in_its_order_and_once(api: Caller, kind: dict[str, Any]) -> None:
    path = path_of(api.single(**kind))
    for x in (0.2, 0.1, 0.2):
        queue(api, path, x)
    assert waiting(api, path) == [0.2, 0.1, 0.2]

    served = [ok(api.post(f"{path}/suggestions", {"metadata": {"n": 1}})) for _ in range(3)]

    assert [row["assignments"]["x"] for row in served] == [0.2, 0.1, 0.2]
    assert {(row["state"], row["source"], row["metadata"]["n"]) for row in served} == {
        ("open", "queued", 1)
    }
    assert waiting(api, path) == []
    assert ok(api.post(f"{path}/suggestions"))["source"] != "queued"
    assert ok(api.get(f"{path}/suggestions"))["count"] == 4


def test_what_is_known_already_is_served_all_the_same(api: Caller) -> None:
    path = path_of(api.single())
    api.observe(path, assignments={"x": 0.5}, value=1)
    queue(api, path, 0.5)

    assert ok(api.post(f"{path}/suggestions"))["assignments"] == {"x": 0.5}


def test_one_asks_for_ones_own_and_leaves_the_queue_alone(api: Caller) -> None:
    path = path_of(api.single())
    queue(api, path, 0.5)

    ok(api.post(f"{path}/suggestions", {"assignments": {"x": 0.1}}))

    assert waiting(api, path) == [0.5]


def test_of_many_askers_each_is_given_another(api: Caller) -> None:
    path = path_of(api.single())
    queued = [queue(api, path, index / 10)["assignments"]["x"] for index in range(8)]

    with ThreadPoolExecutor(8) as pool:
        served = list(pool.map(lambda _: ok(api.post(f"{path}/suggestions")), queued))

    assert sorted(row["assignments"]["x"] for row in served) == queued


def test_what_is_deleted_is_not_served(api: Caller) -> None:
    path = path_of(api.single())
    first, _ = queue(api, path, 0.1), queue(api, path, 0.2)

    assert ok(api.delete(f"{path}/queued_suggestions/{first['id']}")) == {}

    refusal(api.get(f"{path}/queued_suggestions/{first['id']}"), 404)
    refusal(api.delete(f"{path}/queued_suggestions/{first['id']}"), 404)
    assert ok(api.post(f"{path}/suggestions"))["assignments"] == {"x": 0.2}


def test_it_stays_with_its_experiment(api: Caller) -> None:
    path, another = path_of(api.single()), path_of(api.single())
    queued = queue(api, path, 0.5)

    refusal(api.get(f"{another}/queued_suggestions/{queued['id']}"), 404)
    refusal(api.delete(f"{another}/queued_suggestions/{queued['id']}"), 404)
    assert waiting(api, path) == [0.5]
    assert waiting(api, another) == []


def test_bounds_are_not_checked_and_everything_else_is(api: Caller) -> None:
    path = path_of(api.experiment())

    def post(**changes: Any) -> Any:
        body = {"assignments": {**ASSIGNMENTS, **changes}}
        return api.post(f"{path}/queued_suggestions", body)

    ok(post(filters=1_000))
    assert "assignments.filters: must be an integer" in refusal(post(filters=8.5))
    assert "assignments.act" in refusal(post(act="gelu"))
    assert "assignments.'depth'" in refusal(post(depth=1))
    assert "assignments.lr: missing" in refusal(post(lr=None))
    assert "assignments: required" in refusal(api.post(f"{path}/queued_suggestions", {}))
    assert "task" in refusal(
        api.post(f"{path}/queued_suggestions", {"assignments": ASSIGNMENTS, "task": "cheap"})
    )
    assert "unknown key" in refusal(
        api.post(f"{path}/queued_suggestions", {"assignments": ASSIGNMENTS, "metadata": {}})
    )


def test_a_deleted_experiment_takes_none(api: Caller) -> None:
    path = path_of(api.single())
    ok(api.delete(path))

    body = {"assignments": {"x": 0.5}}
    assert "deleted" in refusal(api.post(f"{path}/queued_suggestions", body))


def test_the_queue_is_not_changed_and_not_emptied(api: Caller) -> None:
    path = path_of(api.single())
    queued = queue(api, path, 0.5)

    refusal(api.put(f"{path}/queued_suggestions/{queued['id']}", {}), 405)
    refusal(api.delete(f"{path}/queued_suggestions"), 405)


def test_what_the_space_does_not_have_any_more_is_dropped(api: Caller) -> None:
    path = path_of(api.experiment())
    ok(api.post(f"{path}/queued_suggestions", {"assignments": {**ASSIGNMENTS, "act": "tanh"}}))
    ok(api.post(f"{path}/queued_suggestions", {"assignments": ASSIGNMENTS}))
    parameters = ok(api.get(path))["parameters"]
    parameters[0]["categorical_values"] = [{"name": "relu"}, {"name": "gelu"}]
    ok(api.put(path, {"parameters": parameters}))

    served = ok(api.post(f"{path}/suggestions"))

    assert (served["assignments"], served["source"]) == (ASSIGNMENTS, "queued")
    assert ok(api.get(f"{path}/queued_suggestions"))["count"] == 0
    api.observe(path, suggestion=served["id"], values=values())

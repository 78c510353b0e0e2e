"""Correcting an observation (section 8.4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.caller import Caller, ok, refusal
from tests.wire.conformance.bodies import X, make_experiment

TWO = ["f", "g"]


def evaluations(f: float, g: float) -> list[dict[str, Any]]:
    return [{"name": "f", "value": f}, {"name": "g", "value": g}]


@pytest.fixture(scope="module")
def path(us: Caller) -> str:
    return make_experiment(us, metrics=TWO, observation_budget=99)


def report(us: Caller, path: str, **told: Any) -> dict[str, Any]:
    body = {"assignments": {"x": 0.5}, "values": evaluations(1, 2), **told}
    return ok(us.post(f"{path}/observations", {k: v for k, v in body.items() if v is not None}))


def fail(us: Caller, path: str) -> dict[str, Any]:
    return report(us, path, values=None, failed=True)


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "metadata": ({"metadata": {"b": 2}}, {"metadata": {"b": 2}}),
    "metadata cleared": ({"metadata": None}, {"metadata": None}),
    "assignments": ({"assignments": {"x": 7}}, {"assignments": {"x": 7}}),
    "failed told again": ({"failed": False}, {"failed": False}),
    "no_optimize": ({"no_optimize": True}, {}),
    "null suggestion where there is none": ({"suggestion": None}, {"suggestion": None}),
    "a failure": ({"failed": True, "values": None}, {"failed": True, "values": []}),
    "a failure with an empty list": ({"failed": True, "values": []}, {"failed": True}),
}


@pytest.mark.parametrize(("given", "shown"), CHANGES.values(), ids=list(CHANGES))
def test_what_is_given_changes_and_the_rest_stays(
    us: Caller, path: str, given: dict[str, Any], shown: dict[str, Any]
) -> None:
    made = report(us, path, metadata={"a": 1})

    changed = ok(us.put(f"{path}/observations/{made['id']}", given))

    kept = {k: v for k, v in made.items() if k not in ("failure_kind", "values", "failed")}
    assert {**kept, **shown}.items() <= changed.items()
    if not given.get("failed"):
        assert changed["values"] == made["values"]
    assert ok(us.get(f"{path}/observations/{made['id']}")) == changed


def test_values_are_replaced(us: Caller, path: str) -> None:
    made = report(us, path)

    changed = ok(us.put(f"{path}/observations/{made['id']}", {"values": evaluations(5, 6)}))

    assert [each["value"] for each in changed["values"]] == [5, 6]
    assert changed["created"] == made["created"]


def test_a_deviation_that_is_not_given_stays_and_null_clears_it(us: Caller) -> None:
    path = make_experiment(us, metrics=["f"])
    values = [{"name": "f", "value": 1, "value_stddev": 0.5}]
    made = ok(us.post(f"{path}/observations", {"assignments": {"x": 0.5}, "values": values}))
    where = f"{path}/observations/{made['id']}"

    def put(**evaluation: Any) -> tuple[float, float | None]:
        (shown,) = ok(us.put(where, {"values": [evaluation]}))["values"]
        return shown["value"], shown["value_stddev"]

    assert put(value=2.5) == (2.5, 0.5)
    assert put(name="f", value=3, value_stddev=0.25) == (3, 0.25)
    assert put(name=None, value=3, value_stddev=None) == (3, None)


REFUSED: dict[str, dict[str, Any]] = {
    "a failure that keeps its values": {"failed": True},
    "a failure with values": {"failed": True, "values": evaluations(1, 2)},
    "no values any more": {"values": None},
    "values of one metric": {"values": [{"name": "f", "value": 1}]},
    "values of null": {"values": [{"name": "f", "value": None}, {"name": "g", "value": 1}]},
    "an unknown metric": {"values": [{"name": "f", "value": 1}, {"name": "h", "value": 1}]},
    "no assignments any more": {"assignments": None},
    "assignments of nothing": {"assignments": {}},
    "assignments of text": {"assignments": {"x": "a"}},
    "an unknown suggestion": {"suggestion": "999999999", "assignments": None},
    "a suggestion beside assignments": {"suggestion": "1"},
    "a task": {"task": "cheap"},
    "failed as text": {"failed": "true"},
    "failed as a number": {"failed": 1},
    "an unknown key": {"colour": 1},
    "metadata of lists": {"metadata": {"a": []}},
    "another time": {"created": 0},
}


@pytest.mark.parametrize("given", REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_is_refused_and_changes_nothing(
    us: Caller, path: str, given: dict[str, Any]
) -> None:
    made = report(us, path)

    refusal(us.put(f"{path}/observations/{made['id']}", given))

    assert ok(us.get(f"{path}/observations/{made['id']}")) == made


def test_a_failure_becomes_a_value_with_failed_false_and_values(us: Caller, path: str) -> None:
    where = f"{path}/observations/{fail(us, path)['id']}"

    refusal(us.put(where, {"values": evaluations(1, 2)}))
    refusal(us.put(where, {"failed": False}))
    refusal(us.put(where, {"failed": False, "values": None}))
    changed = ok(us.put(where, {"failed": False, "values": evaluations(1, 2)}))

    assert (changed["failed"], len(changed["values"])) == (False, 2)


def test_the_metadata_of_a_failure_change_alone(us: Caller, path: str) -> None:
    where = f"{path}/observations/{fail(us, path)['id']}"

    assert ok(us.put(where, {"metadata": {"a": 1}}))["metadata"] == {"a": 1}
    assert ok(us.put(where, {"values": None}))["failed"] is True


def test_changing_sides_takes_an_explicit_null(us: Caller, path: str) -> None:
    suggestion = ok(us.post(f"{path}/suggestions"))
    where = f"{path}/observations/{report(us, path)['id']}"

    refusal(us.put(where, {"suggestion": suggestion["id"]}))
    changed = ok(us.put(where, {"suggestion": int(suggestion["id"]), "assignments": None}))
    assert (changed["suggestion"], changed["assignments"]) == (
        suggestion["id"],
        suggestion["assignments"],
    )
    assert ok(us.get(f"{path}/suggestions/{suggestion['id']}"))["state"] == "closed"

    refusal(us.put(where, {"assignments": {"x": 0.25}}))
    refusal(us.put(where, {"suggestion": None}))
    refusal(us.put(where, {"task": "cheap"}))
    changed = ok(us.put(where, {"assignments": {"x": 0.25}, "suggestion": None}))
    assert (changed["suggestion"], changed["assignments"]) == (None, {"x": 0.25})
    assert ok(us.get(f"{path}/suggestions/{suggestion['id']}"))["state"] == "closed"


def test_a_suggestion_is_changed_for_another(us: Caller, path: str) -> None:
    first, second = (ok(us.post(f"{path}/suggestions")) for _ in range(2))
    made = ok(
        us.post(
            f"{path}/observations",
            {"suggestion": first["id"], "values": evaluations(1, 2)},
        )
    )

    changed = ok(us.put(f"{path}/observations/{made['id']}", {"suggestion": second["id"]}))

    assert changed["assignments"] == second["assignments"]


def test_what_changes_counts_at_once(us: Caller) -> None:
    path = make_experiment(us)
    first, second = (
        ok(us.post(f"{path}/observations", {"assignments": {"x": x}, "values": [{"value": x}]}))
        for x in (0.1, 0.9)
    )
    assert ok(us.get(path))["progress"]["best_observation"]["id"] == second["id"]

    ok(us.put(f"{path}/observations/{first['id']}", {"values": [{"value": 5}]}))

    assert ok(us.get(path))["progress"]["best_observation"]["id"] == first["id"]
    best = ok(us.get(f"{path}/best_assignments"))["data"]
    assert [each["id"] for each in best] == [first["id"]]


def test_an_observation_of_a_deleted_experiment_can_be_corrected(us: Caller) -> None:
    path = make_experiment(us, parameters=[X])
    made = ok(
        us.post(f"{path}/observations", {"assignments": {"x": 0.5}, "values": [{"value": 1}]})
    )
    ok(us.delete(path))

    changed = ok(us.put(f"{path}/observations/{made['id']}", {"metadata": {"a": 1}}))

    assert changed["metadata"] == {"a": 1}

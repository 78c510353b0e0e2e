"""Reporting, alone and in batches, and lists of observations (sections 8.3, 9.1 and 9.3)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.caller import Caller, ok, refusal
from tests.wire.conformance.bodies import C, G, N, X, Y, ids, make_experiment

VALUE = [{"value": 1}]
K = {"name": "k", "values": ["one", "two"]}


@pytest.fixture(scope="module")
def mixed(us: Caller) -> str:
    """Parameters of every kind, a conditional, and one unnamed metric."""
    log = {**X, "name": "l", "bounds": {"min": 0.1, "max": 1}, "transformation": "log"}
    return make_experiment(
        us,
        parameters=[X, N, C, G, log, {**Y, "conditions": {"k": "one"}}],
        conditionals=[K],
    )


GOOD = {"x": 0.5, "n": 3, "c": "a", "g": 2.5, "l": 0.5, "k": "two"}

TAKEN: dict[str, dict[str, Any]] = {
    "as it should be": {},
    "a switched-on parameter": {"k": "one", "y": 0.5},
    "out of bounds": {"x": 17, "n": -4},
    "an integer for a double": {"x": 1},
    "an integer written 3.0": {"n": 3.0},
    "an integer for a grid": {"g": 4},
    "far out on a log scale": {"l": 1e9},
}
REFUSED: dict[str, dict[str, Any]] = {
    "missing": {"x": None},
    "no conditional": {"k": None},
    "unknown conditional value": {"k": "three"},
    "a switched-off parameter": {"y": 0.5},
    "a missing switched-on parameter": {"k": "one"},
    "an unknown name": {"z": 1},
    "an unknown category": {"c": "z"},
    "a category that is a number": {"c": 1},
    "an integer that is not whole": {"n": 3.5},
    "an integer as text": {"n": "3"},
    "an integer that is true": {"n": True},
    "a double as text": {"x": "0.5"},
    "a double that is false": {"x": False},
    "a double that is a list": {"x": [0.5]},
    "off the grid": {"g": 2},
    "zero on a log scale": {"l": 0},
    "less than zero on a log scale": {"l": -1},
}


def over_good(changes: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in {**GOOD, **changes}.items() if v is not None}


@pytest.mark.parametrize("changes", TAKEN.values(), ids=list(TAKEN))
def test_assignments_that_are_taken(us: Caller, mixed: str, changes: dict[str, Any]) -> None:
    given = over_good(changes)
    body = {"assignments": given, "values": VALUE}

    made = ok(us.post(f"{mixed}/observations", body))

    assert made["assignments"] == given
    assert isinstance(made["assignments"]["n"], int)
    ok(us.post(f"{mixed}/suggestions", {"assignments": given}))
    ok(us.post(f"{mixed}/queued_suggestions", {"assignments": given}))


@pytest.mark.parametrize("changes", REFUSED.values(), ids=list(REFUSED))
def test_assignments_that_are_not(us: Caller, mixed: str, changes: dict[str, Any]) -> None:
    given = over_good(changes)

    refusal(us.post(f"{mixed}/observations", {"assignments": given, "values": VALUE}))
    refusal(us.post(f"{mixed}/observations", {"assignments": given, "failed": True}))
    refusal(us.post(f"{mixed}/suggestions", {"assignments": given}))
    refusal(us.post(f"{mixed}/queued_suggestions", {"assignments": given}))


def test_linear_constraints_are_checked_with_their_edge_inside(us: Caller) -> None:
    path = make_experiment(
        us,
        parameters=[X, Y],
        linear_constraints=[
            {
                "type": "less_than",
                "threshold": 1,
                "terms": [{"name": "x", "weight": 1}, {"name": "y", "weight": 1}],
            }
        ],
    )

    def report(x: float, y: float) -> dict[str, Any]:
        return {"assignments": {"x": x, "y": y}, "values": VALUE}

    ok(us.post(f"{path}/observations", report(0.5, 0.5)))
    ok(us.post(f"{path}/observations", report(-3, 4)))
    refusal(us.post(f"{path}/observations", report(0.5, 0.6)))


@pytest.mark.parametrize("name", [None, "", "f"])
def test_with_one_named_metric_the_response_fills_the_name_in(us: Caller, name: str | None) -> None:
    path = make_experiment(us, metrics=["f"])
    entry: dict[str, Any] = {"value": 1, "value_stddev": 0}

    made = ok(
        us.post(
            f"{path}/observations",
            {"assignments": {"x": 0.5}, "values": [{**entry, "name": name}]},
        )
    )

    assert [(v["name"], v["value"], v["value_stddev"]) for v in made["values"]] == [("f", 1, 0)]


def test_a_name_that_the_only_metric_does_not_have_is_400(us: Caller) -> None:
    for path in (make_experiment(us), make_experiment(us, metrics=["f"])):
        body = {"assignments": {"x": 0.5}, "values": [{"name": "g", "value": 1}]}
        refusal(us.post(f"{path}/observations", body))


def test_a_deleted_suggestion_cannot_be_reported_on(us: Caller) -> None:
    path = make_experiment(us)
    suggestion = ok(us.post(f"{path}/suggestions"))["id"]
    ok(us.delete(f"{path}/suggestions/{suggestion}"))

    refusal(us.post(f"{path}/observations", {"suggestion": suggestion, "values": VALUE}))


def test_reporting_twice_makes_two_observations_and_closes_the_suggestion_for_good(
    us: Caller,
) -> None:
    path = make_experiment(us)
    suggestion = ok(us.post(f"{path}/suggestions"))["id"]
    first, second = (
        ok(us.post(f"{path}/observations", {"suggestion": suggestion, "values": [{"value": v}]}))
        for v in (1, 2)
    )
    assert first["id"] != second["id"]
    assert first["assignments"] == second["assignments"]

    for each in (first, second):
        ok(us.delete(f"{path}/observations/{each['id']}"))

    assert ok(us.get(f"{path}/suggestions/{suggestion}"))["state"] == "closed"
    assert ok(us.get(path))["progress"]["observation_count"] == 0


def test_repeating_a_report_by_assignments_makes_another_observation(us: Caller) -> None:
    path = make_experiment(us)
    body = {"assignments": {"x": 0.5}, "values": VALUE}

    made = {ok(us.post(f"{path}/observations", body))["id"] for _ in range(3)}

    assert len(made) == 3
    assert ok(us.get(f"{path}/observations"))["count"] == 3


# Batches


def test_a_batch_of_2500_is_the_largest(us: Caller) -> None:
    path = make_experiment(us)
    one = {"assignments": {"x": 0.5}, "values": VALUE}

    assert "2500" in refusal(us.post(f"{path}/observations/batch", {"observations": [one] * 2501}))
    assert ok(us.get(path))["progress"]["observation_count"] == 0


@pytest.mark.parametrize("index", [0, 3, 7])
def test_a_batch_is_stored_as_a_whole_or_not_at_all_and_names_the_index(
    us: Caller, index: int
) -> None:
    path = make_experiment(us)
    batch: list[dict[str, Any]] = [{"assignments": {"x": 0.5}, "values": VALUE} for _ in range(8)]
    batch[index] = {"assignments": {"x": 0.5}, "values": VALUE, "failed": True}

    assert f"[{index}]" in refusal(us.post(f"{path}/observations/batch", {"observations": batch}))

    assert ok(us.get(f"{path}/observations"))["count"] == 0


def test_a_batch_is_answered_in_the_order_given_and_with_the_number_of_its_items(
    us: Caller,
) -> None:
    path = make_experiment(us)
    xs = [0.9, 0.1, 0.5]
    batch = [{"assignments": {"x": x}, "values": VALUE, "no_optimize": True} for x in xs]

    page = ok(us.post(f"{path}/observations/batch", {"observations": batch, "no_optimize": True}))

    assert [row["assignments"]["x"] for row in page["data"]] == xs
    assert (page["object"], page["count"]) == ("pagination", 3)
    assert [row["assignments"]["x"] for row in ok(us.get(f"{path}/observations"))["data"]] == (
        xs[::-1]
    )


def test_a_dry_run_finds_mistakes_and_stores_nothing(us: Caller) -> None:
    path = make_experiment(us)
    suggestion = ok(us.post(f"{path}/suggestions"))["id"]
    good = {"suggestion": suggestion, "values": VALUE}

    ok(us.post(f"{path}/observations/batch", {"observations": [good], "dry_run": True}))
    refusal(us.post(f"{path}/observations/batch", {"observations": [good, {}], "dry_run": True}))

    assert ok(us.get(path))["progress"]["observation_count"] == 0
    assert ok(us.get(f"{path}/suggestions/{suggestion}"))["state"] == "open"


# Lists


@pytest.fixture(scope="module")
def sorted_ones(us: Caller) -> tuple[str, list[str]]:
    """Observations of two metrics over a number, a category and a conditional parameter."""
    path = make_experiment(
        us,
        parameters=[X, C, {**Y, "conditions": {"k": "one"}}],
        conditionals=[K],
        metrics=["f", {"name": "s", "strategy": "store"}],
    )
    made = []
    for x, c, y, f, dev in (
        (0.3, "b", 0.5, 3, None),
        (0.1, "a", None, 1, 0.2),
        (0.2, "b", 0.1, 2, 0.1),
    ):
        on = {"k": "two"} if y is None else {"k": "one", "y": y}
        values = [{"name": "f", "value": f, "value_stddev": dev}, {"name": "s", "value": -f}]
        body = {"assignments": {"x": x, "c": c, **on}, "values": values}
        made.append(ok(us.post(f"{path}/observations", body))["id"])
    return f"{path}/observations", made


@pytest.mark.parametrize(
    ("sort", "rows"),
    [
        ("id", [0, 1, 2]),
        ("timestamp", [0, 1, 2]),
        ("value-f", [1, 2, 0]),
        ("value-s", [0, 2, 1]),
        ("value_stddev-f", [2, 1, 0]),
        ("parameter-x", [1, 2, 0]),
        ("parameter-c", [1, 0, 2]),
        ("parameter-y", [2, 0, 1]),
    ],
)
def test_observations_are_sorted_with_what_is_missing_as_the_largest(
    us: Caller, sorted_ones: tuple[str, list[str]], sort: str, rows: list[int]
) -> None:
    path, made = sorted_ones

    up = ids(ok(us.get(path, sort=sort, ascending=True)))
    down = ids(ok(us.get(path, sort=sort)))

    assert up == [made[row] for row in rows]
    assert down == up[::-1]


@pytest.mark.parametrize("sort", ["value-g", "parameter-z", "values", "f", "x", "state", "VALUE-f"])
def test_an_unknown_sort_is_400(us: Caller, sorted_ones: tuple[str, list[str]], sort: str) -> None:
    refusal(us.get(sorted_ones[0], sort=sort))


def test_deleted_observations_are_404_by_id_and_listed_on_request_only(us: Caller) -> None:
    path = make_experiment(us)
    kept, gone = (
        ok(us.post(f"{path}/observations", {"assignments": {"x": x}, "values": VALUE}))["id"]
        for x in (0.1, 0.2)
    )
    assert ok(us.delete(f"{path}/observations/{gone}", no_optimize="True")) == {}

    refusal(us.get(f"{path}/observations/{gone}"), 404)
    refusal(us.put(f"{path}/observations/{gone}", {}), 404)
    refusal(us.delete(f"{path}/observations/{gone}"), 404)
    assert ids(ok(us.get(f"{path}/observations"))) == [kept]
    assert gone in ids(ok(us.get(f"{path}/observations", deleted="True")))
    assert ok(us.delete(f"{path}/observations")) == {}
    assert ok(us.get(f"{path}/observations"))["count"] == 0


# Progress (6.9)


def test_progress_counts_failures_and_not_what_is_deleted(us: Caller) -> None:
    path = make_experiment(us, metrics=[{"name": "f", "objective": "minimize"}])
    made = [
        ok(us.post(f"{path}/observations", {"assignments": {"x": 0.5}, **told}))["id"]
        for told in (
            {"values": [{"value": 2}]},
            {"failed": True},
            {"values": [{"value": 1}]},
            {"values": [{"value": 3}]},
        )
    ]

    progress = ok(us.get(path))["progress"]

    assert progress["observation_count"] == progress["observation_budget_consumed"] == 4
    ends = [progress[f"{which}_observation"]["id"] for which in ("first", "last", "best")]
    assert ends == [made[0], made[3], made[2]]
    for each in (made[0], made[2], made[3]):
        ok(us.delete(f"{path}/observations/{each}"))
    progress = ok(us.get(path))["progress"]
    assert progress["observation_count"] == 1
    assert progress["first_observation"]["id"] == progress["last_observation"]["id"] == made[1]
    assert progress["best_observation"] is None


def test_the_best_observation_does_not_ask_for_thresholds(us: Caller) -> None:
    path = make_experiment(
        us,
        metrics=["f", {"name": "c", "strategy": "constraint", "threshold": 10}],
        observation_budget=9,
    )
    values = [{"name": "f", "value": 5}, {"name": "c", "value": 1}]
    made = ok(us.post(f"{path}/observations", {"assignments": {"x": 0.5}, "values": values}))

    assert ok(us.get(path))["progress"]["best_observation"]["id"] == made["id"]
    assert ok(us.get(f"{path}/best_assignments"))["data"] == []


@pytest.mark.parametrize("number", [2, 0])
def test_without_exactly_one_optimized_metric_none_is_the_best(us: Caller, number: int) -> None:
    names = [f"m{i}" for i in range(max(number, 1))]
    metrics: list[Any] = (
        list(names) if number else [{"name": "m0", "strategy": "constraint", "threshold": 0}]
    )
    path = make_experiment(us, metrics=metrics, observation_budget=9)
    values = [{"name": name, "value": 1} for name in names]
    ok(us.post(f"{path}/observations", {"assignments": {"x": 0.5}, "values": values}))

    assert ok(us.get(path))["progress"]["best_observation"] is None

"""Changing experiments in flight (section 8.6)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.caller import Caller, ok, refusal
from tests.wire.conformance.bodies import C, G, N, X, Y, make_ai, make_experiment

LIMIT = {"name": "c", "strategy": "constraint", "threshold": 1}


def parameter(shown: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in shown["parameters"] if each["name"] == name)


def categories(shown: dict[str, Any], name: str = "c") -> dict[str, int]:
    values = parameter(shown, name)["categorical_values"]
    return {value["name"]: value["enum_index"] for value in values}


# What may be named


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"name": "  other "}, {"name": "other"}),
        ({"project": "gears"}, {"project": "gears"}),
        ({"project": None}, {"project": None}),
        ({"state": "active"}, {"state": "active"}),
        ({"observation_budget": 30.0}, {"observation_budget": 30}),
        ({"observation_budget": None}, {"observation_budget": 20}),
        ({"parallel_bandwidth": 3}, {"parallel_bandwidth": 3}),
        ({"parallel_bandwidth": None}, {"parallel_bandwidth": None}),
        ({"metadata": {"a": 1, "b": None}}, {"metadata": {"a": 1}}),
        ({"metadata": None}, {"metadata": None}),
        ({"no_optimize": True}, {}),
        ({}, {}),
    ],
)
def test_what_is_given_changes_and_the_rest_stays(
    us: Caller, project: str, given: dict[str, Any], shown: dict[str, Any]
) -> None:
    path = make_experiment(us, observation_budget=20, metadata={"z": 1}, parallel_bandwidth=2)
    before = ok(us.get(path))

    after = ok(us.put(path, given))

    assert {**before, **shown, "updated": after["updated"]} == after


@pytest.mark.parametrize(
    "given",
    [
        {"name": None},
        {"name": ""},
        {"name": "n" * 101},
        {"state": None},
        {"state": "paused"},
        {"state": "Deleted"},
        {"metrics": None},
        {"parameters": None},
        {"parameters": []},
        {"type": "random"},
        {"type": "offline"},
        {"tasks": []},
        {"num_solutions": 1},
        {"conditionals": []},
        {"linear_constraints": []},
        {"development": False},
        {"runs_only": False},
        {"id": "1"},
        {"object": "experiment"},
        {"project": "nowhere"},
        {"project": 7},
        {"observation_budget": 0},
        {"observation_budget": 1.5},
        {"observation_budget": "9"},
        {"observation_budget": True},
        {"budget": 9},
        {"parallel_bandwidth": 0},
        {"parallel_bandwidth": "2"},
        {"metadata": []},
        {"metadata": {"a": True}},
        {"no_optimize": "yes"},
    ],
)
def test_what_cannot_be_given(us: Caller, given: dict[str, Any]) -> None:
    path = make_experiment(us, observation_budget=20)
    before = ok(us.get(path))

    refusal(us.put(path, given))

    assert ok(us.get(path)) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "grid", "parameters": [G]},
        {"metrics": ["f", "g"], "observation_budget": 20},
        {"num_solutions": 2, "observation_budget": 20},
    ],
)
def test_a_budget_that_cannot_change(us: Caller, changes: dict[str, Any]) -> None:
    path = make_experiment(us, **changes)

    refusal(us.put(path, {"observation_budget": 30}))
    ok(us.put(path, {"observation_budget": None}))


# Metrics


@pytest.fixture(scope="module")
def of_metrics(us: Caller) -> str:
    return make_experiment(
        us,
        metrics=[
            {"name": "f", "threshold": 1},
            {"name": "g", "objective": "minimize"},
            LIMIT,
            {"name": "s", "strategy": "store"},
        ],
        observation_budget=20,
    )


def metrics(**thresholds: Any) -> list[dict[str, Any]]:
    return [
        {"name": name, **({"threshold": thresholds[name]} if name in thresholds else {})}
        for name in ("f", "g", "c", "s")
    ]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (metrics(), [1, 1, None, None]),
        (metrics(f=2), [1, 2, None, None]),
        (metrics(f=None), [1, None, None, None]),
        (metrics(f=1, g=3, c=-1), [-1, 1, 3, None]),
        (metrics(f=1, g=None, c=1, s=None), [1, 1, None, None]),
    ],
)
def test_thresholds_change_and_absent_ones_stay(
    us: Caller, of_metrics: str, given: list[dict[str, Any]], shown: list[Any]
) -> None:
    ok(us.put(of_metrics, {"metrics": metrics(f=1, g=None, c=1)}))

    after = ok(us.put(of_metrics, {"metrics": given}))

    assert [each["threshold"] for each in after["metrics"]] == shown


@pytest.mark.parametrize(
    "given",
    [
        [],
        metrics()[:3],
        [*metrics(), {"name": "t"}],
        [{"name": "other"}, *metrics()[1:]],
        [{"name": "f"}, {"name": "f"}, {"name": "c"}, {"name": "s"}],
        [{"name": "f", "objective": "minimize"}, *metrics()[1:]],
        [{"name": "f", "strategy": "store"}, *metrics()[1:]],
        [{"name": "f", "colour": "red"}, *metrics()[1:]],
        [{"threshold": 1}, *metrics()[1:]],
        metrics(c=None),
        metrics(s=1),
        metrics(f="1"),
        metrics(f=True),
        {"f": 1},
        [1, 2, 3, 4],
    ],
)
def test_nothing_else_about_metrics_changes(us: Caller, of_metrics: str, given: Any) -> None:
    refusal(us.put(of_metrics, {"metrics": given}))


def test_with_one_metric_its_name_may_be_left_out_and_it_takes_no_threshold(us: Caller) -> None:
    for given in (None, ["f"]):
        path = make_experiment(us, metrics=given)
        ok(us.put(path, {"metrics": [{}]}))
        ok(us.put(path, {"metrics": [{"objective": "maximize", "threshold": None}]}))
        refusal(us.put(path, {"metrics": [{"threshold": 1}]}))


# Parameters


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "grid", "parameters": [G, C]},
        {
            "parameters": [X, Y],
            "linear_constraints": [
                {
                    "type": "less_than",
                    "threshold": 1,
                    "terms": [{"name": "x", "weight": 1}, {"name": "y", "weight": 1}],
                }
            ],
        },
    ],
)
def test_parameters_that_cannot_change_at_all(us: Caller, changes: dict[str, Any]) -> None:
    path = make_experiment(us, **changes)

    refusal(us.put(path, {"parameters": ok(us.get(path))["parameters"]}))


@pytest.fixture(scope="module")
def of_parameters(us: Caller) -> str:
    return make_experiment(
        us,
        parameters=[
            X,
            N,
            C,
            G,
            {**Y, "conditions": {"k": "one"}},
            {**X, "name": "l", "bounds": {"min": 0.1, "max": 1}, "transformation": "log"},
        ],
        conditionals=[{"name": "k", "values": ["one", "two"]}],
    )


def with_changes(us: Caller, path: str, **changes: Any) -> list[dict[str, Any]]:
    """All parameters as they are read, with one changed: `name` says which."""
    shown: list[dict[str, Any]] = ok(us.get(path))["parameters"]
    return [{**each, **changes} if each["name"] == changes["name"] else each for each in shown]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x", "bounds": {"min": -1, "max": 5}},
        {"name": "x", "prior": {"name": "normal", "mean": 0.5, "scale": 1}},
        {"name": "x", "prior": None},
        {"name": "x", "default_value": 0.5},
        {"name": "n", "bounds": {"min": 2.0, "max": 30}},
        {"name": "g", "grid": [1, 2, 3, 9]},
        {"name": "c", "categorical_values": ["b", "a", "z"]},
        {"name": "y", "conditions": {"k": ["one"]}},
        {"name": "x", "transformation": "none"},
        {"name": "x", "whatever": 1},
    ],
)
def test_what_may_change_about_a_parameter(
    us: Caller, of_parameters: str, changes: dict[str, Any]
) -> None:
    ok(us.put(of_parameters, {"parameters": with_changes(us, of_parameters, **changes)}))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x", "type": "int"},
        {"name": "n", "type": "double"},
        {"name": "x", "transformation": "log"},
        {"name": "l", "transformation": None},
        {"name": "l", "transformation": "none"},
        {"name": "y", "conditions": {"k": ["two"]}},
        {"name": "y", "conditions": {}},
        {"name": "x", "conditions": {"k": "one"}},
        {"name": "x", "bounds": {"min": 0}},
        {"name": "x", "bounds": {"max": 2}},
        {"name": "x", "bounds": {"min": 2, "max": 1}},
        {"name": "n", "bounds": {"min": 0.5, "max": 9}},
        {"name": "l", "bounds": {"min": 0, "max": 1}},
        {"name": "x", "bounds": {"min": 5, "max": 9}, "default_value": 1},
        {"name": "c", "categorical_values": ["a"]},
        {"name": "c", "categorical_values": ["a", "a"]},
        {"name": "c", "categorical_values": ["a", "b"], "default_value": "z"},
        {"name": "g", "grid": [1]},
        {"name": "x", "prior": {"name": "normal", "mean": 99, "scale": 1}},
        {"name": "l", "prior": {"name": "normal", "mean": 0.5, "scale": 1}},
    ],
)
def test_what_cannot_change_about_a_parameter(
    us: Caller, of_parameters: str, changes: dict[str, Any]
) -> None:
    before = ok(us.get(of_parameters))

    refusal(us.put(of_parameters, {"parameters": with_changes(us, of_parameters, **changes)}))

    assert ok(us.get(of_parameters)) == before


def test_numbers_of_categories_are_never_used_again_and_come_back_with_their_names(
    us: Caller,
) -> None:
    path = make_experiment(us, parameters=[{**C, "categorical_values": ["b", "a", "z"]}])

    def put(*names: str) -> dict[str, int]:
        given = [{"name": "c", "categorical_values": list(names)}]
        return categories(ok(us.put(path, {"parameters": given})))

    assert categories(ok(us.get(path))) == {"b": 1, "a": 2, "z": 3}
    assert put("b", "a") == {"b": 1, "a": 2}
    assert put("new", "a", "b") == {"b": 1, "a": 2, "new": 4}
    assert put("z", "last", "new") == {"z": 3, "new": 4, "last": 5}
    assert list(put("last", "a")) == ["a", "last"]


def test_a_removed_category_is_no_value_any_more_and_its_data_stay(us: Caller) -> None:
    path = make_experiment(us, parameters=[{**C, "categorical_values": ["b", "a", "z"]}])
    body = {"assignments": {"c": "z"}, "values": [{"value": 1}]}
    made = ok(us.post(f"{path}/observations", body))

    ok(us.put(path, {"parameters": [{"name": "c", "categorical_values": ["a", "b"]}]}))

    refusal(us.post(f"{path}/observations", body))
    assert ok(us.get(f"{path}/observations/{made['id']}"))["assignments"] == {"c": "z"}
    assert ok(us.get(path))["progress"]["best_observation"]["assignments"] == {"c": "z"}
    assert ok(us.post(f"{path}/suggestions"))["assignments"]["c"] in ("a", "b")


def test_a_new_parameter_needs_a_default_and_so_does_one_that_comes_back(us: Caller) -> None:
    path = make_experiment(us, parameters=[X, Y])
    x, y = ok(us.get(path))["parameters"]

    assert "default_value" in refusal(us.put(path, {"parameters": [x, y, N]}))
    refusal(us.put(path, {"parameters": [x, y, {**N, "default_value": 99}]}))
    refusal(us.put(path, {"parameters": [x, y, {**N, "default_value": 2.5}]}))
    refusal(us.put(path, {"parameters": [x, y, {"name": "n", "default_value": 2}]}))
    made = ok(us.put(path, {"parameters": [x, y, {**N, "default_value": 2.0}]}))
    assert parameter(made, "n")["default_value"] == 2

    gone = ok(us.put(path, {"parameters": [x]}))
    assert [each["name"] for each in gone["parameters"]] == ["x"]
    refusal(us.post(f"{path}/observations", {"assignments": {"x": 1, "y": 1}, "failed": True}))
    assert "default_value" in refusal(us.put(path, {"parameters": [x, y]}))
    back = ok(us.put(path, {"parameters": [x, {**y, "default_value": 0.5}]}))
    assert [each["name"] for each in back["parameters"]] == ["x", "y"]


def test_suggestions_stay_inside_the_new_space(us: Caller) -> None:
    path = make_experiment(us, parameters=[X, N])
    narrow = [
        {**X, "bounds": {"min": 0.9, "max": 1}},
        {**Y, "default_value": 0.5},
    ]

    ok(us.put(path, {"parameters": narrow}))

    for _ in range(6):
        assignments = ok(us.post(f"{path}/suggestions"))["assignments"]
        assert set(assignments) == {"x", "y"}
        assert 0.9 <= assignments["x"] <= 1


# AIExperiments


def test_an_aiexperiment_has_a_budget_that_null_clears_and_stays_in_its_project(
    us: Caller, project: str
) -> None:
    path = make_ai(us, project, budget=5)
    ok(us.post(project.removesuffix("gears").rstrip("/"), {"id": "other", "name": "Other"}))

    assert ok(us.put(path, {"budget": 9}))["progress"]["remaining_budget"] == 9
    shown = ok(us.put(path, {"budget": None}))
    assert (shown["budget"], shown["progress"]["remaining_budget"]) == (None, None)
    for given in ({"project": "other"}, {"project": None}, {"observation_budget": 5}):
        refusal(us.put(path, given))
    assert ok(us.put(path, {"state": "deleted"}))["state"] == "deleted"
    assert ok(us.put(path, {"state": "active"}))["state"] == "active"


@pytest.mark.parametrize("key", ["type", "tasks", "num_solutions", "conditionals", "runs_only"])
def test_what_an_aiexperiment_cannot_be_given(us: Caller, project: str, key: str) -> None:
    refusal(us.put(make_ai(us, project), {key: None}))

"""What an experiment may be made of, where `tests/api` does not say it (sections 8.1 and 8.2)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.caller import Caller, ok, refusal
from tests.wire.conformance.bodies import C, G, N, X, Y

K = {"name": "k", "values": ["one", "two"]}


def body(**changes: Any) -> dict[str, Any]:
    return {"name": "e", "parameters": [X], **changes}


def constraint(*terms: tuple[str, float], kind: str = "less_than", at: float = 1) -> dict[str, Any]:
    return {
        "type": kind,
        "threshold": at,
        "terms": [{"name": name, "weight": weight} for name, weight in terms],
    }


def metrics(*given: Any, budget: int | None = 9) -> dict[str, Any]:
    return body(metrics=list(given), observation_budget=budget)


LIMIT = {"name": "c", "strategy": "constraint", "threshold": 1}

ACCEPTED: dict[str, dict[str, Any]] = {
    "names are trimmed": body(name="  e  "),
    "ten integers in constraints": body(
        parameters=[{**N, "name": f"n{i}"} for i in range(10)],
        linear_constraints=[constraint(*((f"n{i}", 1) for i in range(10)), at=50)],
    ),
    "two doubles and two ints, apart": body(
        parameters=[X, Y, N, {**N, "name": "m"}],
        linear_constraints=[constraint(("x", 1), ("y", 1)), constraint(("n", 1), ("m", 1), at=9)],
    ),
    "a threshold of zero": metrics({"name": "f", "threshold": 0}, "g"),
    "a negative constraint": metrics("f", {**LIMIT, "threshold": -1.5}),
    "four constraints alone": metrics(*({**LIMIT, "name": f"c{i}"} for i in range(4))),
    "50 metrics": metrics("f", *({"name": f"s{i}", "strategy": "store"} for i in range(49))),
    "one optimized, one stored, no budget": metrics(
        "f", {"name": "s", "strategy": "store"}, budget=None
    ),
    "thresholds null everywhere": metrics(
        {"name": "f", "threshold": None}, {"name": "s", "strategy": "store", "threshold": None}
    ),
    "solutions as many as the budget": body(num_solutions=9, observation_budget=9),
    "solutions with a constraint metric": {**metrics("f", LIMIT), "num_solutions": 2},
    "a grid of several metrics without budget": body(
        type="grid", parameters=[G], metrics=["f", "g"]
    ),
    "a grid of constraints without budget": body(type="grid", parameters=[G], metrics=[LIMIT]),
    "a quantized parameter in random": body(type="random", parameters=[G]),
    "an int grid": body(parameters=[{"name": "n", "type": "int", "grid": [8, 2.0, 4]}]),
    "a log grid": body(parameters=[{**G, "transformation": "log"}]),
    "integers of bounds at 3.0": body(parameters=[{**N, "bounds": {"min": 1.0, "max": 3.0}}]),
    "none for an int": body(parameters=[{**N, "transformation": "none"}]),
    "null for a category": body(parameters=[{**C, "transformation": None, "bounds": None}]),
    "a category of 50 characters": body(parameters=[{**C, "categorical_values": ["a", "b" * 50]}]),
    "a default category": body(parameters=[{**C, "default_value": "a"}]),
    "a default on the grid": body(parameters=[{**G, "default_value": 2.5}]),
    "bounds just wide enough": body(parameters=[{**X, "bounds": {"min": 0, "max": 1.1e-8}}]),
    "conditions of several values": body(
        conditionals=[K],
        parameters=[{**X, "conditions": {"k": ["one", "two"]}}, {**Y, "conditions": {"k": "one"}}],
    ),
    "each branch has a parameter": body(
        conditionals=[K],
        parameters=[{**X, "conditions": {"k": ["one"]}}, {**Y, "conditions": {"k": "two"}}],
    ),
    "a random experiment with everything": body(
        type="random", parameters=[X, Y, C], linear_constraints=[constraint(("x", 1), ("y", 1))]
    ),
    "an empty list of constraints": body(linear_constraints=[], conditionals=[]),
    "100 keys of metadata": body(metadata={str(i): i for i in range(100)}),
}

REFUSED: dict[str, dict[str, Any]] = {
    "name missing": {"parameters": [X]},
    "parameters missing": {"name": "e"},
    "parameters as an object": body(parameters={"x": X}),
    "a parameter as text": body(parameters=["x"]),
    "bounds as a list": body(parameters=[{**X, "bounds": [0, 1]}]),
    "bounds without min": body(parameters=[{**X, "bounds": {"max": 1}}]),
    "bounds of null": body(parameters=[{**X, "bounds": {"min": None, "max": 1}}]),
    "grid and bounds of its ends": body(parameters=[{**G, "bounds": {"min": 1, "max": 4}}]),
    "an empty grid": body(parameters=[{**X, "grid": []}]),
    "a grid of booleans": body(parameters=[{"name": "g", "type": "int", "grid": [True, False]}]),
    "a grid of text": body(parameters=[{**G, "grid": ["1", "2"]}]),
    "a category with names as grid": body(parameters=[{**C, "grid": ["a", "b"]}]),
    "a log grid with zero": body(parameters=[{**G, "grid": [0, 1], "transformation": "log"}]),
    "a grid experiment with bounds": body(type="grid", parameters=[G, X]),
    "a grid experiment with constraints": body(
        type="grid",
        parameters=[G, {**G, "name": "h"}],
        linear_constraints=[constraint(("g", 1), ("h", 1))],
    ),
    "a type of another case": body(type="Offline"),
    "a parameter type of another case": body(parameters=[{**X, "type": "Double"}]),
    "a category twice as text and object": body(
        parameters=[{**C, "categorical_values": ["a", {"name": "a"}]}]
    ),
    "an empty category": body(parameters=[{**C, "categorical_values": ["", "a"]}]),
    "a prior on a category": body(
        parameters=[{**C, "prior": {"name": "normal", "mean": 0, "scale": 1}}]
    ),
    "a prior without a name": body(parameters=[{**X, "prior": {"mean": 0, "scale": 1}}]),
    "a prior without scale": body(parameters=[{**X, "prior": {"name": "normal", "mean": 0}}]),
    "a prior of negative scale": body(
        parameters=[{**X, "prior": {"name": "normal", "mean": 0, "scale": -1}}]
    ),
    "a beta prior of zero": body(
        parameters=[{**X, "prior": {"name": "beta", "shape_a": 1, "shape_b": 0}}]
    ),
    "a default that is no integer": body(parameters=[{**N, "default_value": 1.5}]),
    "a default off the grid": body(parameters=[{**G, "default_value": 2}]),
    "a default that is true": body(parameters=[{**X, "default_value": True}]),
    "a default of zero on a log scale": body(
        parameters=[
            {
                **X,
                "bounds": {"min": 0.1, "max": 1},
                "transformation": "log",
                "default_value": 0,
            }
        ]
    ),
    "a condition that is a number": body(
        conditionals=[K], parameters=[X, {**Y, "conditions": {"k": 1}}]
    ),
    "a condition that is null": body(
        conditionals=[K], parameters=[X, {**Y, "conditions": {"k": None}}]
    ),
    "conditions as a list": body(conditionals=[K], parameters=[X, {**Y, "conditions": ["k"]}]),
    "a conditional without values": body(conditionals=[{"name": "k"}], parameters=[X]),
    "a conditional without name": body(conditionals=[{"values": ["a", "b"]}], parameters=[X]),
    "two conditionals of one name": body(conditionals=[K, K], parameters=[X]),
    "a combination that leaves nothing": body(
        conditionals=[K, {"name": "l", "values": ["one", "two"]}],
        parameters=[
            {**X, "conditions": {"k": "one"}},
            {**Y, "conditions": {"k": "two", "l": "one"}},
        ],
    ),
    "a constraint on a conditional parameter": body(
        conditionals=[K],
        parameters=[X, {**Y, "conditions": {"k": "one"}}],
        linear_constraints=[constraint(("x", 1), ("y", 1))],
    ),
    "a constraint on a grid parameter": body(
        parameters=[X, G], linear_constraints=[constraint(("x", 1), ("g", 1))]
    ),
    "a constraint of a boolean weight": body(
        parameters=[X, Y], linear_constraints=[constraint(("x", True), ("y", 1))]
    ),
    "a constraint without type": body(
        parameters=[X, Y],
        linear_constraints=[{**constraint(("x", 1), ("y", 1)), "type": None}],
    ),
    "a term with a further key": body(
        parameters=[X, Y],
        linear_constraints=[
            {
                "type": "less_than",
                "threshold": 1,
                "terms": [{"name": "x", "weight": 1, "unit": "m"}, {"name": "y", "weight": 1}],
            }
        ],
    ),
    "eleven integers in constraints": body(
        parameters=[{**N, "name": f"n{i}"} for i in range(12)],
        linear_constraints=[
            constraint(*((f"n{i}", 1) for i in range(6)), at=30),
            constraint(*((f"n{i}", 1) for i in range(6, 12)), at=30),
        ],
    ),
    "a region that is a line": body(
        parameters=[X, Y],
        linear_constraints=[
            constraint(("x", 1), ("y", 1)),
            constraint(("x", 1), ("y", 1), kind="greater_than"),
        ],
    ),
    "a region that is a corner": body(
        parameters=[X, Y],
        linear_constraints=[constraint(("x", 1), ("y", 1), kind="greater_than", at=2)],
    ),
    "a metric of null": metrics(None),
    "a metric with an empty name among two": metrics("f", ""),
    "an objective of another case": metrics({"name": "f", "objective": "Maximize"}),
    "a metric that is another object": metrics({"name": "f", "object": "parameter"}),
    "a threshold with one optimized and one stored": metrics(
        {"name": "f", "threshold": 1}, {"name": "s", "strategy": "store"}
    ),
    "a threshold that is true": metrics({"name": "f", "threshold": True}, "g"),
    "solutions of constraints alone": {**metrics(LIMIT), "num_solutions": 2},
    "half a solution": body(num_solutions=1.5),
    "no solution": body(num_solutions=0),
    "a negative budget": body(observation_budget=-1),
    "a bandwidth of text": body(parallel_bandwidth="2"),
    "a bandwidth that is true": body(parallel_bandwidth=True),
    "runs_only as text": body(runs_only="true"),
    "a project that is a number": body(project=3),
    "a project that is empty": body(project=""),
    "an id of one's own": body(id="7"),
    "a state": body(state="active"),
    "a budget for a classical one": body(budget=5, runs_only=False),
    "metadata of lists": body(metadata={"k": [1]}),
    "metadata as text": body(metadata="k"),
}


@pytest.mark.parametrize("given", ACCEPTED.values(), ids=list(ACCEPTED))
def test_this_is_an_experiment(us: Caller, given: dict[str, Any]) -> None:
    made = ok(us.post("/v1/experiments", given))

    assert made["name"] == "e"
    assert ok(us.get(f"/v1/experiments/{made['id']}")) == made


@pytest.mark.parametrize("given", REFUSED.values(), ids=list(REFUSED))
def test_this_is_none(us: Caller, given: dict[str, Any]) -> None:
    refusal(us.post("/v1/experiments", given))


def test_what_was_read_makes_another_one(us: Caller) -> None:
    first = ok(us.post("/v1/experiments", body(type="grid", parameters=[G, C], metadata={"a": 1})))
    told = ("name", "type", "parameters", "metrics", "metadata", "observation_budget")

    second = ok(us.post("/v1/experiments", {key: first[key] for key in told}))

    assert {key: second[key] for key in told} == {key: first[key] for key in told}


def test_everything_that_was_read_makes_another_one(us: Caller) -> None:
    first = ok(
        us.post(
            "/v1/experiments",
            body(
                parameters=[X, Y, {**C, "conditions": {"k": "one"}}],
                conditionals=[K],
                linear_constraints=[constraint(("x", 1), ("y", 1))],
                early_stopping={},
            ),
        )
    )
    told = (
        "name",
        "type",
        "parameters",
        "metrics",
        "conditionals",
        "linear_constraints",
        "parallel_bandwidth",
        "num_solutions",
        "early_stopping",
        "suggestion_ttl_seconds",
        "runs_only",
        "project",
    )

    second = ok(us.post("/v1/experiments", {key: first[key] for key in told}))

    assert {key: second[key] for key in told} == {key: first[key] for key in told}


def test_categories_are_numbered_in_the_order_given(us: Caller) -> None:
    values = [{"name": "z", "enum_index": 7}, {"name": "a", "enum_index": 2}]

    made = ok(us.post("/v1/experiments", body(parameters=[{**C, "categorical_values": values}])))

    shown = made["parameters"][0]["categorical_values"]
    assert [(each["name"], each["enum_index"]) for each in shown] == [("z", 1), ("a", 2)]


def test_an_experiment_made_in_a_client_is_the_same(us: Caller, them: Caller) -> None:
    made = ok(us.post(f"/v1/clients/{us.client_id}/experiments", body()))

    assert made["client"] == str(us.client_id)
    refusal(us.post(f"/v1/clients/{them.client_id}/experiments", body()), 404)

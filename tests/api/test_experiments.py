from __future__ import annotations

from typing import Any

import pytest

from tests.api.caller import (
    ASSIGNMENTS,
    Caller,
    ok,
    path_of,
    refusal,
    single_body,
    values,
)

X = {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}
Y = {"name": "y", "type": "double", "bounds": {"min": 0, "max": 1}}
N = {"name": "n", "type": "int", "bounds": {"min": 1, "max": 9}}
C = {"name": "c", "type": "categorical", "categorical_values": ["a", "b"]}
GRID = {"name": "g", "type": "double", "grid": [0.1, 0.2, 0.4]}
LAYERS = {"name": "layers", "values": ["one", "two"]}
SUM: dict[str, Any] = {
    "type": "less_than",
    "threshold": 1,
    "terms": [{"name": "x", "weight": 1}, {"name": "y", "weight": 1}],
}


def parameter(**changes: Any) -> dict[str, Any]:
    return single_body(parameters=[{**X, **changes}])


def metric(*metrics: Any, **changes: Any) -> dict[str, Any]:
    return single_body(metrics=list(metrics), **changes)


ACCEPTED = {
    "one parameter is enough": single_body(),
    "type random": single_body(type="random"),
    "type null": single_body(type=None),
    "every optional key null": single_body(
        type=None,
        metrics=None,
        observation_budget=None,
        parallel_bandwidth=None,
        num_solutions=None,
        conditionals=None,
        linear_constraints=None,
        metadata=None,
        project=None,
        tasks=None,
        runs_only=None,
        budget=None,
        metric=None,
    ),
    "runs_only false": single_body(runs_only=False),
    "every optional key of a parameter null": parameter(
        default_value=None,
        prior=None,
        transformation=None,
        conditions=None,
        grid=None,
        categorical_values=None,
    ),
    "an unknown key in a parameter": parameter(precision=3, tunable=True, object="parameter"),
    "transformation none": parameter(transformation="none"),
    "log": parameter(bounds={"min": 0.001, "max": 1}, transformation="log"),
    "integers written as 3.0": single_body(
        parameters=[{**N, "bounds": {"min": 1.0, "max": 9.0}}], observation_budget=30.0
    ),
    "100 parameters": single_body(parameters=[{**X, "name": f"x{i}"} for i in range(100)]),
    "categorical values as objects": single_body(
        parameters=[{**C, "categorical_values": [{"name": "a"}, {"name": "b"}]}]
    ),
    "a grid in an offline experiment": single_body(parameters=[GRID]),
    "a normal prior": parameter(prior={"name": "normal", "mean": 0.5, "scale": 0.1}),
    "a beta prior": parameter(prior={"name": "beta", "shape_a": 2, "shape_b": 3}),
    "a default value": parameter(default_value=0.5),
    "metrics as names": metric("f", "g", observation_budget=9),
    "a single metric object": single_body(metric={"name": "f"}),
    "one unnamed metric": metric({"objective": "minimize"}),
    "objective null": metric({"name": "f", "objective": None, "strategy": None}),
    "a metric as it is read": metric(
        {
            "object": "metric",
            "name": "f",
            "objective": "maximize",
            "strategy": "optimize",
            "threshold": None,
        }
    ),
    "three optimized metrics": metric("f", "g", "h", observation_budget=9),
    "a threshold with two": metric({"name": "f", "threshold": 3}, "g", observation_budget=9),
    "constraints alone": metric(
        {"name": "f", "strategy": "constraint", "threshold": 1}, observation_budget=9
    ),
    "a stored metric": metric("f", {"name": "s", "strategy": "store"}),
    "several solutions": single_body(num_solutions=3, observation_budget=9),
    "one solution": single_body(num_solutions=1),
    "conditionals": single_body(
        conditionals=[LAYERS],
        parameters=[X, {**Y, "conditions": {"layers": "two"}}, {**N, "conditions": {}}],
    ),
    "linear constraints": single_body(parameters=[X, Y], linear_constraints=[SUM]),
    "a grid experiment": single_body(type="grid", parameters=[GRID, C]),
    "a grid experiment with its size": single_body(
        type="grid", parameters=[GRID, C], observation_budget=6
    ),
    "metadata": single_body(metadata={"a": "b", "c": 1, "d": 1.5, "e": None}),
    "metadata at its limits": single_body(metadata={"k" * 100: "v" * 500}),
    "a name of 100 characters": single_body(name="n" * 100),
    "names in any script": single_body(name="Ωμέγα 机器"),
}

REFUSED = {
    "nothing": ({}, "name: required"),
    "no name": ({**single_body(), "name": None}, "name: must be a string"),
    "an empty name": (single_body(name=" "), "name: must not be empty"),
    "a long name": (single_body(name="n" * 101), "name: must have at most 100"),
    "a name with a control character": (single_body(name="a\nb"), "name: must not contain control"),
    "a name that is a number": (single_body(name=3), "name: must be a string, not 3"),
    "an unknown type": (single_body(type="bayesian"), "type: must be"),
    "an unknown key": (single_body(colour="red"), "colour: unknown key"),
    "the key object": (single_body(object="experiment"), "object: unknown key"),
    "a legacy key": (single_body(can_be_deleted=True), "can_be_deleted: unknown key"),
    "field selection": (single_body(fields="id"), "fields: unknown key"),
    "no parameters": (single_body(parameters=[]), "parameters: must hold at least 1"),
    "parameters null": (single_body(parameters=None), "parameters: must be an array"),
    "parameters of one name": (single_body(parameters=[X, X]), "parameters: two are named 'x'"),
    "101 parameters": (
        single_body(parameters=[{**X, "name": f"x{i}"} for i in range(101)]),
        "parameters: at most 100",
    ),
    "no parameter name": (single_body(parameters=[{**X, "name": None}]), "parameters[0].name"),
    "no parameter type": (single_body(parameters=[{**X, "type": None}]), "parameters[0].type"),
    "no bounds": (parameter(bounds=None), "parameters[0].bounds: required"),
    "bounds without max": (parameter(bounds={"min": 1}), "parameters[0].bounds.max: required"),
    "bounds the wrong way": (parameter(bounds={"min": 1, "max": 0}), "min must be below max"),
    "bounds that are equal": (parameter(bounds={"min": 1, "max": 1}), "min must be below max"),
    "bounds too near": (parameter(bounds={"min": 0, "max": 1e-9}), "max - min must be at least"),
    "bounds as text": (parameter(bounds={"min": "0", "max": 1}), "must be a number, not '0'"),
    "bounds as booleans": (parameter(bounds={"min": False, "max": True}), "must be a number"),
    "bounds beyond reason": (parameter(bounds={"min": 0, "max": 1e200}), "must not exceed 1e+150"),
    "int bounds that are not integers": (
        single_body(parameters=[{**N, "bounds": {"min": 0.5, "max": 3}}]),
        "parameters[0].bounds: must be integers",
    ),
    "log of zero": (parameter(transformation="log"), "bounds: must be above 0 on a log scale"),
    "log of an int": (
        single_body(parameters=[{**N, "transformation": "log"}]),
        "transformation: only a double",
    ),
    "an unknown transformation": (parameter(transformation="exp"), "transformation: must be 'log'"),
    "bounds and a grid": (parameter(grid=[0.25, 0.5]), "either bounds or a grid"),
    "a grid of one": (single_body(parameters=[{**GRID, "grid": [1]}]), "grid: must list at least"),
    "a grid with one twice": (
        single_body(parameters=[{**GRID, "grid": [1, 1]}]),
        "grid: must list",
    ),
    "an int grid with halves": (
        single_body(parameters=[{"name": "g", "type": "int", "grid": [1, 1.5]}]),
        "grid: must be integers",
    ),
    "a grid with a prior": (
        single_body(parameters=[{**GRID, "prior": {"name": "normal", "mean": 0.2, "scale": 1}}]),
        "prior: only a double parameter without",
    ),
    "categorical values missing": (
        single_body(parameters=[{"name": "c", "type": "categorical"}]),
        "categorical_values: must list at least two",
    ),
    "one categorical value": (
        single_body(parameters=[{**C, "categorical_values": ["a"]}]),
        "categorical_values: must list at least two",
    ),
    "a categorical value twice": (
        single_body(parameters=[{**C, "categorical_values": ["a", "a"]}]),
        "must not list a value twice",
    ),
    "a long categorical value": (
        single_body(parameters=[{**C, "categorical_values": ["a", "b" * 51]}]),
        "categorical_values[1].name: must have at most 50",
    ),
    "categorical numbers": (
        single_body(parameters=[{**C, "categorical_values": [1, 2]}]),
        "categorical_values[0]: must be an object",
    ),
    "categorical with bounds": (
        single_body(parameters=[{**C, "bounds": {"min": 0, "max": 1}}]),
        "bounds: a categorical parameter has none",
    ),
    "categorical with a grid": (
        single_body(parameters=[{**C, "grid": [1, 2]}]),
        "grid: a categorical parameter has none",
    ),
    "categorical with log": (
        single_body(parameters=[{**C, "transformation": "log"}]),
        "transformation: a categorical parameter has none",
    ),
    "numeric with categorical values": (
        parameter(categorical_values=["a", "b"]),
        "categorical_values: only a categorical",
    ),
    "a prior on an int": (
        single_body(parameters=[{**N, "prior": {"name": "normal", "mean": 2, "scale": 1}}]),
        "prior: only a double",
    ),
    "a prior with log": (
        parameter(
            bounds={"min": 0.1, "max": 1},
            transformation="log",
            prior={"name": "beta", "shape_a": 1, "shape_b": 1},
        ),
        "prior: only a double",
    ),
    "a prior outside the bounds": (
        parameter(prior={"name": "normal", "mean": 2, "scale": 1}),
        "prior: the mean must lie inside",
    ),
    "a prior without width": (
        parameter(prior={"name": "normal", "mean": 0.5, "scale": 0}),
        "prior.scale: must be above 0",
    ),
    "a beta prior without shape": (
        parameter(prior={"name": "beta", "shape_a": -1, "shape_b": 1}),
        "prior.shape_a: must be above 0",
    ),
    "an unknown prior": (parameter(prior={"name": "gamma"}), "prior.name: must be one of"),
    "a default outside": (parameter(default_value=2), "default_value: must lie between 0 and 1"),
    "a default of another type": (parameter(default_value="a"), "default_value: must be a number"),
    "a default that is no category": (
        single_body(parameters=[{**C, "default_value": "z"}]),
        "default_value: must be one of a, b",
    ),
    "a default object": (parameter(default_value={}), "default_value: must be a number"),
    "no metrics": (metric(), "metrics: must hold at least 1"),
    "metrics that are a number": (single_body(metrics=3), "metrics: must be an array"),
    "an empty metric name": (metric({"name": ""}), "metrics[0].name: must not be empty"),
    "a metric of no letters": (metric(""), "metrics[0].name: must not be empty"),
    "a metric that is a number": (metric(3), "metrics[0]: must be an object"),
    "metric and metrics": (metric("f", metric={"name": "g"}), "metric: give either"),
    "51 metrics": (metric(*(f"m{i}" for i in range(51))), "metrics: at most 50"),
    "nine optimized": (
        metric(*(f"m{i}" for i in range(9)), observation_budget=9),
        "metrics: at most 8 can be optimized",
    ),
    "two metrics of one name": (metric("f", "f", observation_budget=9), "two are named 'f'"),
    "two metrics without names": (metric({}, {}, observation_budget=9), "each needs a name"),
    "only stored metrics": (
        metric({"name": "f", "strategy": "store"}),
        "at least one must have the strategy",
    ),
    "an unknown objective": (metric({"name": "f", "objective": "max"}), "objective: must be"),
    "an unknown strategy": (metric({"name": "f", "strategy": "max"}), "strategy: must be"),
    "a threshold with one optimized": (
        metric({"name": "f", "threshold": 1}),
        "threshold: an optimized metric can have one only",
    ),
    "a constraint without threshold": (
        metric({"name": "f", "strategy": "constraint"}, observation_budget=9),
        "threshold: required",
    ),
    "a stored metric with a threshold": (
        metric("f", {"name": "s", "strategy": "store", "threshold": 1}),
        "threshold: a stored metric has none",
    ),
    "a threshold that is text": (
        metric({"name": "f", "threshold": "1"}, "g", observation_budget=9),
        "threshold: must be a number",
    ),
    "an unknown key in a metric": (metric({"name": "f", "goal": 1}), "metrics[0].goal: unknown"),
    "a long metric name": (metric("f" * 101), "name: must have at most 100"),
    "a budget of zero": (
        single_body(observation_budget=0),
        "observation_budget: must be a positive",
    ),
    "half a budget": (
        single_body(observation_budget=1.5),
        "observation_budget: must be an integer",
    ),
    "a budget of text": (
        single_body(observation_budget="9"),
        "observation_budget: must be a number",
    ),
    "a true budget": (single_body(observation_budget=True), "observation_budget: must be a number"),
    "two metrics without budget": (metric("f", "g"), "observation_budget: required"),
    "a constraint without budget": (
        metric("f", {"name": "g", "strategy": "constraint", "threshold": 1}),
        "observation_budget: required",
    ),
    "solutions without budget": (single_body(num_solutions=2), "observation_budget: required"),
    "the other kind of budget": (single_body(budget=9), "budget: an experiment has"),
    "a bandwidth of zero": (single_body(parallel_bandwidth=0), "parallel_bandwidth: must be a pos"),
    "a bandwidth beyond reason": (
        single_body(parallel_bandwidth=10_001),
        "parallel_bandwidth: must",
    ),
    "solutions of two metrics": (
        metric("f", "g", num_solutions=2, observation_budget=9),
        "num_solutions: above 1 exactly one",
    ),
    "more solutions than budget": (
        single_body(num_solutions=9, observation_budget=3),
        "observation_budget: must be at least num_solutions",
    ),
    "solutions with conditionals": (
        single_body(num_solutions=2, observation_budget=9, conditionals=[LAYERS]),
        "num_solutions: above 1 no conditionals",
    ),
    "a conditional with one value": (
        single_body(conditionals=[{"name": "layers", "values": ["one"]}]),
        "conditionals[0].values: must list at least two",
    ),
    "a conditional value twice": (
        single_body(conditionals=[{"name": "layers", "values": ["one", "one"]}]),
        "conditionals[0].values: must not list",
    ),
    "a conditional value that is long": (
        single_body(conditionals=[{"name": "layers", "values": ["one", "t" * 51]}]),
        "conditionals[0].values[1]: must have at most 50",
    ),
    "a conditional with a further key": (
        single_body(conditionals=[{**LAYERS, "default": "one"}]),
        "conditionals[0].default: unknown key",
    ),
    "a conditional named as a parameter": (
        single_body(conditionals=[{"name": "x", "values": ["one", "two"]}]),
        "conditionals: two are named 'x'",
    ),
    "a condition on nothing": (
        parameter(conditions={"layers": ["one"]}),
        "parameters.x.conditions: no conditional 'layers'",
    ),
    "a condition on an unknown value": (
        single_body(
            conditionals=[LAYERS], parameters=[{**X, "conditions": {"layers": ["three"]}}, Y]
        ),
        "parameters.x.conditions.layers: no value 'three'",
    ),
    "an empty condition": (
        single_body(conditionals=[LAYERS], parameters=[{**X, "conditions": {"layers": []}}, Y]),
        "conditions.layers: must list at least one",
    ),
    "a choice that leaves nothing": (
        single_body(conditionals=[LAYERS], parameters=[{**X, "conditions": {"layers": "one"}}]),
        "leaves no parameter active",
    ),
    "conditionals in a grid": (
        single_body(type="grid", parameters=[GRID], conditionals=[LAYERS]),
        "conditionals: a grid experiment can have none",
    ),
    "a grid without grids": (single_body(type="grid"), "parameters.x.grid: required"),
    "a grid of another size": (
        single_body(type="grid", parameters=[GRID, C], observation_budget=7),
        "observation_budget: the grid has 6 points",
    ),
    "a constraint with one term": (
        single_body(parameters=[X, Y], linear_constraints=[{**SUM, "terms": SUM["terms"][:1]}]),
        "terms: must hold at least two",
    ),
    "a constraint without terms": (
        single_body(parameters=[X, Y], linear_constraints=[{**SUM, "terms": []}]),
        "linear_constraints[0].terms: must hold at least 1",
    ),
    "a constraint with zero weights": (
        single_body(
            parameters=[X, Y],
            linear_constraints=[
                {**SUM, "terms": [{"name": "x", "weight": 1}, {"name": "y", "weight": 0}]}
            ],
        ),
        "terms: must hold at least two",
    ),
    "a constraint that names one twice": (
        single_body(
            parameters=[X, Y],
            linear_constraints=[
                {**SUM, "terms": [{"name": "x", "weight": 1}, {"name": "x", "weight": 2}]}
            ],
        ),
        "terms: must not name a parameter twice",
    ),
    "a constraint on nothing": (
        single_body(parameters=[X], linear_constraints=[SUM]),
        "linear_constraints[0]: no parameter 'y'",
    ),
    "a constraint of an unknown type": (
        single_body(parameters=[X, Y], linear_constraints=[{**SUM, "type": "equal"}]),
        "linear_constraints[0].type: must be",
    ),
    "a constraint without threshold in it": (
        single_body(parameters=[X, Y], linear_constraints=[{**SUM, "threshold": None}]),
        "linear_constraints[0].threshold: must be a number",
    ),
    "a constraint with a further key": (
        single_body(parameters=[X, Y], linear_constraints=[{**SUM, "name": "s"}]),
        "linear_constraints[0].name: unknown key",
    ),
    "a constraint that mixes types": (
        single_body(parameters=[X, {**N, "name": "y"}], linear_constraints=[SUM]),
        "must not mix int and double",
    ),
    "a constraint on a category": (
        single_body(parameters=[X, {**C, "name": "y"}], linear_constraints=[SUM]),
        "y is categorical",
    ),
    "a constraint on a log parameter": (
        single_body(
            parameters=[
                X,
                {**Y, "bounds": {"min": 0.1, "max": 1}, "transformation": "log"},
            ],
            linear_constraints=[SUM],
        ),
        "must be unconditional, without log and without grid",
    ),
    "constraints that leave nothing": (
        single_body(parameters=[X, Y], linear_constraints=[{**SUM, "threshold": -1}]),
        "linear_constraints: no configuration",
    ),
    "tasks": (
        single_body(tasks=[{"name": "t", "cost": 1}], observation_budget=9),
        "tasks: at least two are needed, not 1",
    ),
    "runs_only without a project": (
        single_body(runs_only=True),
        "project: required with runs_only",
    ),
    "runs_only as a number": (single_body(runs_only=0), "runs_only: must be true or false"),
    "a project": (single_body(project="p"), "project: there is no project 'p'"),
    "metadata that is a list": (single_body(metadata=[]), "metadata: must be an object"),
    "metadata with 101 keys": (
        single_body(metadata={str(i): 1 for i in range(101)}),
        "metadata: must have at most 100 keys",
    ),
    "metadata with a long key": (single_body(metadata={"k" * 101: 1}), "metadata: keys must have"),
    "metadata with a long value": (
        single_body(metadata={"k": "v" * 501}),
        "metadata.k: must have at most 500",
    ),
    "metadata with a boolean": (single_body(metadata={"k": True}), "metadata.k: must be a string"),
    "metadata with an object": (single_body(metadata={"k": {}}), "metadata.k: must be a string"),
    "metadata beyond reason": (single_body(metadata={"k": 1e200}), "metadata.k: must not exceed"),
}


@pytest.mark.parametrize("body", ACCEPTED.values(), ids=list(ACCEPTED))
def test_what_can_be_created(standing: Caller, body: dict[str, Any]) -> None:
    created = ok(standing.post("/v1/experiments", body))

    assert created["object"] == "experiment"
    assert created["id"].isdigit()
    assert ok(standing.get(path_of(created))) == created


@pytest.mark.parametrize(("body", "message"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_created(standing: Caller, body: dict[str, Any], message: str) -> None:
    assert message in refusal(standing.post("/v1/experiments", body))


def test_refusals_store_nothing(api: Caller) -> None:
    for body, _ in REFUSED.values():
        api.post("/v1/experiments", body)

    assert ok(api.get("/v1/experiments", state="all"))["count"] == 0


def test_creating_in_a_client_is_the_same(api: Caller) -> None:
    created = ok(api.post(f"/v1/clients/{api.client_id}/experiments", single_body()))

    assert created["client"] == str(api.client_id)
    listed = ok(api.get(f"/v1/clients/{api.client_id}/experiments"))
    assert [each["id"] for each in listed["data"]] == [created["id"]]


def test_parameters_and_metrics_are_sorted_by_name(api: Caller) -> None:
    created = api.experiment()

    assert [each["name"] for each in created["parameters"]] == ["act", "filters", "lr"]
    assert [each["name"] for each in created["metrics"]] == ["accuracy", "ms"]


def test_a_grid_shows_its_levels_and_its_size_as_budget(api: Caller) -> None:
    created = ok(
        api.post(
            "/v1/experiments",
            single_body(
                type="grid", parameters=[GRID, C, {**N, **{"bounds": None, "grid": [4, 2]}}]
            ),
        )
    )

    shown = {each["name"]: each for each in created["parameters"]}
    assert created["observation_budget"] == 12
    assert shown["g"]["grid"] == [0.1, 0.2, 0.4]
    assert shown["g"]["bounds"] == {"object": "bounds", "min": 0.1, "max": 0.4}
    assert shown["n"]["grid"] == [2, 4]
    assert shown["c"]["grid"] == ["a", "b"]


def test_a_parameter_without_grid_shows_none(api: Caller) -> None:
    assert "grid" not in api.single()["parameters"][0]


def test_null_metadata_values_are_dropped(api: Caller) -> None:
    assert api.single(metadata={"a": 1, "b": None})["metadata"] == {"a": 1}
    assert api.single()["metadata"] is None


def test_a_development_token_makes_development_experiments(api: Caller) -> None:
    development = api.as_token(api.development_token)
    created = development.single()

    assert created["development"] is True
    assert ok(development.get("/v1/experiments"))["count"] == 1
    assert ok(api.get("/v1/experiments"))["count"] == 0
    body = api.get(path_of(created)).json()
    assert body["status"] == 403
    assert body["token_status"] == "invalid_permissions"


def test_progress_counts_and_shows_the_ends(api: Caller) -> None:
    path = path_of(api.single())
    first = api.observe(path, assignments={"x": 0.1}, value=1)
    best = api.observe(path, assignments={"x": 0.2}, value=5)
    last = api.observe(path, assignments={"x": 0.3}, failed=True)

    assert ok(api.get(path))["progress"] == {
        "object": "progress",
        "observation_count": 3,
        "observation_budget_consumed": 3.0,
        "first_observation": first,
        "last_observation": last,
        "best_observation": best,
    }


def test_with_two_metrics_no_observation_is_the_best(api: Caller) -> None:
    path = path_of(api.experiment())
    api.observe(path, assignments=ASSIGNMENTS, values=values())

    assert ok(api.get(path))["progress"]["best_observation"] is None


# Updates (contract 8.6)


def test_an_update_changes_what_is_given(api: Caller) -> None:
    created = api.single(metadata={"a": 1}, parallel_bandwidth=3, observation_budget=7)
    path = path_of(created)

    changed = ok(api.put(path, {"name": "new", "observation_budget": 9, "no_optimize": True}))

    assert (changed["name"], changed["observation_budget"]) == ("new", 9)
    assert (changed["metadata"], changed["parallel_bandwidth"]) == ({"a": 1}, 3)
    assert ok(api.get(path)) == changed


def test_null_clears_what_can_be_cleared(api: Caller) -> None:
    path = path_of(api.single(metadata={"a": 1}, parallel_bandwidth=3, observation_budget=7))

    changed = ok(
        api.put(
            path,
            {
                "metadata": None,
                "parallel_bandwidth": None,
                "observation_budget": None,
                "project": None,
                "budget": None,
            },
        )
    )

    assert (changed["metadata"], changed["parallel_bandwidth"]) == (None, None)
    assert changed["observation_budget"] == 7


def test_an_empty_update_changes_nothing(api: Caller) -> None:
    created = api.single()

    assert ok(api.put(path_of(created), {})) == created


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": None}, "name: must be a string"),
        ({"name": ""}, "name: must not be empty"),
        ({"state": None}, "state: must be 'active' or 'deleted', not null"),
        ({"state": "paused"}, "state: must be 'active' or 'deleted'"),
        ({"metrics": None}, "metrics: must be an array"),
        ({"parameters": None}, "parameters: must be an array"),
        ({"parameters": []}, "parameters"),
        ({"parameters": [3]}, "parameters[0]: must be an object"),
        ({"parameters": [{}]}, "parameters[0].name: "),
        ({"type": "offline"}, "type: unknown key"),
        ({"tasks": None}, "tasks: unknown key"),
        ({"num_solutions": 1}, "num_solutions: unknown key"),
        ({"conditionals": []}, "conditionals: unknown key"),
        ({"linear_constraints": []}, "linear_constraints: unknown key"),
        ({"budget": 3}, "budget: an experiment has an observation_budget"),
        ({"project": "p"}, "project: there is no project 'p'"),
        ({"observation_budget": 0}, "observation_budget: must be a positive integer"),
        ({"observation_budget": "9"}, "observation_budget: must be a number"),
        ({"parallel_bandwidth": 1.5}, "parallel_bandwidth: must be an integer"),
        ({"metadata": {"a": []}}, "metadata.a: must be a string or a number"),
        ({"no_optimize": 1}, "no_optimize: must be true or false"),
        ({"metrics": []}, "metrics: list all"),
        ({"metrics": [{"name": "other"}]}, "metrics[0].name"),
        ({"metrics": [{"name": ["f"]}]}, "metrics[0].name: must be a string"),
        ({"metrics": [{"objective": "minimize"}]}, "metrics[0].objective: cannot change"),
        ({"metrics": [{"strategy": "store"}]}, "metrics[0].strategy: cannot change"),
        ({"metrics": [{"threshold": 3}]}, "threshold"),
        ({"metrics": [{"goal": 3}]}, "metrics[0].goal: unknown key"),
        ({"parameters": [{"name": "x", "type": "int"}]}, "parameters[0].type: cannot change"),
        (
            {"parameters": [{"name": "x", "transformation": "log"}]},
            "parameters[0].transformation: cannot change",
        ),
        ({"parameters": [{"name": "x", "bounds": {"min": 1}}]}, "bounds.max"),
        ({"parameters": [{"name": "x", "default_value": 7}]}, "default_value"),
        ({"parameters": [{"name": "x", "conditions": {"a": ["b"]}}]}, "conditions"),
        ({"parameters": [{"name": "x"}, {"name": "x"}]}, "two are named 'x'"),
        ({"parameters": [{"name": "x"}, Y]}, "parameters[1].default_value: required"),
    ],
)
def test_what_cannot_change(standing: Caller, changes: dict[str, Any], message: str) -> None:
    created = standing.single()

    assert message in refusal(standing.put(path_of(created), changes))
    assert ok(standing.get(path_of(created))) == created


def test_thresholds_of_several_metrics_can_change(api: Caller) -> None:
    path = path_of(api.experiment())

    changed = ok(api.put(path, {"metrics": [{"name": "ms", "threshold": 5}, {"name": "accuracy"}]}))
    assert [each["threshold"] for each in changed["metrics"]] == [None, 5]
    cleared = ok(api.put(path, {"metrics": [{"name": "ms", "threshold": None}, "accuracy"]}))
    assert [each["threshold"] for each in cleared["metrics"]] == [None, None]


def test_metrics_that_are_read_can_be_sent_back(api: Caller) -> None:
    created = api.experiment()

    assert (
        ok(api.put(path_of(created), {"metrics": created["metrics"]}))["metrics"]
        == (created["metrics"])
    )


def test_parameters_that_are_read_can_be_sent_back(api: Caller) -> None:
    created = ok(
        api.post(
            "/v1/experiments",
            single_body(
                conditionals=[LAYERS], parameters=[X, C, N, {**Y, "conditions": {"layers": "two"}}]
            ),
        )
    )

    changed = ok(api.put(path_of(created), {"parameters": created["parameters"]}))

    assert changed["parameters"] == created["parameters"]


def test_parameters_come_and_go_and_change(api: Caller) -> None:
    path = path_of(api.experiment())
    wanted = [
        {"name": "lr", "bounds": {"min": 0.01, "max": 10}},
        {"name": "act", "categorical_values": ["relu", "gelu"]},
        {**X, "default_value": 0.5},
    ]

    changed = ok(api.put(path, {"parameters": wanted}))

    shown = {each["name"]: each for each in changed["parameters"]}
    assert set(shown) == {"act", "lr", "x"}
    assert shown["lr"]["bounds"]["max"] == 10
    assert shown["lr"]["transformation"] == "log"
    assert [(v["name"], v["enum_index"]) for v in shown["act"]["categorical_values"]] == [
        ("relu", 1),
        ("gelu", 3),
    ]
    suggested = ok(api.post(f"{path}/suggestions"))
    assert set(suggested["assignments"]) == {"act", "lr", "x"}


def test_the_budget_of_two_metrics_cannot_change(api: Caller) -> None:
    path = path_of(api.experiment())

    assert "observation_budget" in refusal(api.put(path, {"observation_budget": 99}))


# Deletion (contract 9.10)


def test_a_deleted_experiment_stays_readable_and_takes_no_work(api: Caller) -> None:
    path = path_of(api.single())

    assert ok(api.delete(path, include_runs=True)) == {}
    assert ok(api.delete(path)) == {}

    assert ok(api.get(path))["state"] == "deleted"
    assert ok(api.get("/v1/experiments"))["count"] == 0
    assert ok(api.get("/v1/experiments", state="deleted"))["count"] == 1
    refusal(api.post(f"{path}/suggestions"))
    refusal(api.post(f"{path}/suggestions", {"assignments": {"x": 0.5}}))
    refusal(api.post(f"{path}/observations", {"assignments": {"x": 0.5}, "value": 1}))
    batch = {"observations": [{"assignments": {"x": 0.5}, "value": 1}]}
    refusal(api.post(f"{path}/observations/batch", batch))


def test_a_deleted_experiment_comes_back(api: Caller) -> None:
    path = path_of(api.single())
    ok(api.delete(path))

    assert ok(api.put(path, {"state": "active"}))["state"] == "active"
    ok(api.post(f"{path}/suggestions"))


# Lists (contract 7.4)


def test_lists_filter_and_sort(api: Caller) -> None:
    first = api.single(name="Alpha_1")
    second = api.single(name="beta%")
    ok(api.put(path_of(first), {"metadata": {"touched": 1}}))
    from tests.api.test_paging import ids

    assert ids(api.get("/v1/experiments")) == [second["id"], first["id"]]
    assert ids(api.get("/v1/experiments", ascending=True)) == [first["id"], second["id"]]
    assert ids(api.get("/v1/experiments", search="ALPHA")) == [first["id"]]
    assert ids(api.get("/v1/experiments", search="%")) == [second["id"]]
    assert ids(api.get("/v1/experiments", search="_")) == [first["id"]]
    assert ids(api.get("/v1/experiments", user=3)) == []
    assert ids(api.get("/v1/experiments", development=True)) == []
    assert len(ids(api.get("/v1/experiments", development="false", include_ai="True"))) == 2
    assert len(ids(api.get("/v1/experiments", period_start=first["created"]))) == 2
    assert ids(api.get("/v1/experiments", period_end=first["created"])) == []


def test_recent_puts_the_last_change_first(api: Caller) -> None:
    import time

    from tests.api.test_paging import ids

    first = api.single()
    second = api.single()
    time.sleep(0.01)
    api.observe(path_of(first), assignments={"x": 0.5}, value=1)

    assert ids(api.get("/v1/experiments", sort="recent")) == [first["id"], second["id"]]

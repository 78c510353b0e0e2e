from __future__ import annotations

from typing import Any

import pytest

from tests.builders import PARAMETERS, make_spec
from tradeoff.errors import BadInput
from tradeoff.spec import changes
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.parameters import Parameter

X: dict[str, Any] = {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}
C: dict[str, Any] = {"name": "c", "type": "categorical", "categorical_values": ["a", "b", "d"]}
NEW: dict[str, Any] = {
    "name": "new",
    "type": "int",
    "bounds": {"min": 0, "max": 9},
    "default_value": 3,
}


def make(**fields: Any) -> ExperimentSpec:
    return ExperimentSpec.model_validate({"parameters": [X, C], **fields})


def parameter(spec: ExperimentSpec, name: str) -> Parameter:
    return next(each for each in spec.parameters if each.name == name)


def as_read(spec: ExperimentSpec) -> list[dict[str, Any]]:
    """Parameters as the API shows them: with nulls and objects."""
    return [{"object": "parameter", **p.model_dump(mode="json")} for p in spec.parameters]


def test_the_budget_of_a_single_metric_can_change() -> None:
    assert changes.change_budget(make(), 40).observation_budget == 40


@pytest.mark.parametrize(
    ("spec", "budget"),
    [
        (make(type="grid", parameters=[C]), 3),
        (make_spec(), 40),
        (make(num_solutions=2, observation_budget=5), 6),
        (make(), 0),
        (make(), -1),
    ],
)
def test_budgets_that_cannot_change(spec: ExperimentSpec, budget: int) -> None:
    with pytest.raises(BadInput, match="observation_budget"):
        changes.change_budget(spec, budget)


def test_the_bandwidth_can_change_and_go_within_its_limit() -> None:
    spec = changes.change_bandwidth(make(), 4)

    assert spec.parallel_bandwidth == 4
    assert changes.change_bandwidth(spec, None).parallel_bandwidth is None
    with pytest.raises(BadInput, match="parallel_bandwidth: must be at most 10000"):
        changes.change_bandwidth(spec, 10_001)


def test_thresholds_can_change() -> None:
    spec = changes.change_metrics(
        make_spec(),
        [
            {"name": "inference_ms", "threshold": 3},
            {"name": "accuracy", "objective": "maximize", "strategy": "optimize"},
        ],
    )

    assert [m.threshold for m in spec.metrics] == [None, 3.0]
    cleared = changes.change_metrics(
        spec, [{"name": "inference_ms", "threshold": None}, {"name": "accuracy"}]
    )
    assert [m.threshold for m in cleared.metrics] == [None, None]


def test_a_threshold_that_is_not_given_stays() -> None:
    spec = make_spec(metrics=["accuracy", {"name": "inference_ms", "threshold": 5}])

    same = changes.change_metrics(spec, [{"name": "accuracy"}, {"name": "inference_ms"}])

    assert same == spec


def test_the_name_of_a_single_metric_may_be_left_out() -> None:
    limit = {"name": "ms", "strategy": "constraint", "threshold": 1}
    spec = make(metrics=[limit], observation_budget=9)

    assert changes.change_metrics(spec, [{"threshold": 2}]).metrics[0].threshold == 2.0


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ([], "metrics: list all 2 metrics"),
        ([{"name": "accuracy"}], "metrics: list all 2 metrics"),
        ([{"name": "accuracy"}, {"name": "accuracy"}], "metrics[1].name: no further metric"),
        ([{"name": "accuracy"}, {"name": "ms"}], "metrics[1].name: no further metric 'ms'"),
        ([{"name": "accuracy"}, {}], "metrics[1].name: no further metric"),
        ([{"name": ["accuracy"]}, {"name": "inference_ms"}], "metrics[0].name: no further metric"),
        ([{"name": "accuracy", "objective": "minimize"}, {}], "metrics[0].objective: cannot"),
        ([{"name": "accuracy", "strategy": "store"}, {}], "metrics[0].strategy: cannot"),
        ([{"name": "accuracy", "threshold": "1"}, {}], "metrics[0].threshold: must be a number"),
        ([{"name": "accuracy", "thresold": 1}, {}], "metrics[0].'thresold': no such field"),
        ("metrics", "metrics: must be a list"),
        (5, "metrics: must be a list"),
        (["accuracy", "inference_ms"], "metrics[0]: must be an object"),
    ],
)
def test_metric_changes_that_are_refused(metrics: Any, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        changes.change_metrics(make_spec(), metrics)

    assert message in caught.value.message


def test_the_threshold_of_a_single_optimized_metric_is_refused() -> None:
    with pytest.raises(BadInput, match="threshold"):
        changes.change_metrics(make(), [{"threshold": 1}])


def test_the_threshold_of_a_constraint_cannot_go() -> None:
    spec = make(
        metrics=[{"name": "ms", "strategy": "constraint", "threshold": 1}], observation_budget=9
    )

    with pytest.raises(BadInput, match="threshold: required"):
        changes.change_metrics(spec, [{"name": "ms", "threshold": None}])


def test_parameters_as_read_change_nothing() -> None:
    spec = ExperimentSpec.model_validate(
        {
            "parameters": [
                *PARAMETERS,
                {"name": "levels", "type": "int", "grid": [1, 2, 4]},
                {**X, "prior": {"name": "beta", "shape_a": 2, "shape_b": 3}},
            ]
        }
    )

    same, retired = changes.change_parameters(spec, as_read(spec), {})

    assert same == spec
    assert retired["parameters"] == {}


def test_a_grid_as_read_with_its_ends_as_bounds_changes_nothing() -> None:
    spec = make(parameters=[{"name": "g", "type": "double", "grid": [1, 2, 4]}, X])
    read = as_read(spec)
    read[0]["bounds"] = {"object": "bounds", "min": 1, "max": 4}

    same, _ = changes.change_parameters(spec, read, {})

    assert same == spec


def test_unchanged_conditions_may_be_sent_along() -> None:
    spec = make(
        parameters=[X, {**C, "conditions": {"k": ["one", "two"]}}],
        conditionals=[{"name": "k", "values": ["one", "two"]}],
    )
    read = as_read(spec)
    read[0]["conditions"] = {"k": ["two", "one"]}

    assert changes.change_parameters(spec, read, {})[0] == spec

    read[0]["conditions"] = {"k": ["two"]}
    with pytest.raises(BadInput, match=r"parameters\[0\]\.conditions: cannot change"):
        changes.change_parameters(spec, read, {})


def test_bounds_defaults_and_priors_can_change_and_go() -> None:
    prior = {"name": "normal", "mean": 1.5, "scale": 1}
    spec, _ = changes.change_parameters(
        make(),
        [
            {
                "name": "x",
                "bounds": {"min": -1, "max": 2},
                "default_value": 1,
                "prior": prior,
            },
            C,
        ],
        {},
    )

    x = parameter(spec, "x")
    assert x.bounds is not None
    assert (x.bounds.min, x.bounds.max, x.default_value) == (-1.0, 2.0, 1.0)
    assert x.prior is not None
    cleared, _ = changes.change_parameters(
        spec, [{"name": "x", "default_value": None, "prior": None}, {"name": "c"}], {}
    )
    assert parameter(cleared, "x").prior is None
    assert parameter(cleared, "x").default_value is None


def test_a_new_parameter_comes_and_an_old_one_goes() -> None:
    spec, retired = changes.change_parameters(make(), [C, NEW], {})

    assert [p.name for p in spec.parameters] == ["c", "new"]
    assert list(retired["parameters"]) == ["x"]


def test_a_removed_parameter_can_come_back_with_a_default() -> None:
    spec, retired = changes.change_parameters(make(), [C, NEW], {})

    with pytest.raises(BadInput, match=r"parameters\[1\]\.default_value: required"):
        changes.change_parameters(spec, [C, X], retired)
    with pytest.raises(BadInput, match=r"parameters\[1\]\.type: cannot change, and was 'double'"):
        changes.change_parameters(spec, [C, {**NEW, "name": "x"}], retired)
    revived, retired = changes.change_parameters(spec, [C, {**X, "default_value": 0.5}], retired)
    assert [p.name for p in revived.parameters] == ["c", "x"]
    assert list(retired["parameters"]) == ["new"]


def indexes(spec: ExperimentSpec) -> dict[str, int]:
    return {v.name: v.enum_index for v in parameter(spec, "c").categorical_values or ()}


def test_categories_keep_their_numbers_for_ever() -> None:
    spec, retired = changes.change_parameters(
        make(), [X, {"name": "c", "categorical_values": ["d", "e"]}], {}
    )
    assert indexes(spec) == {"d": 3, "e": 4}

    spec, retired = changes.change_parameters(
        spec,
        [X, {"name": "c", "categorical_values": ["f", {"name": "a", "enum_index": 9}]}],
        retired,
    )
    assert indexes(spec) == {"a": 1, "f": 5}


def test_the_categories_of_a_removed_parameter_keep_their_numbers() -> None:
    spec, retired = changes.change_parameters(make(), [X], {})

    spec, _ = changes.change_parameters(
        spec,
        [X, {**C, "categorical_values": ["e", "d", "a"], "default_value": "d"}],
        retired,
    )

    assert indexes(spec) == {"a": 1, "d": 3, "e": 4}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ([], "parameters"),
        ([X, X, C], "parameters[1].name: two are named 'x'"),
        ([{"type": "double"}], "parameters[0].name: must be a string"),
        ([{"name": ["x"]}], "parameters[0].name: must be a string"),
        ([{"name": "x", "type": "int"}, C], "parameters[0].type: cannot change"),
        ([{"name": "x", "type": None}, C], "parameters[0].type: cannot change"),
        ([{"name": "x", "transformation": "log"}, C], "parameters[0].transformation: cannot"),
        ([{"name": "x", "bounds": {"max": 3}}, C], "parameters[0].bounds.min"),
        ([{"name": "x", "bounds": {"min": 3, "max": 1}}, C], "parameters[0].bounds"),
        ([{"name": "x", "grid": [1, 2]}, {"name": "c", "grid": [1, 2]}], "parameters[1]"),
        ([X, {"name": "c", "categorical_values": ["a"]}], "parameters[1]: categorical_values"),
        ([X, {"name": "c", "default_value": "z"}], "parameters[1]: default_value"),
        ([X, C, {**NEW, "default_value": None}], "parameters[2].default_value: required"),
        ([X, C, {**NEW, "default_value": 10}], "parameters[2]: default_value: must lie between"),
        ([X, C, {**NEW, "conditions": {"k": "v"}}], "conditions: no conditional 'k'"),
        ([X, C, {"name": "new"}], "parameters[2].type"),
        ({"x": X}, "parameters: must be a list"),
        ([X, "c"], "parameters[1]: must be an object, not 'c'"),
        ([None], "parameters[0]: must be an object"),
    ],
)
def test_parameter_changes_that_are_refused(parameters: Any, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        changes.change_parameters(make(), parameters, {})

    assert message in caught.value.message


def test_a_default_must_lie_inside_the_new_bounds() -> None:
    spec = make(parameters=[{**X, "default_value": 0.9}, C])

    with pytest.raises(BadInput, match="default_value: must lie between"):
        changes.change_parameters(spec, [{"name": "x", "bounds": {"min": 0, "max": 0.5}}, C], {})


@pytest.mark.parametrize(
    "spec",
    [
        make(type="grid", parameters=[C]),
        make(
            parameters=[X, {**X, "name": "y"}],
            linear_constraints=[
                {
                    "type": "less_than",
                    "threshold": 1,
                    "terms": [{"name": "x", "weight": 1}, {"name": "y", "weight": 1}],
                }
            ],
        ),
    ],
)
def test_parameters_of_some_experiments_cannot_change(spec: ExperimentSpec) -> None:
    with pytest.raises(BadInput, match="parameters: cannot change"):
        changes.change_parameters(spec, as_read(spec), {})


def test_a_space_that_a_conditional_could_empty_is_refused() -> None:
    spec = make(
        parameters=[
            {**X, "conditions": {"k": "one"}},
            {**C, "conditions": {"k": "two"}},
        ],
        conditionals=[{"name": "k", "values": ["one", "two"]}],
    )

    with pytest.raises(BadInput, match="leaves no parameter active"):
        changes.change_parameters(spec, [{"name": "x"}], {})

from __future__ import annotations

import time
from typing import Any

import pytest
from pydantic import ValidationError

from tests.builders import make_spec
from tradeoff.errors import BadInput
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import Metric, MetricEvaluation

X: dict[str, Any] = {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}
Y: dict[str, Any] = {"name": "y", "type": "double", "bounds": {"min": 0, "max": 1}}
N: dict[str, Any] = {"name": "n", "type": "int", "bounds": {"min": 0, "max": 9}}
C: dict[str, Any] = {"name": "c", "type": "categorical", "categorical_values": ["a", "b"]}
G: dict[str, Any] = {"name": "g", "type": "double", "grid": [1, 2, 3]}
LOSS: dict[str, Any] = {"name": "loss", "objective": "minimize"}
GAIN: dict[str, Any] = {"name": "gain"}
LIMIT: dict[str, Any] = {"name": "ms", "strategy": "constraint", "threshold": 5}
NOTE: dict[str, Any] = {"name": "note", "strategy": "store"}
K: dict[str, Any] = {"name": "k", "values": ["one", "two"]}


def make(**fields: Any) -> ExperimentSpec:
    return ExperimentSpec.model_validate({"parameters": [X], **fields})


def below(*names: str, **changes: Any) -> dict[str, Any]:
    terms = [{"name": name, "weight": 1} for name in names]
    return {"type": "less_than", "threshold": 1, "terms": terms, **changes}


def when(parameter: dict[str, Any], **conditions: Any) -> dict[str, Any]:
    return {**parameter, "conditions": conditions}


POSSIBLE: list[dict[str, Any]] = [
    {},
    {"type": None, "metrics": None, "conditionals": None, "linear_constraints": None},
    {"observation_budget": None, "parallel_bandwidth": None, "num_solutions": None},
    {"metrics": ["loss"]},
    {"metrics": [{}]},
    {"metrics": [GAIN, LOSS], "observation_budget": 10},
    {"metrics": [{**GAIN, "threshold": 1}, {**LOSS, "threshold": 2}], "observation_budget": 10},
    {"metrics": [GAIN, LOSS, "third", "fourth"], "observation_budget": 10},
    {"metrics": [LIMIT], "observation_budget": 10},
    {"metrics": [GAIN, NOTE]},
    {"observation_budget": 10.0, "parallel_bandwidth": 3.0},
    {"num_solutions": 1},
    {"num_solutions": 3, "observation_budget": 3},
    {"type": "random", "parameters": [{**X, "name": f"x{i}"} for i in range(101)]},
    {"type": "grid", "parameters": [G, C]},
    {"type": "grid", "parameters": [G, C], "observation_budget": 6},
    {"type": "grid", "parameters": [G], "metrics": [GAIN, LOSS]},
    {"parameters": [when(X, k="one"), when(Y, k=["two"])], "conditionals": [K]},
    {"parameters": [X, when(Y, k="one")], "conditionals": [K]},
    {"parameters": [X, Y], "linear_constraints": [below("x", "y")]},
    {
        "parameters": [N, {**N, "name": "m"}],
        "linear_constraints": [below("n", "m", type="greater_than")],
    },
]


@pytest.mark.parametrize("fields", POSSIBLE)
def test_these_experiments_are_possible_and_survive_json(fields: dict[str, Any]) -> None:
    spec = make(**fields)

    assert ExperimentSpec.model_validate_json(spec.model_dump_json()) == spec
    assert ExperimentSpec.model_validate(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"unknown": 1}, "unknown"),
        ({"budget": 10}, "budget"),
        ({"type": "bayesian"}, "type"),
        ({"type": []}, "type"),
        ({"parameters": None}, "parameters"),
        ({"parameters": []}, "parameters"),
        ({"parameters": [X, X]}, "parameters: Value error, two are named 'x'"),
        ({"parameters": [X, {**N, "name": " x "}]}, "two are named 'x'"),
        ({"parameters": [{**X, "name": f"x{i}"} for i in range(101)]}, "at most 100"),
        (
            {
                "parameters": [
                    {**C, "name": f"c{i}", "categorical_values": [str(v) for v in range(900)]}
                    for i in range(6)
                ]
            },
            "at most 5000 categorical values",
        ),
        ({"metrics": []}, "metrics"),
        ({"metrics": "loss"}, "metrics"),
        ({"metrics": [GAIN, {}]}, "metrics: Value error, each needs a name"),
        ({"metrics": [GAIN, GAIN], "observation_budget": 9}, "two are named 'gain'"),
        ({"metrics": [NOTE]}, "'optimize' or 'constraint'"),
        ({"metrics": [{**GAIN, "threshold": 1}]}, "threshold"),
        ({"metrics": [{**GAIN, "threshold": 1}, LIMIT], "observation_budget": 9}, "threshold"),
        ({"metrics": [f"m{i}" for i in range(9)], "observation_budget": 9}, "at most 8"),
        ({"metrics": [GAIN, *({**NOTE, "name": f"n{i}"} for i in range(50))]}, "at most 50"),
        ({"metrics": [GAIN, LOSS]}, "observation_budget: required"),
        ({"metrics": [GAIN, LIMIT]}, "observation_budget: required"),
        ({"num_solutions": 2}, "observation_budget: required"),
        ({"observation_budget": 0}, "observation_budget"),
        ({"observation_budget": -1}, "observation_budget"),
        ({"observation_budget": 1.5}, "observation_budget"),
        ({"observation_budget": True}, "observation_budget"),
        ({"observation_budget": "10"}, "observation_budget"),
        ({"observation_budget": 2**53}, "observation_budget"),
        ({"parallel_bandwidth": 0}, "parallel_bandwidth"),
        ({"parallel_bandwidth": 10_001}, "parallel_bandwidth"),
        ({"num_solutions": 0}, "num_solutions"),
        ({"num_solutions": 4, "observation_budget": 3}, "at least num_solutions"),
        (
            {"num_solutions": 2, "observation_budget": 9, "metrics": [GAIN, LOSS]},
            "num_solutions: above 1 exactly one",
        ),
        (
            {"num_solutions": 2, "observation_budget": 9, "conditionals": [K]},
            "num_solutions: above 1 no conditionals",
        ),
        ({"type": "grid"}, "parameters.x.grid: required"),
        ({"type": "grid", "parameters": [G], "observation_budget": 4}, "the grid has 3 points"),
        ({"type": "grid", "parameters": [G], "conditionals": [K]}, "conditionals: a grid"),
        (
            {
                "type": "grid",
                "parameters": [
                    {"name": f"g{i}", "type": "int", "grid": list(range(100))} for i in range(8)
                ],
            },
            "the grid has more than 2^53 points",
        ),
        ({"conditionals": [K, K]}, "conditionals"),
        ({"conditionals": [{**K, "name": "x"}]}, "conditionals: two are named 'x'"),
        ({"conditionals": [{**K, "name": f"k{i}"} for i in range(21)]}, "at most 20"),
        ({"parameters": [when(X, q="one")]}, "parameters.x.conditions: no conditional 'q'"),
        (
            {"parameters": [when(X, k="three")], "conditionals": [K]},
            "parameters.x.conditions.k: no value 'three'",
        ),
        ({"parameters": [when(X, k="one")], "conditionals": [K]}, "leaves no parameter active"),
        (
            {
                "parameters": [when(X, k="one", l="p"), when(Y, k="two")],
                "conditionals": [K, {"name": "l", "values": ["p", "q"]}],
            },
            "leaves no parameter active",
        ),
        ({"linear_constraints": [below("x", "y")]}, "linear_constraints[0]: no parameter 'y'"),
        ({"parameters": [X, C], "linear_constraints": [below("x", "c")]}, "c is categorical"),
        ({"parameters": [X, N], "linear_constraints": [below("x", "n")]}, "must not mix"),
        ({"parameters": [X, G], "linear_constraints": [below("x", "g")]}, "g must be uncond"),
        (
            {
                "parameters": [X, {**Y, "bounds": {"min": 1, "max": 2}, "transformation": "log"}],
                "linear_constraints": [below("x", "y")],
            },
            "y must be unconditional, without log",
        ),
        (
            {
                "parameters": [X, when(Y, k="one")],
                "conditionals": [K],
                "linear_constraints": [below("x", "y")],
            },
            "y must be unconditional",
        ),
        ({"parameters": [X, Y], "linear_constraints": [below("x", "y")] * 11}, "at most 10"),
        (
            {
                "parameters": [{**N, "name": f"n{i}"} for i in range(11)],
                "linear_constraints": [below(*(f"n{i}" for i in range(11)))],
            },
            "at most 10 int",
        ),
        (
            {"type": "grid", "parameters": [G], "linear_constraints": [below("x", "y")]},
            "linear_constraints",
        ),
    ],
)
def test_these_experiments_are_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make(**fields)

    described = "; ".join(
        ".".join(map(str, error["loc"])) + ": " + error["msg"] for error in caught.value.errors()
    )
    assert reason in described


def test_conditions_over_very_many_combinations_are_checked_fast() -> None:
    """2^20 combinations; a body of a few kilobytes must not keep a process busy."""
    conditionals = [{"name": f"k{i}", "values": ["p", "q"]} for i in range(20)]
    parameters = [
        when({**X, "name": f"x{i}{value}"}, **{f"k{i}": value})
        for i in range(20)
        for value in ("p", "q")
    ]
    started = time.thread_time()

    with pytest.raises(ValidationError, match="too many combinations"):
        make(parameters=parameters, conditionals=conditionals)

    assert time.thread_time() - started < 2


def test_many_conditionals_that_leave_a_parameter_are_possible() -> None:
    conditionals = [{"name": f"k{i}", "values": ["p", "q"]} for i in range(20)]

    spec = make(
        parameters=[when(X, k0="p"), when(Y, k0="q"), when(N, k1="p")], conditionals=conditionals
    )

    assert len(spec.conditionals) == 20


def test_parameters_and_metrics_are_sorted_by_name() -> None:
    spec = make_spec(metrics=[LOSS, NOTE, LIMIT, GAIN])

    assert [p.name for p in spec.parameters] == ["activation", "filters", "learning_rate"]
    assert [m.name for m in spec.metrics] == ["gain", "loss", "ms", "note"]
    assert [m.name for m in spec.optimized_metrics] == ["gain", "loss"]
    assert [m.name for m in spec.constraint_metrics] == ["ms"]
    assert [m.name for m in spec.stored_metrics] == ["note"]


def test_without_metrics_there_is_one_unnamed_one() -> None:
    assert make().metrics == (Metric(),)


def test_grid_size_is_the_product() -> None:
    assert make(type="grid", parameters=[G, C]).grid_size == 6


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        make().observation_budget = 3  # type: ignore[misc]


CONDITIONED = make(
    parameters=[when(X, k="one"), when(Y, k=["two", "one"]), when(C, k="two"), N],
    conditionals=[K],
)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"k": "one", "x": 0.5, "y": 1, "n": 2}, {"k": "one", "n": 2, "x": 0.5, "y": 1.0}),
        ({"k": "two", "y": 7.5, "c": "b", "n": -4.0}, {"k": "two", "c": "b", "n": -4, "y": 7.5}),
    ],
)
def test_assignments_are_taken_with_their_types(
    given: dict[str, Any], kept: dict[str, Any]
) -> None:
    checked = CONDITIONED.check_assignments(given)

    assert checked == kept
    assert {name: type(v) for name, v in checked.items()} == {
        name: type(v) for name, v in kept.items()
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "assignments.k: missing"),
        ({"k": None}, "assignments.k: missing"),
        ({"k": "three"}, "assignments.k: must be one of one, two, not 'three'"),
        ({"k": ["one"]}, "assignments.k: must be a string"),
        ({"k": "one", "y": 1, "n": 2}, "assignments.x: missing"),
        ({"k": "one", "x": None, "y": 1, "n": 2}, "assignments.x: missing"),
        ({"k": "one", "x": "1", "y": 1, "n": 2}, "assignments.x: must be a number"),
        ({"k": "one", "x": True, "y": 1, "n": 2}, "assignments.x: must be a number"),
        ({"k": "one", "x": 1, "y": 1, "n": 2.5}, "assignments.n: must be an integer"),
        ({"k": "one", "x": 1, "y": 1, "n": 2, "c": "a"}, "assignments.'c': is switched off"),
        ({"k": "two", "y": 1, "n": 2, "c": "z"}, "assignments.c: must be one of a, b"),
        ({"k": "two", "y": 1, "n": 2, "c": "a", "zz": 1}, "assignments.'zz': no such parameter"),
    ],
)
def test_assignments_that_do_not_fit_are_refused_by_name(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        CONDITIONED.check_assignments(given)

    assert message in caught.value.message


def test_assignments_may_lie_out_of_bounds_but_not_break_a_constraint() -> None:
    spec = make(parameters=[X, Y], linear_constraints=[below("x", "y")])

    assert spec.check_assignments({"x": -7, "y": 3}) == {"x": -7.0, "y": 3.0}
    with pytest.raises(BadInput, match=r"1 \* x \+ 1 \* y <= 1"):
        spec.check_assignments({"x": 0.6, "y": 0.6})


def test_messages_carry_the_callers_path() -> None:
    with pytest.raises(BadInput, match=r"^observations\[3\]\.assignments\.x: missing"):
        make().check_assignments({}, path="observations[3].assignments")


TWO = make_spec(metrics=[GAIN, NOTE])


def test_values_are_sorted_by_metric() -> None:
    values = [MetricEvaluation(name="note", value=1), MetricEvaluation(name="gain", value=2)]

    assert list(TWO.check_values(values)) == ["gain", "note"]


def test_one_metric_may_go_unnamed_in_values() -> None:
    assert list(make().check_values([MetricEvaluation(value=1)])) == [""]
    assert list(make(metrics=["loss"]).check_values([MetricEvaluation(value=1)])) == ["loss"]


@pytest.mark.parametrize(
    ("spec", "names", "message"),
    [
        (TWO, ["gain"], "values: the metric 'note' is missing"),
        (TWO, [], "values: the metric 'gain' is missing"),
        (TWO, ["gain", "note", "gain"], "values[2].name: the metric 'gain' is given twice"),
        (TWO, ["gain", "notes"], "values[1].name: no metric 'notes'; there are gain, note"),
        (TWO, [None, "note"], "values[0].name: no metric"),
        (make(), ["loss"], "values[0].name: no metric 'loss'; there are (unnamed)"),
        (make(), [None, None], "values[1].name: the metric '' is given twice"),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(
    spec: ExperimentSpec, names: list[str | None], message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        spec.check_values([MetricEvaluation(name=name, value=1) for name in names])

    assert message in caught.value.message

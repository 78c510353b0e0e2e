"""Whatever JSON comes, the answer is a spec or the one error that says why not."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tradeoff.errors import BadInput
from tradeoff.spec import changes
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import MetricEvaluation

WORDS = st.sampled_from(
    [
        *("x", "y", "k", "one", "double", "int", "categorical", "log", "none", "normal", "beta"),
        *("grid", "maximize", "constraint", "store", "less_than"),
        *("", " ", "a" * 101, "\x00", "\ud800", "ü"),
    ]
)
NUMBERS = st.one_of(
    st.integers(-3, 12),
    st.floats(),
    st.sampled_from([10**150, 10**400, -(10**400), 2**53, 1e150, 1e151, -0.0, 5e-324]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS)
KEYS = [
    *("name", "type", "bounds", "min", "max", "categorical_values", "enum_index", "grid", "prior"),
    *("default_value", "transformation", "conditions", "mean", "scale", "shape_a", "shape_b"),
    *("conditionals", "values", "linear_constraints", "terms", "weight", "threshold", "metrics"),
    *("objective", "strategy", "observation_budget", "parallel_bandwidth", "num_solutions"),
    *("parameters", "object", "x", "k"),
]
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=8,
)


def maybe(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what fits, else anything."""
    return st.one_of(good, good, good, good, good, JSON)


def record(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    optional = {name: maybe(strategy) for name, strategy in fields.items()}
    return st.fixed_dictionaries({}, optional=optional)


NAMES = st.sampled_from(["x", "y", "z", "k"])
NUMBER = st.one_of(st.integers(-5, 20), st.floats(-5, 20))
BOUNDS = st.tuples(NUMBER, NUMBER).map(lambda pair: {"min": min(pair), "max": max(pair)})
CATEGORIES = st.lists(st.sampled_from(["one", "two", "three"]), min_size=2, unique=True)
CONDITIONS: st.SearchStrategy[Any] = st.just({}) | st.fixed_dictionaries(
    {"k": CATEGORIES | st.just("one")}
)
PARAMETERS = st.one_of(
    st.fixed_dictionaries(
        {"name": NAMES, "type": st.just("double"), "bounds": BOUNDS},
        optional={
            "prior": record(name=st.sampled_from(["normal", "beta"]), mean=NUMBER, scale=NUMBER),
            "transformation": maybe(st.sampled_from(["log", None])),
            "conditions": maybe(CONDITIONS),
            "default_value": maybe(NUMBER),
        },
    ),
    st.fixed_dictionaries(
        {
            "name": NAMES,
            "type": st.sampled_from(["double", "int"]),
            "grid": st.lists(st.integers(-3, 9), min_size=2, max_size=4, unique=True),
        }
    ),
    st.fixed_dictionaries(
        {"name": NAMES, "type": st.just("categorical"), "categorical_values": CATEGORIES},
        optional={"default_value": maybe(st.just("one"))},
    ),
    record(
        name=NAMES,
        type=st.sampled_from(["double", "int", "categorical"]),
        bounds=BOUNDS,
        categorical_values=CATEGORIES,
        grid=st.lists(NUMBER, min_size=2, max_size=4),
        conditions=CONDITIONS,
    ),
)
METRICS = record(
    name=st.sampled_from(["loss", "gain"]),
    objective=st.sampled_from(["maximize", "minimize"]),
    strategy=st.sampled_from(["optimize", "store", "constraint"]),
    threshold=NUMBER,
)
TERMS = st.lists(record(name=NAMES, weight=NUMBER), min_size=2, max_size=3)
SPECS = st.fixed_dictionaries(
    {"parameters": maybe(st.lists(maybe(PARAMETERS), min_size=1, max_size=3))},
    optional={
        "type": maybe(st.sampled_from(["offline", "random", "grid"])),
        "metrics": maybe(st.lists(maybe(METRICS), min_size=1, max_size=2)),
        "conditionals": maybe(
            st.lists(maybe(record(name=st.just("k"), values=CATEGORIES)), max_size=2)
        ),
        "linear_constraints": maybe(
            st.lists(record(type=st.just("less_than"), threshold=NUMBER, terms=TERMS), max_size=1)
        ),
        "observation_budget": maybe(st.integers(1, 50)),
        "parallel_bandwidth": maybe(st.integers(1, 5)),
        "num_solutions": maybe(st.integers(1, 3)),
    },
)


@settings(max_examples=400, deadline=None)
@given(SPECS)
def test_any_json_is_a_spec_or_a_validation_error(fields: Any) -> None:
    try:
        spec = ExperimentSpec.model_validate(fields)
    except ValidationError:
        return
    assert ExperimentSpec.model_validate_json(spec.model_dump_json()) == spec


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_json_at_all_is_answered(fields: Any) -> None:
    with contextlib.suppress(ValidationError):
        ExperimentSpec.model_validate(fields)


SPEC = ExperimentSpec.model_validate(
    {
        "parameters": [
            {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}},
            {
                "name": "y",
                "type": "double",
                "bounds": {"min": 1, "max": 2},
                "transformation": "log",
                "conditions": {"k": "one"},
            },
            {"name": "z", "type": "int", "bounds": {"min": 0, "max": 9}},
            {"name": "g", "type": "int", "grid": [1, 2, 3]},
            {"name": "c", "type": "categorical", "categorical_values": ["one", "two"]},
            {"name": "w", "type": "double", "bounds": {"min": 0, "max": 1}},
        ],
        "conditionals": [{"name": "k", "values": ["one", "two"]}],
        "linear_constraints": [
            {
                "type": "less_than",
                "threshold": 1,
                "terms": [{"name": "x", "weight": 1}, {"name": "w", "weight": -1}],
            }
        ],
        "metrics": [{"name": "loss"}, {"name": "gain"}],
        "observation_budget": 9,
    }
)
ASSIGNMENTS = st.fixed_dictionaries(
    {},
    optional={
        "x": maybe(NUMBER),
        "y": maybe(NUMBER),
        "z": maybe(st.integers(-3, 9)),
        "g": maybe(st.integers(1, 3)),
        "c": maybe(st.sampled_from(["one", "two"])),
        "w": maybe(NUMBER),
        "k": maybe(st.sampled_from(["one", "two"])),
        "\ud800": JSON,
    },
)


@settings(max_examples=300, deadline=None)
@given(ASSIGNMENTS)
def test_any_assignments_are_taken_or_bad_input(assignments: Any) -> None:
    try:
        checked = SPEC.check_assignments(assignments)
    except BadInput:
        return
    assert SPEC.check_assignments(json.loads(json.dumps(checked))) == checked


@settings(max_examples=150, deadline=None)
@given(st.lists(record(name=st.sampled_from(["loss", "gain"]), value=NUMBER), max_size=3))
def test_any_values_are_taken_or_refused(values: Any) -> None:
    try:
        evaluations = [MetricEvaluation.model_validate(value) for value in values]
    except ValidationError:
        return
    with contextlib.suppress(BadInput):
        assert set(SPEC.check_values(evaluations)) == {"loss", "gain"}


PLAIN = ExperimentSpec.model_validate(
    {
        "parameters": [
            {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}},
            {"name": "c", "type": "categorical", "categorical_values": ["one", "two"]},
        ],
        "metrics": [{"name": "loss"}, {"name": "gain"}],
        "observation_budget": 9,
    }
)


@settings(max_examples=200, deadline=None)
@given(maybe(st.lists(maybe(PARAMETERS), max_size=3)), maybe(st.lists(maybe(METRICS), max_size=2)))
def test_any_change_is_made_or_bad_input(parameters: Any, metrics: Any) -> None:
    with contextlib.suppress(BadInput):
        changes.change_metrics(PLAIN, metrics)
    with contextlib.suppress(BadInput):
        spec, retired = changes.change_parameters(PLAIN, parameters, {})
        assert json.loads(json.dumps(retired)) == retired
        assert ExperimentSpec.model_validate_json(spec.model_dump_json()) == spec

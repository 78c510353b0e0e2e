from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tradeoff.spec.parameters import Conditional, Parameter

DOUBLE: dict[str, Any] = {"name": "x", "type": "double", "bounds": {"min": 0.5, "max": 2}}
INT: dict[str, Any] = {"name": "n", "type": "int", "bounds": {"min": 1, "max": 9}}
CATEGORICAL: dict[str, Any] = {
    "name": "c",
    "type": "categorical",
    "categorical_values": ["a", "b"],
}
GRID: dict[str, Any] = {"name": "g", "type": "double", "grid": [3, 1, 2.5]}


def make(base: dict[str, Any], **changes: Any) -> Parameter:
    return Parameter.model_validate({**base, **changes})


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        (DOUBLE, {}),
        (DOUBLE, {"object": "parameter", "whatever": [1]}),
        (DOUBLE, {"categorical_values": None, "grid": None, "prior": None, "conditions": None}),
        (DOUBLE, {"transformation": "log", "default_value": 1}),
        (DOUBLE, {"transformation": "none"}),
        (DOUBLE, {"prior": {"name": "normal", "mean": 0.5, "scale": 3}}),
        (DOUBLE, {"prior": {"name": "beta", "shape_a": 0.1, "shape_b": 5}}),
        (DOUBLE, {"default_value": 0.5}),
        (GRID, {"object": "parameter", "bounds": {"object": "bounds", "min": 1, "max": 3}}),
        (INT, {"bounds": {"min": -3.0, "max": 7.0}}),
        (INT, {"default_value": 9.0}),
        (INT, {"bounds": None, "grid": [1, 10, 100]}),
        (GRID, {"transformation": "log"}),
        (GRID, {"default_value": 2.5}),
        (CATEGORICAL, {"object": "parameter", "grid": ["a", "b"]}),
        (CATEGORICAL, {"default_value": "b"}),
        (CATEGORICAL, {"conditions": {"k": "v"}}),
        (CATEGORICAL, {"conditions": {"k": ["v", "w"]}}),
    ],
)
def test_these_parameters_are_possible(base: dict[str, Any], changes: dict[str, Any]) -> None:
    parameter = make(base, **changes)

    assert Parameter.model_validate_json(parameter.model_dump_json()) == parameter


@pytest.mark.parametrize(
    ("base", "changes", "reason"),
    [
        (DOUBLE, {"name": None}, "name"),
        (DOUBLE, {"name": " "}, "name"),
        (DOUBLE, {"type": "float"}, "type"),
        (DOUBLE, {"type": None}, "type"),
        (DOUBLE, {"bounds": None}, "bounds"),
        (DOUBLE, {"bounds": {"min": 0}}, "bounds.max"),
        (DOUBLE, {"bounds": [0, 1]}, "bounds"),
        (DOUBLE, {"bounds": {"min": "0", "max": 1}}, "bounds.min"),
        (DOUBLE, {"bounds": {"min": False, "max": 1}}, "bounds.min"),
        (DOUBLE, {"bounds": {"min": 1, "max": 1}}, "min must be below max"),
        (DOUBLE, {"bounds": {"min": 2, "max": 1}}, "min must be below max"),
        (DOUBLE, {"bounds": {"min": 1, "max": 1 + 5e-9}}, "max - min must be at least"),
        (DOUBLE, {"bounds": {"min": 1e9, "max": 1e9 + 1e-4}}, "max - min must be at least"),
        (DOUBLE, {"categorical_values": ["a", "b"]}, "categorical_values"),
        (DOUBLE, {"transformation": "ln"}, "transformation"),
        (
            DOUBLE,
            {"transformation": "log", "bounds": {"min": 0, "max": 1}},
            "bounds: must be above 0",
        ),
        (DOUBLE, {"grid": [1, 2]}, "bounds"),
        (DOUBLE, {"grid": [0, 1]}, "bounds"),
        (DOUBLE, {"grid": []}, "bounds"),
        (GRID, {"grid": []}, "grid"),
        (GRID, {"bounds": {"min": 1, "max": 3}}, "bounds"),
        (DOUBLE, {"default_value": 2.01}, "default_value"),
        (DOUBLE, {"default_value": "1"}, "default_value"),
        (DOUBLE, {"default_value": True}, "default_value"),
        (DOUBLE, {"default_value": [1]}, "default_value"),
        (DOUBLE, {"prior": {"name": "normal", "mean": 3, "scale": 1}}, "prior"),
        (DOUBLE, {"prior": {"name": "normal", "mean": 1, "scale": 0}}, "scale"),
        (DOUBLE, {"prior": {"name": "beta", "shape_a": 1, "shape_b": -1}}, "shape_b"),
        (DOUBLE, {"prior": {"name": "gamma"}}, "prior"),
        (DOUBLE, {"prior": {"name": ["normal"]}}, "prior"),
        (
            DOUBLE,
            {"transformation": "log", "prior": {"name": "beta", "shape_a": 1, "shape_b": 1}},
            "prior",
        ),
        (INT, {"prior": {"name": "beta", "shape_a": 1, "shape_b": 1}}, "prior"),
        (INT, {"transformation": "log"}, "transformation"),
        (INT, {"bounds": {"min": 0.5, "max": 3}}, "integers"),
        (INT, {"bounds": {"min": 0, "max": 2**53}}, "bounds"),
        (INT, {"default_value": 2.5}, "default_value"),
        (INT, {"default_value": True}, "default_value"),
        (INT, {"bounds": None, "grid": [1, 2.5]}, "grid"),
        (INT, {"bounds": None, "grid": [1, 1e100]}, "grid"),
        (GRID, {"grid": [1]}, "grid"),
        (GRID, {"grid": [1, 1.0]}, "grid"),
        (GRID, {"grid": [1, True]}, "grid"),
        (GRID, {"grid": [1, None]}, "grid"),
        (GRID, {"grid": "12"}, "grid"),
        (GRID, {"grid": list(range(10_001))}, "at most 10000"),
        (GRID, {"grid": [0, 1], "transformation": "log"}, "grid: must be above 0"),
        (GRID, {"default_value": 2}, "default_value"),
        (GRID, {"prior": {"name": "beta", "shape_a": 1, "shape_b": 1}}, "prior"),
        (GRID, {"bounds": {"min": 0, "max": 3}}, "bounds"),
        (CATEGORICAL, {"categorical_values": None}, "categorical_values"),
        (CATEGORICAL, {"categorical_values": ["a"]}, "at least two"),
        (CATEGORICAL, {"categorical_values": ["a", "a"]}, "twice"),
        (CATEGORICAL, {"categorical_values": ["a", " a "]}, "twice"),
        (CATEGORICAL, {"categorical_values": ["a", 2]}, "categorical_values"),
        (CATEGORICAL, {"categorical_values": ["a", ""]}, "categorical_values"),
        (CATEGORICAL, {"categorical_values": ["a", "b" * 51]}, "at most 50"),
        (CATEGORICAL, {"categorical_values": [str(i) for i in range(1001)]}, "at most 1000"),
        (CATEGORICAL, {"bounds": {"min": 0, "max": 1}}, "bounds"),
        (CATEGORICAL, {"grid": [1, 2]}, "grid"),
        (CATEGORICAL, {"grid": ["a", "b"]}, "grid"),
        (CATEGORICAL, {"transformation": "log"}, "transformation"),
        (CATEGORICAL, {"prior": {"name": "beta", "shape_a": 1, "shape_b": 1}}, "prior"),
        (CATEGORICAL, {"default_value": "z"}, "default_value"),
        (CATEGORICAL, {"default_value": 1}, "default_value"),
        (CATEGORICAL, {"conditions": {"k": []}}, "at least one"),
        (CATEGORICAL, {"conditions": ["k"]}, "conditions"),
        (CATEGORICAL, {"conditions": {"k": [1]}}, "conditions"),
        (CATEGORICAL, {"conditions": {"k": 1}}, "conditions"),
    ],
)
def test_these_parameters_are_refused(
    base: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        make(base, **changes)

    described = "; ".join(
        ".".join(map(str, error["loc"])) + ": " + error["msg"] for error in caught.value.errors()
    )
    assert reason in described


def test_categories_are_numbered_in_the_order_given() -> None:
    parameter = make(CATEGORICAL, categorical_values=["z", {"name": "a"}])

    assert parameter.categorical_values is not None
    assert [(v.name, v.enum_index) for v in parameter.categorical_values] == [("z", 1), ("a", 2)]


def test_a_grid_is_sorted_and_lists_its_levels_in_the_parameters_type() -> None:
    assert make(GRID).levels == (1.0, 2.5, 3.0)
    levels = make(INT, bounds=None, grid=[10, 1.0]).levels
    assert levels == (1, 10)
    assert all(isinstance(level, int) for level in (levels if levels is not None else ()))


def test_levels_of_the_other_kinds() -> None:
    assert make(CATEGORICAL).levels == ("a", "b")
    assert make(INT).levels == tuple(range(1, 10))
    assert make(INT, bounds={"min": 0, "max": 10**6}).levels is None
    assert make(DOUBLE).levels is None


@pytest.mark.parametrize(
    ("base", "given", "kept"),
    [(INT, 3.0, 3), (DOUBLE, 1, 1.0), (CATEGORICAL, "a", "a"), (GRID, 1, 1.0)],
)
def test_a_default_value_has_the_parameters_type(
    base: dict[str, Any], given: Any, kept: Any
) -> None:
    default = make(base, default_value=given).default_value

    assert default == kept
    assert type(default) is type(kept)


@pytest.mark.parametrize(
    ("parameter", "given", "kept"),
    [
        (make(DOUBLE), 99, 99.0),  # bounds are not checked
        (make(DOUBLE), -1e150, -1e150),
        (make(INT), 3.0, 3),
        (make(INT), -5, -5),
        (make(GRID), 3, 3.0),
        (make(CATEGORICAL), "b", "b"),
    ],
)
def test_values_are_taken_as_the_type_has_them(parameter: Parameter, given: Any, kept: Any) -> None:
    checked = parameter.check_value(given)

    assert checked == kept
    assert type(checked) is type(kept)


@pytest.mark.parametrize(
    ("parameter", "given"),
    [
        (make(DOUBLE), "1"),
        (make(DOUBLE), True),
        (make(DOUBLE), None),
        (make(DOUBLE, transformation="log"), 0),
        (make(DOUBLE, transformation="log"), -1.0),
        (make(INT), 3.5),
        (make(INT), 2**60),
        (make(INT), {}),
        (make(GRID), 1.5),
        (make(GRID), [1]),
        (make(CATEGORICAL), "z"),
        (make(CATEGORICAL), 1),
        (make(CATEGORICAL), ["a"]),
    ],
)
def test_values_that_do_not_fit_are_refused(parameter: Parameter, given: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        parameter.check_value(given)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": ""}, "empty"),
        ({"values": ["a"]}, "at least two"),
        ({"values": ["a", "a"]}, "twice"),
        ({"values": ["a", 1]}, "string"),
        ({"values": ["a", "b" * 51]}, "at most 50"),
        ({"values": "ab"}, "values"),
        ({"values": [str(i) for i in range(1_001)]}, "at most 1000"),
        ({"more": 1}, "Extra inputs"),
    ],
)
def test_conditionals_that_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Conditional.model_validate({"name": "k", "values": ["a", "b"], **changes})

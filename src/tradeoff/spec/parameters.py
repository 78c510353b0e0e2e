"""Parameters: what may be varied, and within what.

A parameter is one object with optional parts, as it is on SigOpt's wire; the validators below
refuse the combinations that mean nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from tradeoff.spec.values import (
    MAX_INTEGER,
    Frozen,
    Integer,
    Name,
    Number,
    Open,
    Value,
    check_integer,
    check_name,
    check_number,
    check_text,
    shown,
)

MAX_CATEGORY_LENGTH = 50
MAX_CATEGORIES = 1_000
MAX_GRID = 10_000
MIN_RANGE = 1e-8


def check_category(value: Any) -> str:
    """The name of a category or of a conditional's value.

    Raises:
        ValueError: when it is empty, over 50 characters, or no text.
    """
    name = check_name(value)
    if len(name) > MAX_CATEGORY_LENGTH:
        raise ValueError(f"must have at most {MAX_CATEGORY_LENGTH} characters, not {len(name)}")
    return name


Category = Annotated[str, BeforeValidator(check_category)]


class Bounds(Open):
    """The closed range of a numeric parameter, in its own units."""

    min: Number
    """The smallest value that is suggested."""
    max: Number
    """The largest value that is suggested."""

    @model_validator(mode="after")
    def _check_order(self) -> Bounds:
        if self.min >= self.max:
            raise ValueError(f"min must be below max, not {self.min:g} and {self.max:g}")
        scale = max(abs(self.min), abs(self.max))
        # Below this the unit cube cannot tell the two ends apart in double precision.
        if self.max - self.min < max(MIN_RANGE, 1e-12 * scale):
            raise ValueError(
                f"max - min must be at least {max(MIN_RANGE, 1e-12 * scale):g}, "
                f"not {self.max - self.min:g}"
            )
        return self


class CategoricalValue(Open):
    """One of the values of a categorical parameter."""

    name: Category
    """The value itself, 1 to 50 characters."""
    enum_index: Integer = 0
    """1-based, in the order given at creation; never reused."""


class NormalPrior(Open):
    """Belief that good values lie around `mean`."""

    name: Literal["normal"]
    """Which kind of prior."""
    mean: Number
    """The most likely value, inside the bounds."""
    scale: Annotated[Number, Field(gt=0)]
    """The standard deviation, above 0."""


class BetaPrior(Open):
    """Belief about the position of good values between the bounds."""

    name: Literal["beta"]
    """Which kind of prior."""
    shape_a: Annotated[Number, Field(gt=0)]
    """Above 0; the larger, the nearer to `max`."""
    shape_b: Annotated[Number, Field(gt=0)]
    """Above 0; the larger, the nearer to `min`."""


Prior = Annotated[NormalPrior | BetaPrior, Field(discriminator="name")]


class Conditional(Frozen):
    """A choice that switches parameters on and off; it is assigned like a categorical."""

    object: Literal["conditional"] = Field(default="conditional", exclude=True, repr=False)
    name: Name
    """What it is called; no parameter may have the name."""
    values: tuple[Category, ...]
    """The choices, at least two, each of 1 to 50 characters."""

    @field_validator("values")
    @classmethod
    def _check_values(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if len(values) < 2:
            raise ValueError("must list at least two values")
        if len(values) > MAX_CATEGORIES:
            raise ValueError(f"must list at most {MAX_CATEGORIES} values, not {len(values)}")
        if len(set(values)) < len(values):
            raise ValueError("must not list a value twice")
        return values


class Parameter(Open):
    """One dimension of the space."""

    name: Name
    """What it is called, 1 to 100 characters."""
    type: Literal["double", "int", "categorical"]
    """What its values are: real numbers, whole numbers, or words."""
    bounds: Bounds | None = None
    """Required for numbers unless there is a `grid`; of an `int` whole numbers, both included."""
    categorical_values: tuple[CategoricalValue, ...] | None = None
    """Required for a `categorical`: at least two different words, or objects with a `name`."""
    grid: tuple[Number, ...] | None = None
    """The only values that are suggested, ascending; instead of `bounds`."""
    default_value: Value | None = None
    """Assumed for observations that were made before the parameter existed."""
    prior: Prior | None = None
    """Where good values are thought to lie; for a `double` without `log` and `grid`."""
    transformation: Literal["log"] | None = None
    """`log`: the parameter's logarithm is searched evenly."""
    conditions: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """For each named conditional the choices that switch this parameter on."""

    @model_validator(mode="before")
    @classmethod
    def _accept_as_read(cls, data: Any) -> Any:
        """What is read from us may be sent back, and tells of its grid twice."""
        if not isinstance(data, dict) or data.get("object") != "parameter" or not data.get("grid"):
            return data
        # A categorical of a grid experiment has its names as grid, others its ends as bounds.
        twice = "grid" if data.get("type") == "categorical" else "bounds"
        return {key: value for key, value in data.items() if key != twice}

    @field_validator(
        "categorical_values",
        mode="before",
        json_schema_input_type=list[CategoricalValue | str] | None,
    )
    @classmethod
    def _accept_strings(cls, values: Any) -> Any:
        if values is None or not isinstance(values, Sequence) or isinstance(values, str):
            return values
        named = [{"name": value} if isinstance(value, str) else value for value in values]
        return [
            {**value, "enum_index": value.get("enum_index") or index}
            if isinstance(value, dict)
            else value
            for index, value in enumerate(named, start=1)
        ]

    @field_validator(
        "transformation", mode="before", json_schema_input_type=Literal["log", "none"] | None
    )
    @classmethod
    def _none_is_null(cls, transformation: Any) -> Any:
        return None if transformation == "none" else transformation

    @field_validator("grid")
    @classmethod
    def _sort_grid(cls, grid: tuple[float, ...] | None) -> tuple[float, ...] | None:
        return None if grid is None else tuple(sorted(grid))

    @field_validator("default_value", mode="before")
    @classmethod
    def _type_default(cls, value: Any, info: ValidationInfo) -> Any:
        """As the parameter's type has it; whether it is in range is seen when all parts are."""
        kind = info.data.get("type")
        if value is None or kind is None:
            return None
        if kind == "categorical":
            return check_text(value)
        return check_integer(value) if kind == "int" else check_number(value)

    @field_validator(
        "conditions", mode="before", json_schema_input_type=dict[str, list[str] | str] | None
    )
    @classmethod
    def _listify_conditions(cls, conditions: Any) -> Any:
        if conditions is None:
            return {}
        if not isinstance(conditions, dict):
            raise ValueError(f"must be an object, not {shown(conditions)}")
        listed = {}
        for name, values in conditions.items():
            listed[name] = [values] if isinstance(values, str) else values
            if not listed[name]:
                raise ValueError(f"{name}: must list at least one value")
        return listed

    @model_validator(mode="after")
    def _check_parts(self) -> Parameter:
        if self.type == "categorical":
            _check_categorical(self)
        else:
            _check_numeric(self)
        if self.default_value is not None:
            _check_default_value(self)
        return self

    @property
    def levels(self) -> tuple[Value, ...] | None:
        """Every value the parameter can take, in order; `None` for a continuous one."""
        if self.categorical_values is not None:
            return tuple(value.name for value in self.categorical_values)
        if self.grid is not None:
            return tuple(int(v) for v in self.grid) if self.type == "int" else self.grid
        if self.type == "int" and self.bounds is not None:
            return range_of(self.bounds)
        return None

    def check_value(self, value: Any) -> Value:
        """The value as this parameter's type has it; bounds are not checked.

        Out-of-range data is welcome: it was measured.

        Raises:
            ValueError: when the type is wrong, a category is unknown, an integer is not whole,
                a value is off the grid, or a value of a log parameter is not positive.
        """
        if self.categorical_values is not None:
            name = check_text(value)
            if name not in {known.name for known in self.categorical_values}:
                raise ValueError(
                    f"must be one of {', '.join(v.name for v in self.categorical_values)}, "
                    f"not {shown(value)}"
                )
            return name
        number: int | float = check_integer(value) if self.type == "int" else check_number(value)
        if self.grid is not None and number not in self.grid:
            raise ValueError(f"must be on the grid, which {shown(value)} is not")
        if self.transformation == "log" and number <= 0:
            raise ValueError(f"must be above 0 since the parameter is on a log scale, not {number}")
        return number


def range_of(bounds: Bounds) -> tuple[int, ...] | None:
    """The integers of `bounds`, or `None` when they are too many to list."""
    if bounds.max - bounds.min >= MAX_GRID:
        return None
    return tuple(range(int(bounds.min), int(bounds.max) + 1))


def _check_categorical(parameter: Parameter) -> None:
    for part in ("bounds", "grid", "transformation", "prior"):
        if getattr(parameter, part) is not None:
            raise ValueError(f"{part}: a categorical parameter has none")
    values = parameter.categorical_values
    if values is None or len(values) < 2:
        raise ValueError("categorical_values: must list at least two values")
    if len(values) > MAX_CATEGORIES:
        raise ValueError(f"categorical_values: must list at most {MAX_CATEGORIES} values")
    if len({value.name for value in values}) < len(values):
        raise ValueError("categorical_values: must not list a value twice")


def _check_numeric(parameter: Parameter) -> None:
    if parameter.categorical_values is not None:
        raise ValueError("categorical_values: only a categorical parameter has them")
    if parameter.grid is not None:
        _check_grid(parameter, parameter.grid)
    elif parameter.bounds is None:
        raise ValueError("bounds: required, as {min, max}, unless a grid is given")
    elif parameter.type == "int":
        if not (parameter.bounds.min.is_integer() and parameter.bounds.max.is_integer()):
            raise ValueError("bounds: must be integers for an int parameter")
        if max(abs(parameter.bounds.min), abs(parameter.bounds.max)) > MAX_INTEGER:
            raise ValueError("bounds: must not exceed 2^53 - 1 in magnitude for an int parameter")
    if parameter.transformation == "log":
        if parameter.type != "double":
            raise ValueError("transformation: only a double parameter can have one")
        part = "grid" if parameter.grid is not None else "bounds"
        lowest = parameter.grid[0] if parameter.grid is not None else parameter.bounds.min  # type: ignore[union-attr]  # one of the two is there, checked above
        if lowest <= 0:
            raise ValueError(f"{part}: must be above 0 on a log scale, not {lowest:g}")
    if parameter.prior is not None:
        _check_prior(parameter)


def _check_grid(parameter: Parameter, grid: tuple[float, ...]) -> None:
    if parameter.bounds is not None:
        raise ValueError("bounds: a parameter has either bounds or a grid, not both")
    if len(grid) < 2 or len(set(grid)) < len(grid):
        raise ValueError("grid: must list at least two different values")
    if len(grid) > MAX_GRID:
        raise ValueError(f"grid: must list at most {MAX_GRID} values, not {len(grid)}")
    if parameter.type == "int":
        if not all(level.is_integer() for level in grid):
            raise ValueError("grid: must be integers for an int parameter")
        if max(abs(grid[0]), abs(grid[-1])) > MAX_INTEGER:
            raise ValueError("grid: must not exceed 2^53 - 1 in magnitude for an int parameter")


def _check_prior(parameter: Parameter) -> None:
    if parameter.type != "double" or parameter.transformation or parameter.grid:
        raise ValueError("prior: only a double parameter without log or grid can have one")
    if (
        isinstance(parameter.prior, NormalPrior)
        and parameter.bounds is not None
        and not parameter.bounds.min <= parameter.prior.mean <= parameter.bounds.max
    ):
        raise ValueError("prior: the mean must lie inside the bounds")


def _check_default_value(parameter: Parameter) -> None:
    try:
        value = parameter.check_value(parameter.default_value)
    except ValueError as error:
        raise ValueError(f"default_value: {error}") from error
    bounds = parameter.bounds
    if bounds is None or isinstance(value, str):
        return
    if not bounds.min <= value <= bounds.max:
        raise ValueError(
            f"default_value: must lie between {bounds.min:g} and {bounds.max:g}, not {value:g}"
        )

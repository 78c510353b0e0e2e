"""What may change about an experiment that runs, and what must stay.

Observations keep their meaning: names, types, transformations and objectives stay as they are,
and a removed parameter or category is retired, not forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tradeoff.errors import BadInput
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import Metric
from tradeoff.spec.parameters import CategoricalValue, Parameter
from tradeoff.spec.stopping import EarlyStopping
from tradeoff.spec.values import check_name, shown

Model = TypeVar("Model", bound=BaseModel)
#: `{"parameters": {name: parameter as JSON}, "categories": {parameter: {category: enum_index}}}`
Retired = dict[str, Any]


def change_budget(spec: ExperimentSpec, budget: int | None) -> ExperimentSpec:
    """The spec with another observation budget, or with `None` without one.

    Raises:
        BadInput: for a grid, with several optimized metrics, and with several solutions.
    """
    if spec.type == "grid":
        raise BadInput(
            "observation_budget: the size of the grid is the budget of a grid experiment"
        )
    if len(spec.optimized_metrics) > 1 or (spec.num_solutions or 1) > 1:
        raise BadInput(
            "observation_budget: cannot change with several optimized metrics or several solutions"
        )
    return _rebuilt(spec, observation_budget=budget)


def change_bandwidth(spec: ExperimentSpec, bandwidth: int | None) -> ExperimentSpec:
    """The spec for another number of trainings at once; `None` when it is not known any more.

    Raises:
        BadInput: when it is no positive integer, or over the limit.
    """
    return _rebuilt(spec, parallel_bandwidth=bandwidth)


def change_suggestion_ttl(spec: ExperimentSpec, seconds: float | None) -> ExperimentSpec:
    """The spec with another time for which open suggestions are waited for; `None`: the usual.

    Raises:
        BadInput: when it is no positive number, or over the limit.
    """
    return _rebuilt(spec, suggestion_ttl_seconds=seconds)


def change_early_stopping(spec: ExperimentSpec, rule: EarlyStopping | None) -> ExperimentSpec:
    """The spec with another rule for stopping trainings early; `None` stops none."""
    return _rebuilt(spec, early_stopping=rule)


def change_metrics(spec: ExperimentSpec, metrics: Sequence[Mapping[str, Any]]) -> ExperimentSpec:
    """The spec with other thresholds; all else about the metrics must be as it is.

    Args:
        spec: as it is.
        metrics: one object per metric; a key that is left out stays as it is.

    Raises:
        BadInput: when anything but a threshold would change.
    """
    metrics = _objects(metrics, "metrics")
    if len(metrics) != len(spec.metrics):
        raise BadInput(
            f"metrics: list all {len(spec.metrics)} metrics of the experiment, not {len(metrics)}"
        )
    by_key = {metric.key: metric for metric in spec.metrics}
    changed: list[Metric] = []
    for index, given in enumerate(metrics):
        path = f"metrics[{index}]"
        for name in given:
            if name not in Metric.model_fields:
                raise BadInput(f"{path}.{shown(name)}: no such field of a metric")
        key = given.get("name") or (spec.metrics[0].key if len(spec.metrics) == 1 else "")
        known = by_key.pop(key, None) if isinstance(key, str) else None
        if known is None:
            raise BadInput(f"{path}.name: no further metric {shown(key)}; names cannot change")
        for fixed in ("objective", "strategy"):
            wanted = given.get(fixed)
            if wanted is not None and wanted != getattr(known, fixed):
                raise BadInput(f"{path}.{fixed}: cannot change, and is {getattr(known, fixed)!r}")
        threshold = given.get("threshold", known.threshold)
        changed.append(
            _validated(Metric, {**known.model_dump(mode="json"), "threshold": threshold}, path)
        )
    return _rebuilt(spec, metrics=changed)


def change_parameters(
    spec: ExperimentSpec, parameters: Sequence[Mapping[str, Any]], retired: Retired
) -> tuple[ExperimentSpec, Retired]:
    """The spec with the parameters that are to remain, changed as given, and new ones.

    Args:
        spec: as it is.
        parameters: every parameter that is to remain or to be added, as JSON objects. Of one that
            exists a key that is left out stays as it is.
        retired: what was removed earlier.

    Returns:
        The new spec, and what is retired now.

    Raises:
        BadInput: when something would change that cannot, a new parameter has no default value,
            or the whole is not a valid space.
    """
    if spec.type == "grid":
        raise BadInput("parameters: cannot change in a grid experiment")
    if spec.linear_constraints:
        raise BadInput("parameters: cannot change in an experiment with linear constraints")
    parameters = _objects(parameters, "parameters")
    current = {parameter.name: parameter for parameter in spec.parameters}
    former = dict(retired.get("parameters", {}))
    indexes = {name: dict(known) for name, known in retired.get("categories", {}).items()}
    remaining: dict[str, Parameter] = {}
    for index, given in enumerate(parameters):
        path = f"parameters[{index}]"
        try:
            name = check_name(given.get("name"))
        except ValueError as error:
            raise BadInput(f"{path}.name: {error}") from error
        if name in remaining:
            raise BadInput(f"{path}.name: two are named {shown(name)}")
        if name in current:
            parameter = _changed(current[name], given, path)
        else:
            parameter = _added(given, former.pop(name, None), path)
        remaining[name] = _with_indexes(parameter, current.get(name), indexes)
    for name, parameter in current.items():
        if name not in remaining:
            former[name] = parameter.model_dump(mode="json")
            _with_indexes(parameter, parameter, indexes)  # should it come back
    changed = _rebuilt(spec, parameters=list(remaining.values()))
    return changed, {"parameters": former, "categories": indexes}


def _objects(given: Any, path: str) -> Sequence[Mapping[str, Any]]:
    if not isinstance(given, list | tuple):
        raise BadInput(f"{path}: must be a list, not {shown(given)}")
    for index, each in enumerate(given):
        if not isinstance(each, Mapping):
            raise BadInput(f"{path}[{index}]: must be an object, not {shown(each)}")
    return given


def _changed(known: Parameter, given: Mapping[str, Any], path: str) -> Parameter:
    fields = known.model_dump(mode="json")
    for fixed in ("type", "transformation"):
        asked = given.get(fixed, fields[fixed])
        if (None if asked == "none" else asked) != fields[fixed]:
            raise BadInput(f"{path}.{fixed}: cannot change, and is {fields[fixed]!r}")
    if given.get("conditions") is not None:
        wanted = _validated(Parameter, {**fields, "conditions": given["conditions"]}, path)
        if _choices(wanted) != _choices(known):
            raise BadInput(f"{path}.conditions: cannot change")
    for free in ("bounds", "grid", "default_value", "prior", "categorical_values"):
        # What is read from us and sent back carries nulls for what a parameter does not have.
        clears = free in ("default_value", "prior")
        if free in given and (given[free] is not None or clears):
            fields[free] = given[free]
    if given.get("grid"):
        fields["bounds"] = None
    return _validated(Parameter, fields, path)


def _choices(parameter: Parameter) -> dict[str, set[str]]:
    return {name: set(values) for name, values in parameter.conditions.items()}


def _added(given: Mapping[str, Any], former: Mapping[str, Any] | None, path: str) -> Parameter:
    parameter = _validated(Parameter, given, path)
    if former is not None and parameter.type != former["type"]:
        raise BadInput(f"{path}.type: cannot change, and was {former['type']!r} before its removal")
    if parameter.default_value is None:
        raise BadInput(
            f"{path}.default_value: required for a new parameter; "
            "it is what the observations made so far are taken to have had"
        )
    return parameter


def _with_indexes(
    parameter: Parameter, known: Parameter | None, indexes: dict[str, dict[str, int]]
) -> Parameter:
    """`parameter` with the number that each of its categories had from the first."""
    if parameter.categorical_values is None:
        return parameter
    numbers = indexes.setdefault(parameter.name, {})
    for value in (known.categorical_values or ()) if known is not None else ():
        numbers[value.name] = value.enum_index
    for value in parameter.categorical_values:
        numbers.setdefault(value.name, max(numbers.values(), default=0) + 1)
    values = sorted(
        (
            CategoricalValue(name=value.name, enum_index=numbers[value.name])
            for value in parameter.categorical_values
        ),
        key=lambda value: value.enum_index,
    )
    return parameter.model_copy(update={"categorical_values": tuple(values)})


def _rebuilt(spec: ExperimentSpec, **changes: Any) -> ExperimentSpec:
    fields = {name: getattr(spec, name) for name in type(spec).model_fields}
    return _validated(ExperimentSpec, {**fields, **changes}, "")


def _validated(model: type[Model], fields: Mapping[str, Any], path: str) -> Model:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([path, *(str(part) for part in first["loc"])]).strip(".")
        message = first["msg"].removeprefix("Value error, ")
        raise BadInput(f"{where}: {message}" if where else message) from error

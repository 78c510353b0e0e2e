"""By what rows with assignments are sorted."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Float, Text, cast

from tradeoff.errors import BadInput
from tradeoff.spec.experiment import ExperimentSpec


def parameter_key(assignments: Any, spec: ExperimentSpec, name: str) -> ColumnElement[Any]:
    """The value of a parameter.

    Args:
        assignments: the column that holds it.
        spec: of the experiment.
        name: of the parameter, or of a conditional.

    Raises:
        BadInput: when there is none of that name.
    """
    for parameter in spec.parameters:
        if parameter.name == name:
            value = assignments[name].astext
            return cast(value, Text if parameter.type == "categorical" else Float)
    if any(conditional.name == name for conditional in spec.conditionals):
        return cast(assignments[name].astext, Text)
    raise BadInput(f"sort: there is no parameter {name!r}")

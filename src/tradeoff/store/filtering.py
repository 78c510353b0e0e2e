"""A filter of `spec.filters` as a condition of a query of observations."""

from __future__ import annotations

import operator
from typing import Any

from sqlalchemy import ColumnElement, Float, Text, and_, case, cast, func, or_

from tradeoff.spec.filters import Comparison, Condition
from tradeoff.store.tables import Observation

OPERATORS = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def where(condition: Condition) -> ColumnElement[bool]:
    """The condition; every name and value of it is a bound parameter."""
    if isinstance(condition, Comparison):
        compare = OPERATORS[condition.operator]
        held: ColumnElement[bool] = compare(_side(condition), condition.value)
        return held
    parts = [where(part) for part in condition.parts]
    return and_(*parts) if condition.every else or_(*parts)


def _side(comparison: Comparison) -> ColumnElement[Any]:
    """What is compared, in the type of the value."""
    if comparison.kind == "flag":
        flag = Observation.failed if comparison.name == "failed" else Observation.transient
        return flag.expression
    if comparison.kind == "own":
        own = Observation.id if comparison.name == "id" else Observation.suggestion_id
        return cast(own, Float)
    if comparison.kind == "metric":
        return cast(Observation.values[comparison.name]["value"].astext, Float)
    column = Observation.assignments if comparison.kind == "parameter" else Observation.metadata_
    found = column[comparison.name]
    if isinstance(comparison.value, str):
        return cast(found.astext, Text)
    # A text where a number is asked for is no number, and no error.
    is_number = func.jsonb_typeof(found) == "number"
    return case((is_number, cast(found.astext, Float)))

"""Column types that carry more than SQL knows."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Text, cast, type_coerce
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator

from tradeoff.spec.experiment import ExperimentSpec


@lru_cache(maxsize=256)
def read_spec(text: str) -> ExperimentSpec:
    """The spec in `text`; every request reads one, nearly always the same few.

    An option that a newer release wrote is passed over: while one release takes over from another
    both work on the same rows.
    """
    known = {key: value for key, value in json.loads(text).items() if key in _FIELDS}
    for parameter in known["parameters"]:
        # An earlier release kept the ends of a grid as bounds, too, if they were sent along.
        parameter["object"] = "parameter"
    return ExperimentSpec.model_validate_json(json.dumps(known))


_FIELDS = ExperimentSpec.model_fields


class SpecColumn(TypeDecorator[ExperimentSpec]):
    """An `ExperimentSpec`, kept as the JSON that it came as."""

    impl = JSONB
    cache_ok = True

    def process_bind_param(self, value: ExperimentSpec | None, dialect: Dialect) -> Any:
        """To JSON, without the options that are not used: the release before may not know them."""
        if value is None:
            return None
        dumped = value.model_dump(mode="json")
        return {key: each for key, each in dumped.items() if each != _FIELDS[key].default}

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Read as text, which is equal for equal specs."""
        return type_coerce(cast(column, Text), self)

    def process_result_value(self, value: Any, dialect: Dialect) -> ExperimentSpec | None:
        """From JSON."""
        return None if value is None else read_spec(value)

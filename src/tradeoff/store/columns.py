"""Column types that carry more than SQL knows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator

from tradeoff.spec.experiment import ExperimentSpec


class SpecColumn(TypeDecorator[ExperimentSpec]):
    """An `ExperimentSpec`, kept as the JSON that it came as."""

    impl = JSONB
    cache_ok = True

    def process_bind_param(self, value: ExperimentSpec | None, dialect: Dialect) -> Any:
        """To JSON."""
        return None if value is None else value.model_dump(mode="json")

    def process_result_value(self, value: Any, dialect: Dialect) -> ExperimentSpec | None:
        """From JSON."""
        return None if value is None else ExperimentSpec.model_validate(value)

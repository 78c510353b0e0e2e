"""Fields of training runs that users filter and sort by, as SQL."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Float,
    Integer,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB

from tradeoff.errors import BadInput
from tradeoff.spec.values import shown
from tradeoff.store.database import Session
from tradeoff.store.tables import TrainingRun

FieldType = Literal["id", "timestamp", "numeric", "string", "object", "boolean", "unknown"]
ORDERINGS = (">", ">=", "<", "<=")
OPERATORS = ("==", "!=", *ORDERINGS, "isnull")
STATES = ("active", "completed", "failed")
#: The fields of a list are described by its newest runs, as many as one batch has.
DESCRIBED = 10_000
#: What runs log under keys of their own: the part of a field's name, and the attribute.
LOGGED = {
    "assignments": "assignments",
    "metadata": "metadata_",
    "values": "values",
    "logs": "logs",
}
#: Unix seconds from the year 1 to the year 9999.
MIN_MOMENT, MAX_MOMENT = -62_135_596_800, 253_402_300_799


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a run.

    Attributes:
        type: what its values are; `unknown` when each run may have another type there.
        column: the values; JSON when the type is `unknown`.
    """

    type: FieldType
    column: ColumnElement[Any]


COLUMNS: dict[str, Field] = {
    "id": Field("id", TrainingRun.id.expression),
    "client": Field("id", TrainingRun.client_id.expression),
    "experiment": Field("id", TrainingRun.experiment_id.expression),
    "observation": Field("id", TrainingRun.observation_id.expression),
    "suggestion": Field("id", TrainingRun.suggestion_id.expression),
    # Tokens belong to no user yet.
    "user": Field("id", cast(literal(None), Integer)),
    "created": Field("timestamp", TrainingRun.created.expression),
    "updated": Field("timestamp", TrainingRun.updated.expression),
    "completed": Field("timestamp", TrainingRun.completed.expression),
    "finished": Field(
        "boolean",
        or_(TrainingRun.completed.is_not(None), TrainingRun.observation_id.is_not(None)),
    ),
    "deleted": Field("boolean", TrainingRun.deleted.expression),
    "favorite": Field("boolean", TrainingRun.favorite.expression),
    "optimized_suggestion": Field("boolean", TrainingRun.optimized.expression),
    "name": Field("string", TrainingRun.name.expression),
    "state": Field("string", TrainingRun.state.expression),
    "model.type": Field("string", TrainingRun.model["type"].astext),
    "source_code.content": Field("string", TrainingRun.source_code["content"].astext),
    "source_code.hash": Field("string", TrainingRun.source_code["hash"].astext),
}


def find(name: str) -> Field:
    """A field by its name.

    Raises:
        BadInput: when runs have no such field.
    """
    if name in COLUMNS:
        return COLUMNS[name]
    part, dot, rest = name.partition(".")
    if dot and rest:
        if part == "assignments":
            return Field("unknown", TrainingRun.assignments[rest])
        if part == "metadata":
            return Field("unknown", TrainingRun.metadata_[rest])
        key, _, last = rest.rpartition(".")
        if part == "logs" and key and last == "content":
            return Field("string", TrainingRun.logs[key]["content"].astext)
        if part == "values" and key and last in ("value", "value_stddev"):
            return Field("numeric", cast(TrainingRun.values[key][last].astext, Float))
    known = ", ".join(COLUMNS)
    raise BadInput(
        f"there is no field {shown(name)}; there are {known}, assignments.NAME, metadata.NAME, "
        "logs.NAME.content, values.NAME.value and values.NAME.value_stddev"
    )


def condition(name: str, operator: str, value: Any) -> ColumnElement[bool]:
    """What a filter asks of a run.

    Raises:
        BadInput: when there is no such field or operator, or the value does not go with them.
    """
    field = find(name)
    if operator not in OPERATORS:
        raise BadInput(f"operator: must be one of {', '.join(OPERATORS)}, not {shown(operator)}")
    if name == "state" and operator != "==":
        raise BadInput("operator: state can be compared with == only")
    if operator == "isnull":
        if value is not None:
            raise BadInput("value: isnull takes none")
        return field.column.is_(None)
    if operator in ORDERINGS and (value is None or isinstance(value, bool)):
        raise BadInput(f"value: {shown(value)} is not ordered; use == or !=")
    if value is None:
        return field.column.is_(None) if operator == "==" else field.column.is_not(None)
    bound = _bound(name, field, value)
    if field.type == "timestamp":
        # Users know times in whole seconds, and ask for the one that they were shown.
        field = Field("timestamp", func.date_trunc("second", field.column))
    return _compare(field, operator, bound)


def _bound(name: str, field: Field, value: Any) -> Any:
    """A filter's value, as the column has it."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if field.type == "id":
        text = str(value) if is_number or isinstance(value, str) else ""
        if text.isascii() and text.isdigit() and len(text) <= 18:
            return int(text)
        raise BadInput(f"value: must be an id, such as '421', not {shown(value)}")
    is_second = is_number and float(value).is_integer() and abs(value) <= MAX_MOMENT
    if field.type == "timestamp" and is_second and value >= MIN_MOMENT:
        return datetime.datetime.fromtimestamp(value, tz=datetime.UTC)
    if field.type == "numeric" and is_number:
        return float(value)
    if field.type == "boolean" and isinstance(value, bool):
        return value
    if name == "state" and value not in STATES:
        raise BadInput(f"value: must be one of {', '.join(STATES)}, not {shown(value)}")
    if field.type == "string" and isinstance(value, str):
        return value
    if field.type == "unknown" and isinstance(value, str | int | float):
        return json.dumps(value)
    words = {"timestamp": "Unix seconds", "numeric": "a number", "boolean": "true or false"}
    wanted = words.get(field.type, "a string or a number")
    raise BadInput(f"value: must be {wanted}, not {shown(value)}")


def _compare(field: Field, operator: str, value: Any) -> ColumnElement[bool]:
    column: Any = field.column
    other: Any = value
    if field.type == "unknown":
        other = cast(literal(value, Text), JSONB)
    if operator == "==":
        return column == other  # type: ignore[no-any-return]  # a comparison of columns
    if operator == "!=":
        return column.is_distinct_from(other)  # type: ignore[no-any-return]  # as above
    compared: ColumnElement[bool] = {
        ">": column > other,
        ">=": column >= other,
        "<": column < other,
        "<=": column <= other,
    }[operator]
    if field.type == "unknown":  # numbers and texts are not ordered among each other
        return and_(func.jsonb_typeof(column) == func.jsonb_typeof(other), compared)
    return compared


def sort_key(session: Session, query: Select[Any], name: str) -> ColumnElement[Any]:
    """What to order runs by; a run where it is null is to be left out.

    Where runs differ in the type of a value, those with numbers are ordered and the others count
    as null.

    Raises:
        BadInput: when runs have no such field.
    """
    field = find(name)
    if field.type == "boolean":
        return cast(field.column, Integer)
    if field.type != "unknown":
        return field.column
    column: Any = field.column
    text = func.jsonb_extract_path_text(func.jsonb_build_object("value", column), "value")
    is_number = func.jsonb_typeof(column) == "number"
    if session.scalar(select(query.where(is_number).exists())):
        return cast(case((is_number, text)), Float)
    return cast(text, Text)


def describe(session: Session, query: Select[Any]) -> list[tuple[str, FieldType, int]]:
    """The fields that occur in the runs of `query`: key, type, and in how many runs.

    Of a long list the newest runs are looked at.
    """
    logged = {part: getattr(TrainingRun, column) for part, column in LOGGED.items()}
    newest = (
        query.with_only_columns(
            *(column.label(part) for part, column in logged.items()),
            *(field.column.label(f"field_{n}") for n, field in enumerate(COLUMNS.values())),
        )
        .order_by(TrainingRun.id.desc())
        .limit(DESCRIBED)
        .cte("newest")
    )
    counted = select(*(func.count(newest.c[f"field_{n}"]) for n in range(len(COLUMNS))))
    counts = session.execute(counted).one()
    described: dict[str, tuple[FieldType, int]] = {
        name: (field.type, count)
        for (name, field), count in zip(COLUMNS.items(), counts, strict=True)
        if count
    }
    found: Sequence[Any] = session.execute(
        union_all(*(_occurring(newest, part) for part in logged))
    ).all()
    for part, key, kind, count in found:
        for name, type_ in _names(part, key, kind):
            before = described.get(name, (type_, 0))
            both = type_ if before[0] == type_ else "unknown"
            described[name] = (both, count + before[1])
    return [(name, *rest) for name, rest in sorted(described.items())]


def _occurring(newest: Any, part: str) -> Select[Any]:
    """The keys of a JSON column, the type of what is there, and how often."""
    entry = func.jsonb_each(newest.c[part]).table_valued("key", "value").lateral()
    kind = func.jsonb_typeof(entry.c.value)
    return (
        select(literal(part), entry.c.key, kind, func.count())
        .select_from(newest.join(entry, true()))
        .group_by(entry.c.key, kind)
    )


def _names(part: str, key: str, kind: str) -> list[tuple[str, FieldType]]:
    """The fields that a key of a JSON column stands for."""
    if part == "values":
        return [(f"values.{key}.value", "numeric")]
    if part == "logs":
        return [(f"logs.{key}.content", "string")]
    types: dict[str, FieldType] = {"number": "numeric", "string": "string", "boolean": "boolean"}
    return [(f"{part}.{key}", types.get(kind, "unknown"))]

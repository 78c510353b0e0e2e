"""What the columns of a table of observations mean.

SigOpt's export has `parameter-NAME`, `conditional-NAME`, `value-NAME` (or `value`),
`value_stddev-NAME`, `task_name`, `task_cost`, `failed`, `created`, `metadata-KEY` and `id`. Plain
names of parameters and metrics are understood as well, where it is known that they are some.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

#: Under this key of the metadata an imported observation says where it comes from.
ORIGIN = "imported_id"

Kind = Literal[
    "parameter", "value", "stddev", "metadata", "failed", "failure_kind", "transient", "status",
    "created", "task", "task_cost", "id", "ignore",
]  # fmt: skip

#: Prefixes with the name behind a dash or a dot, longest first.
PREFIXES: dict[str, Kind] = {
    "value_stddev": "stddev",
    "conditional": "parameter",
    "assignments": "parameter",
    "parameter": "parameter",
    "metadata": "metadata",
    "stddev": "stddev",
    "metric": "value",
    "value": "value",
}
#: Whole names. A metric may have none, and then its value is in `value`.
PLAIN: dict[str, Kind] = {
    "value": "value",
    "value_stddev": "stddev",
    "failed": "failed",
    "failure_kind": "failure_kind",
    "transient": "transient",
    "status": "status",
    "state": "status",
    "created": "created",
    "task": "task",
    "task_name": "task",
    "id": "id",
    "task_cost": "task_cost",
    "suggestion": "ignore",
    "experiment": "ignore",
    "user": "ignore",
}
#: What may be said about a column by hand.
SAID: dict[str, Kind] = {
    "parameter": "parameter",
    "metric": "value",
    "value": "value",
    "stddev": "stddev",
    "metadata": "metadata",
    "failed": "failed",
    "status": "status",
    "created": "created",
    "task": "task",
    "id": "id",
    "ignore": "ignore",
}


class TableError(Exception):
    """A table cannot be imported; the message says where and why.

    Args:
        message: where and why.
        advice: how to say it on the command line.
    """

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message + advice)
        self.message = message


@dataclass(frozen=True)
class Column:
    """What one column holds: of what kind, and of which parameter, metric or key."""

    kind: Kind
    name: str = ""


def understand(
    header: Sequence[str],
    said: Mapping[str, str],
    parameters: Collection[str] = (),
    metrics: Collection[str] = (),
    *,
    rest_is_parameters: bool = False,
) -> list[Column]:
    """What each column means.

    Args:
        header: the names of the columns.
        said: by hand, `{column: "parameter:NAME"}`; it wins.
        parameters: those that the experiment has, if that is known.
        metrics: likewise.
        rest_is_parameters: what nothing else explains is a parameter of that name.

    Raises:
        TableError: when one is not understood, two mean the same, or `said` names none.
    """
    missing = sorted(set(said) - set(header))
    if missing:
        raise TableError(f"--map names the column {missing[0]!r}; there are {', '.join(header)}")
    found = [
        _said(name, said[name]) if name in said else _guess(name, parameters, metrics)
        for name in header
    ]
    if rest_is_parameters:
        found = [
            column or Column("parameter", name) for name, column in zip(header, found, strict=True)
        ]
    unknown = [name for name, column in zip(header, found, strict=True) if column is None]
    if unknown:
        raise TableError(
            f"line 1: what is in the column {unknown[0]!r}?",
            f" Say it with --map '{unknown[0]}=parameter:NAME' (or metric:NAME, stddev:NAME, "
            f"metadata:KEY, failed, status, created, task, id, ignore)",
        )
    columns = [column for column in found if column is not None]
    seen: dict[Column, str] = {}
    for name, column in zip(header, columns, strict=True):
        if column.kind != "ignore" and column in seen:
            raise TableError(f"line 1: {seen[column]!r} and {name!r} mean the same")
        seen[column] = name
    return columns


def _said(column: str, meaning: str) -> Column:
    word, _, name = meaning.partition(":")
    if word not in SAID:
        raise TableError(f"--map {column}: must be one of {', '.join(SAID)}, not {word!r}")
    return Column(SAID[word], name)


def _guess(name: str, parameters: Collection[str], metrics: Collection[str]) -> Column | None:
    """The meaning of a column by its name; what the experiment calls so goes first."""
    if name in parameters:
        return Column("parameter", name)
    if name in metrics:
        return Column("value", name)
    if name in PLAIN:
        return Column(PLAIN[name])
    for prefix, kind in PREFIXES.items():
        if name.startswith((f"{prefix}-", f"{prefix}.")):
            return Column(kind, name[len(prefix) + 1 :])
    # With a space in the tables that the dashboard gives.
    for ending in ("_stddev", " stddev"):
        metric = name.removesuffix(ending)
        if metric != name and metric in {each or "value" for each in metrics}:
            return Column("stddev", metric if metric in metrics else "")
    # Notes that the dashboard writes into one cell; each has a column in the export.
    return Column("ignore") if name == "metadata" else None

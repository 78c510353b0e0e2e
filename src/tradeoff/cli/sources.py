"""What the files of other tools hold, in our words, and by what a file is recognized."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from tradeoff.spec.columns import TableError

Body = dict[str, Any]
Format = Literal["csv", "wandb", "optuna", "ax", "tradeoff"]
FORMATS: tuple[Format, ...] = get_args(Format)
#: The columns of the CSV that the script of W&B's documentation writes.
WANDB_PRINTED = frozenset({"config", "summary", "name"})
SQLITE = b"SQLite format 3\0"
#: So long may a value of the metadata be.
LONGEST_METADATA = 500


@dataclass(frozen=True)
class Source:
    """What was read of a file.

    Attributes:
        definition: an experiment that it fits.
        reports: where each observation stands in the file, and its body; the oldest first.
        left_out: what does not come along, and why, in words.
    """

    definition: Body
    reports: list[tuple[str, Body]]
    left_out: list[str] = field(default_factory=list)


def recognize(path: Path, raw: bytes) -> Format:
    """The format of a file, by how it begins."""
    if raw.startswith(SQLITE):
        return "optuna"
    text = raw.lstrip()
    if not text.startswith((b"{", b"[")):
        return "wandb" if _is_wandb(raw) else "csv"
    first = text.partition(b"\n")[0]
    if b'"op_code"' in first and first.rstrip().endswith(b"}"):
        return "optuna"
    found = read_json(raw)
    if isinstance(found, list):
        return "wandb"
    if "observations" in found:
        return "tradeoff"
    # Ax marks each object with its class.
    if {"_type", "__type"} & set(found):
        return "ax"
    raise TableError(
        f"this JSON is none that is known; say what it is with --format ({', '.join(FORMATS)})"
    )


def _is_wandb(raw: bytes) -> bool:
    """Whether the first line is that of W&B's table of runs, or of its documentation's script."""
    names = {
        name.strip(' "\r')
        for name in raw.partition(b"\n")[0].decode("utf-8-sig", "replace").split(",")
    }
    if names >= WANDB_PRINTED:
        return True
    return {"Name", "State"} <= names and bool({"Runtime", "Created", "Sweep", "User"} & names)


def read_json(raw: bytes) -> Any:
    """The JSON of a file.

    Raises:
        TableError: when it is none; with line and column.
    """
    try:
        return json.loads(raw)
    except json.JSONDecodeError as error:
        raise TableError(
            f"line {error.lineno}, column {error.colno}: is no JSON: {error.msg}"
        ) from error
    except UnicodeDecodeError as error:
        raise TableError(f"is not UTF-8 text: {error}") from error


def counted(reasons: Iterable[str], noun: str) -> list[str]:
    """`3 trials: still running`, for reasons why something was left out."""
    return [
        f"{count} {noun}{'' if count == 1 else 's'}: {reason}"
        for reason, count in Counter(reasons).items()
    ]


def values_of(names: Sequence[str], values: Sequence[float | None]) -> list[Body] | None:
    """Measured values as the wire has them; `None` when one is missing or no number."""
    if len(values) < len(names) or not all(v is not None and math.isfinite(v) for v in values):
        return None
    return [{"name": n, "value": v} for n, v in zip(names, values, strict=True)]


def noted(origin: str, more: dict[str, Any]) -> Body:
    """The metadata of an imported observation: where it comes from, and what was noted there."""
    kept = {
        str(key)[:100]: value
        if isinstance(value, int | float) and not isinstance(value, bool)
        else str(value)[:LONGEST_METADATA]
        for key, value in list(more.items())[:90]
        if isinstance(value, str | int | float) and (isinstance(value, str) or math.isfinite(value))
    }
    return {**kept, "imported_id": origin}

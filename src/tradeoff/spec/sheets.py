"""Observations as a table of text: read from CSV, written as CSV."""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradeoff.spec.columns import ORIGIN, Column, TableError, understand

YES = frozenset({"true", "yes", "1", "1.0", "failed", "crashed"})
NO = frozenset({"false", "no", "0", "0.0", "", "completed", "finished", "active"})
#: What other tools call a training of which nothing is known yet, or that somebody ended.
UNFINISHED = frozenset({"running", "pending", "killed", "preempted", "preempting"})
#: A cell of text that begins so is a formula to a spreadsheet; a space before it makes it text.
FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True)
class Row:
    """One line of a table, its cells by what they mean."""

    line: int
    cells: Mapping[Column, str]

    def get(self, kind: str, name: str = "") -> str:
        """A cell, empty when there is none."""
        return self.cells.get(Column(kind, name), "")  # type: ignore[arg-type]  # one of the kinds

    def named(self, kind: str) -> dict[str, str]:
        """The cells of a kind that are not empty, by name."""
        return {
            column.name: cell for column, cell in self.cells.items() if column.kind == kind and cell
        }


@dataclass(frozen=True)
class Table:
    """A file of observations.

    Attributes:
        columns: what it has.
        rows: oldest first, as far as the file tells.
        mark: tells it from other files.
    """

    columns: Sequence[Column]
    rows: Sequence[Row]
    mark: str

    def names(self, kind: str) -> list[str]:
        """The names that columns of a kind have, in the order of the file."""
        return [column.name for column in self.columns if column.kind == kind]


def parse(
    raw: bytes,
    said: Mapping[str, str],
    *,
    parameters: Iterable[str] = (),
    metrics: Iterable[str] = (),
    rest_is_parameters: bool = False,
) -> Table:
    """Read a CSV file.

    Args:
        raw: its bytes, in UTF-8; between cells there are commas, semicolons or tabs.
        said: what was said of its columns by hand.
        parameters: those of the experiment, if it is known.
        metrics: likewise.
        rest_is_parameters: columns that nothing else explains are parameters.

    Raises:
        TableError: when it cannot be understood.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(f"the file is not UTF-8 text: {error}") from error
    # However it came: browsers end lines otherwise than files do.
    text = text.replace("\r\n", "\n").rstrip("\n")
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    header = [name.strip() for name in next(reader, [])]
    if not any(header):
        raise TableError("the file is empty; its first line must name the columns")
    columns = understand(
        header, said, set(parameters), set(metrics), rest_is_parameters=rest_is_parameters
    )
    rows = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                raise TableError(
                    f"line {reader.line_num}: has {len(cells)} cells, and line 1 {len(columns)}"
                )
            # A space before a formula's first character made it text; numbers got one as well.
            stripped = [cell.strip() for cell in cells]
            rows.append(Row(reader.line_num, dict(zip(columns, stripped, strict=True))))
    except csv.Error as error:
        raise TableError(f"line {reader.line_num}: {error}") from error
    if not rows:
        raise TableError("there is no line below the names of the columns")
    mark = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Table(columns, _oldest_first(rows), mark)


def _oldest_first(rows: list[Row]) -> list[Row]:
    """SigOpt's export has the newest first; the order matters to early results."""
    moments = [_moment(row.get("created")) for row in rows]
    if any(moment is None for moment in moments):
        return rows
    order = sorted(range(len(rows)), key=lambda i: (moments[i], _id_of(rows[i]), i))
    return [rows[i] for i in order]


def _id_of(row: Row) -> int:
    text = row.get("id")
    return int(text) if text.isascii() and text.isdigit() else 0


def _moment(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


# --- To observations -----------------------------------------------------------------------------


def observe(
    row: Row, experiment: Mapping[str, Any], mark: str, *, empty_as_failed: bool = False
) -> dict[str, Any] | None:
    """A row as the body of an observation; `None` for one that nothing can be learnt from.

    Args:
        row: of the table.
        experiment: as the API has it.
        mark: of the table.
        empty_as_failed: a row without any value is a failure.

    Raises:
        TableError: when it does not fit the experiment.
    """
    unfinished = row.get("status").lower() in UNFINISHED
    if unfinished or row.get("failure_kind") == "transient" or _flag(row, "transient"):
        return None
    metrics = [metric.get("name") or "" for metric in experiment["metrics"]]
    body: dict[str, Any] = {"assignments": _assignments(row, experiment)}
    values = row.named("value")
    failed = _flag(row, "failed") or _flag(row, "status") or (empty_as_failed and not values)
    if failed:
        body["failed"] = True
    else:
        body["values"] = [_value(row, name) for name in metrics]
    metadata: dict[str, Any] = {key: _number(cell) for key, cell in row.named("metadata").items()}
    metadata.setdefault(ORIGIN, row.get("id") or f"{mark} line {row.line}")
    body["metadata"] = metadata
    if (task := _task(row, experiment)) is not None:
        body["task"] = task
    return body


def _task(row: Row, experiment: Mapping[str, Any]) -> str | None:
    """The task of a row; what a cheap one measured must not pass for the real thing."""
    name, cost = row.get("task"), row.get("task_cost")
    if not name or (not experiment.get("tasks") and _number(cost) == 1):
        return None
    if not experiment.get("tasks"):
        raise TableError(
            f"line {row.line}: has the task {name!r}, and the experiment has no tasks",
            " (--map 'COLUMN=ignore' takes all rows for full ones)",
        )
    return name


def _assignments(row: Row, experiment: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {p["name"]: p["type"] for p in experiment["parameters"]}
    kinds |= {c["name"]: "categorical" for c in experiment.get("conditionals") or []}
    cells = row.named("parameter")
    unknown = sorted(set(cells) - set(kinds))
    if unknown:
        raise TableError(
            f"line {row.line}: the experiment has no parameter {unknown[0]!r}; it has "
            f"{', '.join(kinds)}"
        )
    found: dict[str, Any] = {}
    for name, cell in cells.items():
        if kinds[name] == "categorical":
            found[name] = cell
            continue
        number = _finite(row, name, cell)
        if kinds[name] == "int" and not number.is_integer():
            raise TableError(f"line {row.line}: {name} must be an integer, not {cell!r}")
        found[name] = int(number) if kinds[name] == "int" else number
    return found


def _value(row: Row, name: str) -> dict[str, Any]:
    told = f"metric {name}" if name else "value"
    cell, stddev = row.get("value", name), row.get("stddev", name)
    if not cell:
        raise TableError(
            f"line {row.line}: {told} is empty, and the row is not marked as failed",
            " (--empty-as-failed takes rows without any value for failures)",
        )
    value: dict[str, Any] = {"value": _finite(row, told, cell)}
    if name:
        value["name"] = name
    if stddev:
        value["value_stddev"] = _finite(row, f"the stddev of {told}", stddev)
    return value


def _finite(row: Row, name: str, cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise TableError(f"line {row.line}: {name} must be a number, not {cell!r}")
    return number


def _flag(row: Row, kind: str) -> bool:
    word = row.get(kind).lower()
    if word not in YES | NO:
        raise TableError(f"line {row.line}: {kind} must be true or false, not {row.get(kind)!r}")
    return word in YES


def _number(cell: str) -> str | int | float:
    for kind in (int, float):
        try:
            number = kind(cell)
        except ValueError:
            continue
        return number if math.isfinite(number) else cell
    return cell


def origin(assignments: Mapping[str, Any], metadata: Mapping[str, Any] | None) -> tuple[str, str]:
    """Where an observation came from, and what it tried: two files may number theirs alike."""
    assigned = {
        name: value if isinstance(value, str) else float(value)
        for name, value in assignments.items()
    }
    return str((metadata or {}).get(ORIGIN)), json.dumps(assigned, sort_keys=True)


def at_line(message: str, places: Sequence[str]) -> str:
    """An error about one of many reports, with its place in the file instead of its index."""
    found = re.match(r"observations\[(\d+)\][.:]? ?", message)
    return message if found is None else f"{places[int(found[1])]}: {message[found.end() :]}"


# --- To a new experiment -------------------------------------------------------------------------


def define(table: Table, *, name: str, minimize: Iterable[str]) -> dict[str, Any]:
    """An experiment that fits a table: types and bounds are those of the data.

    Raises:
        TableError: when there is no parameter or no metric, or one has the same value everywhere.
    """
    parameters, metrics = table.names("parameter"), table.names("value")
    if not parameters or not metrics:
        what = "parameter" if not parameters else "metric"
        raise TableError(f"line 1: there is no column of a {what}; name one with --map")
    tasks = {row.get("task"): _number(row.get("task_cost")) for row in table.rows}
    tasks.pop("", None)
    unknown = sorted(set(minimize) - set(metrics))
    if unknown:
        raise TableError(f"--minimize {unknown[0]}: there are {', '.join(metrics)}")
    return {
        "name": name,
        "parameters": [_define_parameter(table, each) for each in parameters],
        "metrics": [
            {"objective": "minimize" if each in set(minimize) else "maximize"}
            | ({"name": each} if each else {})
            for each in metrics
        ],
        "observation_budget": 2 * len(table.rows),
    } | ({"tasks": [{"name": n, "cost": c} for n, c in tasks.items()]} if len(tasks) > 1 else {})


def useless(table: Table) -> dict[str, str]:
    """The columns of parameters of which no parameter can be made, and why."""
    found = {}
    for name in table.names("parameter"):
        cells = [row.get("parameter", name) for row in table.rows]
        if len(set(cells)) == 1:
            found[name] = "has a single value"
        elif empty := cells.count(""):
            found[name] = f"{empty} of {len(cells)} rows lack it"
    return found


def _define_parameter(table: Table, name: str) -> dict[str, Any]:
    cells = sorted({row.get("parameter", name) for row in table.rows} - {""})
    advice = "give the experiment with --definition, or import into one with --experiment"
    if len(cells) < 2:
        raise TableError(f"the parameter {name} has one value everywhere: {advice}")
    try:
        numbers = sorted(float(cell) for cell in cells)
    except ValueError:
        return {"name": name, "type": "categorical", "categorical_values": cells}
    if not all(map(math.isfinite, numbers)) or numbers[0] == numbers[-1]:
        raise TableError(f"the parameter {name} has no bounds: {advice}")
    whole = all(number.is_integer() for number in numbers)
    written_whole = whole and not any("." in cell or "e" in cell.lower() for cell in cells)
    low, high = numbers[0], numbers[-1]
    if written_whole:
        return {"name": name, "type": "int", "bounds": {"min": int(low), "max": int(high)}}
    return {"name": name, "type": "double", "bounds": {"min": low, "max": high}}


# --- Back to CSV ---------------------------------------------------------------------------------


def write(experiment: Mapping[str, Any], observations: Sequence[Mapping[str, Any]]) -> str:
    """Observations as CSV, in the columns of SigOpt's export, oldest first."""
    parameters = [p["name"] for p in experiment["parameters"]]
    conditionals = [c["name"] for c in experiment.get("conditionals") or []]
    metrics = [m.get("name") or "" for m in experiment["metrics"]]
    keys = sorted({key for each in observations for key in each.get("metadata") or {}})
    header = [f"parameter-{name}" for name in parameters]
    header += [f"conditional-{name}" for name in conditionals]
    for name in metrics:
        header += [f"value-{name}", f"value_stddev-{name}"] if name else ["value", "value_stddev"]
    header += ["task_name", "task_cost"] if experiment.get("tasks") else []
    header += ["failed", "failure_kind", "created", *(f"metadata-{key}" for key in keys), "id"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_cell, header))
    for each in observations:
        assigned, noted = each["assignments"], each.get("metadata") or {}
        measured = {value["name"] or "": value for value in each["values"]}
        row = [assigned.get(name) for name in [*parameters, *conditionals]]
        for name in metrics:
            value = measured.get(name) or {}
            row += [value.get("value"), value.get("value_stddev")]
        if experiment.get("tasks"):
            task = each.get("task") or {}
            row += [task.get("name"), task.get("cost")]
        row += [each["failed"], each.get("failure_kind"), each["created"]]
        row += [noted.get(key) for key in keys]
        writer.writerow(map(_cell, [*row, each["id"]]))
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.lstrip().startswith(FORMULA):
        return f" {value}"
    return "" if value is None else value

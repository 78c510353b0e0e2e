"""Runs of W&B as a table: the CSV that its table of runs downloads, or runs as its API has them.

As JSON that is a list of runs, each with `config`, `summary`, `state` and `name`;
`docs/importing.md` has the lines that write it. The script in W&B's own documentation writes them
as CSV, in which `config` and `summary` are dictionaries as Python prints them.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tradeoff.cli.sources import WANDB_PRINTED, Body, read_json
from tradeoff.spec.columns import TableError

#: What W&B's table of runs has beside configuration and summary.
OF_THE_RUN = frozenset(
    {
        "Agent", "Commit", "Created", "Created Timestamp", "Description", "End Time", "GPU Count",
        "GPU Type", "Github", "GroupName", "Group", "Host", "Hostname", "ID", "Job Type", "Name",
        "Notes", "Runtime", "Start Time", "State", "Sweep", "Tags", "Updated", "User",
    }
)  # fmt: skip
#: What Python prints for numbers that are none, and has no literals for.
NO_NUMBER = re.compile(r"(?<=[:,\[] )-?(?:nan|inf)(?=[,}\]])")
#: As Python reads it: infinity, which is no result either.
INFINITE = "1e999"
#: As W&B's API sends them.
NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})


def is_printed(raw: bytes) -> bool:
    """Whether these are runs with their dictionaries as Python prints them."""
    return {*_header(raw)} >= WANDB_PRINTED


def read_printed(raw: bytes) -> bytes:
    """Such runs as JSON.

    Raises:
        TableError: when a cell is no dictionary; with its line.
    """
    runs = []
    reader = csv.DictReader(io.StringIO(raw.decode("utf-8-sig")))
    for row in reader:
        run: dict[str, Any] = {"name": row["name"], "state": row.get("state")}
        for name in ("config", "summary"):
            try:
                run[name] = ast.literal_eval(NO_NUMBER.sub(INFINITE, row[name]))
            except (ValueError, SyntaxError):
                run[name] = None
            if not isinstance(run[name], dict):
                raise TableError(f"line {reader.line_num}, {name}: must be a dictionary of Python")
        runs.append(run)
    return json.dumps(runs, default=str).encode()


def meanings(raw: bytes) -> dict[str, str]:
    """What the columns of W&B's CSV are that are neither configuration nor result."""
    known = {"State": "status", "Created": "created", "Name": "metadata:run", "ID": "id"}
    return {
        name: known.get(name, "ignore")
        for name in _header(raw)
        if name in OF_THE_RUN or name.startswith("_")
    }


def to_csv(raw: bytes, metrics: Collection[str]) -> bytes:
    """Runs as JSON, written as the CSV of W&B.

    Raises:
        TableError: when they are no runs, or one of `metrics` is in none of them.
    """
    runs = read_json(raw)
    if not isinstance(runs, list) or not all(
        isinstance(run, dict) and isinstance(run.get("config"), dict) for run in runs
    ):
        raise TableError("must be a list of runs, each with config, summary, state and name")
    rows = [_row(run, metrics) for run in runs]
    names = list(dict.fromkeys(name for row in rows for name in row))
    missing = sorted(set(metrics) - set(names))
    if missing or not metrics:
        found = {name: x for run in runs for name, x in _results(run).items() if math.isfinite(x)}
        logged = sorted(found)
        what = (
            f"no run has logged {missing[0]}" if missing else "say with --metric which are results"
        )
        raise TableError(f"{what}; there are {', '.join(logged)}")
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _header(raw: bytes) -> list[str]:
    first = raw.partition(b"\n")[0].decode("utf-8-sig", "replace")
    return [name.strip() for name in next(csv.reader(io.StringIO(first)), [])]


def _row(run: Body, metrics: Collection[str]) -> dict[str, Any]:
    summary = _results(run)
    results = {name: summary[name] for name in metrics if name in summary}
    finite = {name: value for name, value in results.items() if math.isfinite(value)}
    state = run.get("state") or "finished"
    if state == "finished" and len(finite) < len(results):
        state = "failed"  # it came to its end, and has diverged
    return {
        "Name": run.get("name") or run.get("id") or "",
        "State": state,
        **{name: value for name, value in _flat(run["config"]) if not _is_infinite(value)},
        **finite,
    }


def _is_infinite(value: Any) -> bool:
    return value in NOT_FINITE or (isinstance(value, float) and not math.isfinite(value))


def _results(run: Body) -> dict[str, float]:
    """The numbers of a run's summary; `define_metric(..., summary="max")` makes `accuracy.max`."""
    found = {}
    for name, value in _flat(run.get("summary") or {}):
        if _is_infinite(value):
            found[name] = math.inf
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = float(value)
    return found


def _flat(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Nested entries with dotted names; W&B's own begin with an underscore."""
    for name, value in config.items():
        if isinstance(value, dict) and set(value) <= {"value", "desc"}:
            value = value.get("value")
        if name.startswith(("_", "wandb")) or isinstance(value, list) or value is None:
            continue
        # A histogram, a table or the like.
        if isinstance(value, dict) and "_type" in value:
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value

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
                run[name] = ast.literal_eval(NO_NUMBER.sub("None", row[name]))
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
        logged = sorted({key for run in runs for key in run.get("summary") or {} if key[0] != "_"})
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
    summary = run.get("summary") or {}
    return {
        "Name": run.get("name") or run.get("id") or "",
        "State": run.get("state") or "finished",
        **dict(_flat(run["config"])),
        **{name: summary[name] for name in metrics if name in summary},
    }


def _flat(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Nested configuration with dotted names; W&B's own entries begin with an underscore."""
    for name, value in config.items():
        if name.startswith(("_", "wandb")) or isinstance(value, list) or value is None:
            continue
        if isinstance(value, dict) and set(value) <= {"value", "desc"}:
            value = value.get("value")
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value

"""Runs of W&B as a table: the CSV that its table of runs downloads, or runs as JSON.

As JSON it is a list of runs, each with `config`, `summary`, `state` and `name`, as their API has
them; `docs/importing.md` has the lines that write it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tradeoff.cli.sources import Body, read_json
from tradeoff.spec.columns import TableError

#: What W&B's table of runs has beside configuration and summary.
OF_THE_RUN = frozenset(
    {
        "Agent", "Commit", "Created", "Created Timestamp", "Description", "End Time", "GPU Count",
        "GPU Type", "Github", "GroupName", "Group", "Host", "Hostname", "ID", "Job Type", "Name",
        "Notes", "Runtime", "Start Time", "State", "Sweep", "Tags", "Updated", "User",
    }
)  # fmt: skip


def meanings(raw: bytes) -> dict[str, str]:
    """What the columns of W&B's CSV are that are neither configuration nor result."""
    header = next(csv.reader(io.StringIO(raw.decode("utf-8-sig").partition("\n")[0])), [])
    known = {"State": "status", "Created": "created", "Name": "metadata:run", "ID": "id"}
    return {
        name: known.get(name, "ignore")
        for name in (each.strip() for each in header)
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

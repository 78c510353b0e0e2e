"""The table of results: a compressed file with a line for each training, kept as they come."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Row = dict[str, Any]
#: Numbers are kept with so many digits.
DIGITS = 6


class Table:
    """Trainings in their order: which, and what came of them.

    Args:
        path: ends in `.csv.gz`; read if it is there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Row] = []
        if path.exists():
            with gzip.open(path, "rt", newline="") as file:
                self.rows = [{k: value(v) for k, v in row.items()} for row in csv.DictReader(file)]

    def add(self, rows: Sequence[Row]) -> None:
        """Add trainings, and write the whole; an interruption leaves the table as it was."""
        self.rows += [{k: _rounded(v) for k, v in row.items()} for row in rows]
        partial = self.path.with_suffix(".partial")
        with (
            partial.open("wb") as plain,
            # Without the time, so that equal tables are equal files.
            gzip.GzipFile(filename="", mode="wb", fileobj=plain, mtime=0) as packed,
        ):
            lines = [",".join(self.rows[0])]
            lines += [
                ",".join("" if v is None else str(v) for v in row.values()) for row in self.rows
            ]
            packed.write(("\n".join(lines) + "\n").encode())
        partial.replace(self.path)


def write_provenance(
    folder: Path, scale: Any, files: Iterable[Path], device: str, versions: Mapping[str, str]
) -> None:
    """Say how the tables were made; refuse to go on with those of another scale.

    Args:
        folder: of the tables.
        scale: how large the run is, a dataclass.
        files: of data.
        device: what trains, in words.
        versions: of what trains.

    Raises:
        SystemExit: if the folder holds tables of another scale or of other data.
    """
    path = folder / "provenance.json"
    question = json.loads(json.dumps({"scale": asdict(scale), "data_sha256": _digest(files)}))
    if path.exists():
        kept = json.loads(path.read_text())
        if {name: kept[name] for name in question} != question:
            raise SystemExit(f"{path} tells of another run; give another --out, or remove it")
        return
    machine = {"device": device, "architecture": platform.machine()}
    begun = {"begun": datetime.now(UTC).isoformat(timespec="seconds"), "commit": _commit()}
    made = {**question, **machine, **begun, "python": platform.python_version(), **versions}
    path.write_text(json.dumps(made, indent=2) + "\n")


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _commit() -> str:
    asked = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _rounded(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def value(text: str) -> Any:
    """A field of a table: a number if it is one, and `None` for nothing."""
    if text == "":
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def outcomes(rows: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Accuracy and milliseconds of those that succeeded."""
    return [(r["accuracy"], r["inference_ms"]) for r in rows if r["accuracy"] is not None]


def counted(rows: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Accuracy and multiplications at a point of a series: a cost that no busy machine blurs."""
    return [(r["accuracy"], multiplications(r)) for r in rows if r["accuracy"] is not None]


def multiplications(configuration: Mapping[str, Any]) -> int:
    """Of a network's convolutions at a point of a series; also the number of their weights."""
    filters = [1, *(configuration[f"conv_{block}_num_filters"] for block in (1, 2, 3))]
    sizes = [configuration[f"conv_{block}_filter_size"] for block in (1, 2, 3)]
    return sum(a * b * size for a, b, size in zip(filters[:-1], filters[1:], sizes, strict=True))

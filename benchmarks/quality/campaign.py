"""Many searches, any number of processes sharing the work, each search done once.

A finished search is one line of `runs.jsonl` in the work folder. Whoever comes later does what is
missing there; who is at work on a search holds a lock on a file of its name, which the system lets
go when the process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

import torch

from benchmarks import problems
from benchmarks.quality import optimizers
from benchmarks.quality.loop import run

#: Two searches that differ in these are two; with a larger budget the first part is the same.
IDENTITY = ("problem", "optimizer", "workers", "spread", "seed")


@dataclass(frozen=True)
class Task:
    """One search.

    Attributes:
        problem: its name.
        optimizer: its name.
        seed: of the search, the noise and the durations.
        budget: number of observations.
        workers: trainings at a time.
        spread: of the logarithm of a training's duration.
    """

    problem: str
    optimizer: str
    seed: int
    budget: int
    workers: int = 1
    spread: float = 0.0

    @property
    def key(self) -> str:
        """Names the search, whatever its budget."""
        return "-".join(str(getattr(self, name)) for name in IDENTITY)


class Ledger:
    """The finished searches of a work folder."""

    def __init__(self, folder: Path):
        self.file = folder / "runs.jsonl"
        self.locks = folder / "locks"
        self.locks.mkdir(parents=True, exist_ok=True)

    def lines(self) -> list[dict[str, Any]]:
        """What is there, one search once: the one with the largest budget."""
        if not self.file.exists():
            return []
        found: dict[tuple[Any, ...], dict[str, Any]] = {}
        for text in self.file.read_text().splitlines():
            line = json.loads(text)
            line["scores"] = {int(count): score for count, score in line["scores"].items()}
            key = tuple(line[name] for name in IDENTITY)
            if key not in found or line["budget"] > found[key]["budget"]:
                found[key] = line
        return list(found.values())

    def missing(self, tasks: Iterable[Task]) -> list[Task]:
        """Those that nobody finished yet."""
        budgets = {tuple(line[name] for name in IDENTITY): line["budget"] for line in self.lines()}
        return [
            task
            for task in tasks
            if budgets.get(tuple(getattr(task, name) for name in IDENTITY), 0) < task.budget
        ]

    @contextlib.contextmanager
    def claim(self, task: Task) -> Iterator[bool]:
        """Whether the search is ours to do; nobody else does it meanwhile."""
        with (self.locks / task.key).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            # Another process may have finished it between our look and our lock.
            yield bool(self.missing([task]))

    def add(self, line: dict[str, Any]) -> None:
        """Append a finished search; lines of several processes do not mix."""
        with self.file.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(json.dumps(line) + "\n")


def carry_out(tasks: Sequence[Task], ledger: Ledger, *, progress: TextIO = sys.stderr) -> list[str]:
    """Do what is missing.

    Returns:
        What could not be done, and why.
    """
    torch.set_num_threads(1)
    troubles: dict[str, str] = {}
    version, began = _version(), time.monotonic()
    before = len(ledger.missing(tasks))
    for task in tasks:
        with ledger.claim(task) as ours:
            if not ours or task.optimizer in troubles:
                continue
            try:
                line = {**search(task), "version": version}
            except optimizers.Unavailable as error:
                troubles[task.optimizer] = f"{task.optimizer}: {error}"
                continue
            except Exception as error:  # the others go on; the search can be tried again
                troubles[task.key] = f"{task.key}: {error!r}"
                print(troubles[task.key], file=progress, flush=True)
                continue
            ledger.add(line)
        left = len(ledger.missing(tasks))
        # Also right when other processes do a part of the work.
        rate = (time.monotonic() - began) / max(before - left, 1)
        print(
            f"[{len(tasks) - left}/{len(tasks)}] {task.problem} {task.optimizer} seed {task.seed}: "
            f"{line['scores'][task.budget]:.3f} at {task.budget} after {line['seconds']:.0f} s; "
            f"about {_duration(left * rate)} left",
            file=progress,
            flush=True,
        )
    return list(troubles.values())


def search(task: Task) -> dict[str, Any]:
    """Carry out one search, and say all about it that the reports need."""
    problem = problems.get(task.problem)
    began, cpu = time.monotonic(), time.process_time()
    optimizer = optimizers.start(task.optimizer, problem, task.seed)
    elsewhere = 0.0
    try:
        done = run(
            problem, optimizer, task.budget, task.seed, workers=task.workers, spread=task.spread
        )
    finally:
        elsewhere = optimizer.close()
    return {
        **asdict(task),
        "scores": {count: round(score, 5) for count, score in done.scores.items()},
        "failed": sum(done.failed),
        "by_model": sum(done.by_model),
        "failed_by_model": round(done.failures * sum(done.by_model)),
        "cpu_seconds": round(time.process_time() - cpu + elsewhere, 1),
        "seconds": round(time.monotonic() - began, 1),
    }


def _version() -> str:
    command = ["git", "describe", "--always", "--dirty", "--tags"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

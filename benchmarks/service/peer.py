"""Runs `optuna_peer` in its own environment, in as many processes as are wanted."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCRIPT = Path("scripts/optuna-venv.sh")


@dataclass
class Outcome:
    """What Optuna did.

    Attributes:
        pairs_per_second: asks with their tells.
        asks: seconds of each.
        tells: seconds of each.
        errors: what a caller met.
        sampler: its name.
        version: of Optuna.
    """

    pairs_per_second: float = 0.0
    asks: list[float] = field(default_factory=list)
    tells: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    sampler: str = ""
    version: str = ""


def find_python() -> str | None:
    """The interpreter of Optuna's environment, made if need be; `None` when that fails."""
    done = subprocess.run([str(SCRIPT)], stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout.splitlines()[-1] if done.returncode == 0 and done.stdout else None


def load(python: str, database_url: str, study: str, count: int) -> None:
    """Make a study with so many finished trials.

    Raises:
        RuntimeError: when it fails.
    """
    plan = {"task": "load", "count": count, "threads": 1, "sampler": "random", "study": study}
    _finish(_start(python, {**plan, "database_url": database_url}), 600)


def run(
    python: str,
    database_url: str,
    study: str,
    *,
    sampler: str,
    processes: int,
    threads: int,
    seconds: float,
    rounds: int = 1_000_000_000,
) -> Outcome:
    """Ask and tell.

    Args:
        python: of Optuna's environment.
        database_url: of a database of Optuna's own.
        study: its name.
        sampler: `default` or `random`.
        processes: how many.
        threads: in each of them.
        seconds: for how long.
        rounds: how often each thread does it at most.

    Raises:
        RuntimeError: when a process fails.
    """
    plan = {
        "task": "run",
        "database_url": database_url,
        "study": study,
        "sampler": sampler,
        "threads": threads,
        "seconds": seconds,
        "rounds": rounds,
    }
    started = [_start(python, plan) for _ in range(processes)]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outcome = Outcome()
    for process in started:
        told = json.loads(_finish(process, seconds))
        outcome.asks += told["asks"]
        outcome.tells += told["tells"]
        outcome.errors += told["errors"]
        outcome.pairs_per_second += len(told["tells"]) / told["seconds"]
        outcome.sampler, outcome.version = told["sampler"], told["version"]
    return outcome


def _finish(process: subprocess.Popen[str], seconds: float) -> str:
    """What a process says to its end, which comes some time after `seconds`."""
    told, complaint = process.communicate(timeout=seconds + 600)
    if process.returncode:
        raise RuntimeError(f"Optuna's process failed:\n{complaint[-2000:]}")
    return told


def _start(python: str, plan: dict[str, Any]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [python, "-m", "benchmarks.service.optuna_peer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(plan) + "\n")
    process.stdin.flush()
    return process

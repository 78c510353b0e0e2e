"""Faults inside a process of ours, chosen by files; Python imports this as a process starts.

Only `tests.faults.processes` puts this folder on `PYTHONPATH`: the product has no such hook. A
fault is a file in `FAULTS_FOLDER`, taken away by the process that it befalls:

    kill-before-commit    a part of a statement: the process that ran it ends before its commit
    kill-after-commit     the same, when it is committed and nobody was told
    slow-fit              seconds that every fit takes longer, until the file is taken away

`TRADEOFF_CLOCK_HOURS` lets the process believe in another time. A fit of an experiment with a
metric of the name `poison` always raises, and one of `glutton` eats all the memory that it gets.
"""

from __future__ import annotations

import datetime
import functools
import importlib.abc
import importlib.util
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(os.environ["FAULTS_FOLDER"])


def take(name: str) -> str | None:
    """The content of a fault's file; only one process gets it."""
    path = FOLDER / name
    try:
        text = path.read_text()
        path.rename(path.with_name(f"{name}.taken"))
    except FileNotFoundError:
        return None
    return text


#: What the transaction of a thread ran so far; a thread of ours has one at a time.
ran = threading.local()


def _ran() -> list[str]:
    found: list[str] = ran.__dict__.setdefault("statements", [])
    return found


def kill_at_commits(module: ModuleType) -> None:
    """Let a commit be the end, when the transaction ran the statement that a file names."""
    connection = module.Connection
    commit, rollback = connection.commit, connection.rollback

    def commit_or_die(self: Any) -> None:
        _die_if("kill-before-commit", _ran())
        commit(self)
        _die_if("kill-after-commit", _ran())
        _ran().clear()

    def forget(self: Any) -> None:
        _ran().clear()
        rollback(self)

    connection.commit, connection.rollback = commit_or_die, forget


def note_statements(module: ModuleType) -> None:
    """Remember what a transaction runs, by SQLAlchemy or past it."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    query = module.Query
    prepare = query._prepared

    @event.listens_for(Engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        _ran().append(statement)

    def prepare_and_note(self: Any, *arguments: Any) -> Any:
        _ran().append(self.text)
        return prepare(self, *arguments)

    query._prepared = prepare_and_note


def _die_if(name: str, ran: Sequence[str]) -> None:
    path = FOLDER / name
    if not path.exists():
        return
    wanted = path.read_text().strip().lower()
    if any(wanted in statement.lower() for statement in ran) and take(name) is not None:
        os.kill(os.getpid(), signal.SIGKILL)


def spoil_fits(module: ModuleType) -> None:
    """Let fits take long, raise, or eat the memory."""
    suggest = module.suggest

    # By the name that it has there, another process finds it.
    @functools.wraps(suggest)
    def spoiled(spec: Any, *arguments: Any, **options: Any) -> Any:
        names = {metric.name for metric in spec.metrics}
        if "poison" in names:
            raise ValueError("poison")
        if "glutton" in names:
            eaten = []
            while True:
                eaten.append(bytearray(64 * 1024 * 1024))
        if (FOLDER / "slow-fit").exists():
            (FOLDER / "in-a-fit").touch()
            deadline = time.monotonic() + float((FOLDER / "slow-fit").read_text())
            while time.monotonic() < deadline and (FOLDER / "slow-fit").exists():
                time.sleep(0.02)
        return suggest(spec, *arguments, **options)

    module.suggest = spoiled  # type: ignore[attr-defined]  # the module's own function


def shift_clock(hours: float) -> None:
    """Let this process believe in another time; what measures durations stays as it is."""
    seconds = hours * 3600
    real_time, real_datetime = time.time, datetime.datetime

    class Shifted(real_datetime):  # type: ignore[valid-type,misc]  # it is a class
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return real_datetime.now(tz) + datetime.timedelta(seconds=seconds)

        @classmethod
        def utcnow(cls) -> Any:
            return real_datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(
                seconds=seconds
            )

    time.time = lambda: real_time() + seconds
    time.time_ns = lambda: int((real_time() + seconds) * 1e9)
    datetime.datetime = Shifted  # type: ignore[misc]  # what others import from now on
    (FOLDER / "clock-shifted").touch()


PATCHES: dict[str, Callable[[ModuleType], None]] = {
    "tradeoff.store.driver": kill_at_commits,
    "tradeoff.store.prepared": note_statements,
    "tradeoff.engine.suggest": spoil_fits,
}


class Patcher(importlib.abc.MetaPathFinder):
    """Patches a module as soon as it is imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in PATCHES:
            return None
        patch = PATCHES.pop(name)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def execute_and_patch(module: ModuleType) -> None:
            execute(module)
            patch(module)

        spec.loader.exec_module = execute_and_patch  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, Patcher())
if "TRADEOFF_CLOCK_HOURS" in os.environ:
    shift_clock(float(os.environ["TRADEOFF_CLOCK_HOURS"]))

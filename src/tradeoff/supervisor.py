"""Child processes that are started again when they die, and that never outlive us.

Each child leads a process group of its own, so that Ctrl-C at the terminal reaches us alone and we
end the children in order; and each holds the reading end of a pipe whose other end is ours, so that
it learns of our death whatever killed us (`watch_parent`).
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tradeoff import errors, logs

LONGEST_PAUSE_SECONDS = 30.0
#: Whoever lived this long had started well: the next pause is the shortest again.
HEALTHY_SECONDS = 60.0
LOG_BYTES = 20_000_000
SAME_ERROR_SECONDS = 60.0
HOPELESS_FAILURES = 3


class Flag:
    """Something that was asked for; a signal handler may set it.

    `threading.Event` may not be set there: the thread that the signal interrupts may hold its lock.
    """

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Ask."""
        self._is_set = True

    def is_set(self) -> bool:
        """Tell whether it was asked for."""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Sleep, a short while at a time, and tell whether it was asked for."""
        limit = time.monotonic() + seconds
        while not self._is_set and (left := limit - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
        return self._is_set


@dataclass
class Child:
    """One process to keep alive.

    Attributes:
        name: what the user calls it.
        command: how it is started.
        log: where its output goes.
        grace_seconds: how long it may take to end when asked.
    """

    name: str
    command: Sequence[str]
    log: Path
    grace_seconds: float = 20.0
    process: subprocess.Popen[bytes] | None = None
    #: Ends in a row, each soon after the start.
    failures: int = 0
    _born: float = field(default=0.0, repr=False)
    _again: float = field(default=0.0, repr=False)
    _read: int = field(default=0, repr=False)

    def start(self, environment: Mapping[str, str]) -> None:
        """Start the process; its output is appended to its log."""
        self._read = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        self._born = time.monotonic()

    def ended(self) -> int | None:
        """Return how the process ended, and what it left behind with it; `None` while it lives."""
        if self.process is None or (code := self.process.poll()) is None:
            return None
        # A worker that was killed leaves the process that computes for it.
        _signal_group(self.process.pid, signal.SIGKILL)
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process = None
        self.failures = 1 if time.monotonic() - self._born > HEALTHY_SECONDS else self.failures + 1
        self._again = time.monotonic() + self.pause_seconds()
        return code

    def pause_seconds(self) -> float:
        """How long to wait before the next start: 1 s, then doubled each time, at most 30 s."""
        return float(min(2 ** max(self.failures - 1, 0), LONGEST_PAUSE_SECONDS))

    def is_due(self) -> bool:
        """Tell whether the process is down and its pause over."""
        return self.process is None and time.monotonic() >= self._again

    def new_errors(self) -> list[str]:
        """Return the error lines written to the log since the last call."""
        if not self.log.exists() or (size := self.log.stat().st_size) == self._read:
            return []
        with self.log.open("rb") as log:
            # A log that became smaller was cut; start over.
            log.seek(self._read if self._read < size else 0)
            lines = log.read(1_000_000).decode(errors="replace").splitlines()
            self._read = size
        return [line for line in lines if logs.is_error(line)]

    def last_lines(self, count: int = 5) -> list[str]:
        """Return the end of the log."""
        return tail(self.log, count)


class Supervisor:
    """Starts children, watches over them, and ends them.

    Args:
        children: in the order of starting; they are ended in reverse, same names' stems together.
        environment: of each child.
        record: file that names the children, for `end_leftovers` of a later process.
        say: shows a line to the user.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        environment: Mapping[str, str],
        record: Path,
        say: Callable[[str], None],
    ) -> None:
        self.children = list(children)
        self._environment = environment
        self._record = record
        self._say = say
        self._shown: dict[str, float] = {}

    def start(self) -> None:
        """Start every child."""
        for child in self.children:
            child.start(self._environment)
        self._write_record()

    def check(self) -> None:
        """Start again who died and whose pause is over; show errors. To be called often."""
        for child in self.children:
            for line in child.new_errors():
                self._show_error(child, line)
            if (code := child.ended()) is not None:
                self._say(
                    f"{child.name} ended ({describe_exit(code)}); starting it again in "
                    f"{child.pause_seconds():.0f} s. Its log: {child.log}"
                )
                for line in child.last_lines():
                    self._say(f"    {line.strip()[:300]}")
            elif child.is_due():
                child.start(self._environment)
                self._write_record()
            _cut(child.log)

    def is_hopeless(self) -> bool:
        """Tell whether the first child, which the others are there for, ends again and again."""
        return self.children[0].failures >= HOPELESS_FAILURES

    def stop(self) -> None:
        """End every child, the last started first; returns when none is left."""
        for child in reversed(self.children):
            if child.process is not None:
                _signal(child.process, signal.SIGTERM)
                self._await(child, [c for c in self.children if c.command == child.command])
        self._record.unlink(missing_ok=True)

    def _await(self, child: Child, twins: list[Child]) -> None:
        # Children of one kind end side by side.
        for twin in twins:
            if twin.process is not None:
                _signal(twin.process, signal.SIGTERM)
        limit = time.monotonic() + child.grace_seconds
        for twin in twins:
            if twin.process is None:
                continue
            try:
                twin.process.wait(max(limit - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                self._say(f"{twin.name} did not end in {child.grace_seconds:.0f} s: killed")
                _signal_group(twin.process.pid, signal.SIGKILL)
                twin.process.wait()
            twin.ended()

    def _show_error(self, child: Child, line: str) -> None:
        """Show an error, unless the like of it was shown a moment ago: they come in swarms."""
        # Between the level and the logger's name stands the event, without its particulars.
        event = f"{child.name}: {line.partition(']')[2].partition('[')[0] or line[:100]}"
        if time.monotonic() - self._shown.get(event, -SAME_ERROR_SECONDS) >= SAME_ERROR_SECONDS:
            self._shown[event] = time.monotonic()
            self._say(f"{child.name}: {line.strip()[:300]}  (log: {child.log})")

    def _write_record(self) -> None:
        entries = []
        for child in self.children:
            if child.process is not None:
                with suppress(psutil.NoSuchProcess):
                    born = psutil.Process(child.process.pid).create_time()
                    entries.append({"name": child.name, "pid": child.process.pid, "born": born})
        draft = self._record.with_suffix(".new")
        draft.write_text(json.dumps(entries))
        draft.replace(self._record)


def end_leftovers(record: Path, *, timeout_seconds: float = 10.0) -> int:
    """End the children that a killed supervisor left, and return how many there were.

    They end by themselves as soon as they notice; this waits for it, then kills.
    """
    try:
        entries = json.loads(record.read_text())
    except (OSError, ValueError):
        return 0
    left = []
    for entry in entries:
        with suppress(psutil.Error):
            process = psutil.Process(entry["pid"])
            # The number may have been given to another program since.
            if abs(process.create_time() - entry["born"]) < 0.01:
                left.append(process)
    _, stubborn = psutil.wait_procs(left, timeout=timeout_seconds)
    for process in stubborn:
        _signal_group(process.pid, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=timeout_seconds)
    record.unlink(missing_ok=True)
    return len(left)


@contextmanager
def only_one(lock: Path, message: Callable[[str], str]) -> Iterator[Callable[[str], None]]:
    """Hold a lock that the system frees when we die, and yield a function that notes who we are.

    Args:
        lock: the lock's file.
        message: makes the error's text out of the holder's note.

    Raises:
        StartError: if another process holds it.
    """
    with lock.open("a+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            held.seek(0)
            raise errors.StartError(message(held.read().strip())) from error

        def note(text: str) -> None:
            held.seek(0)
            held.truncate()
            held.write(text)
            held.flush()

        note("")
        yield note
        note("")


def find_holder(lock: Path) -> str | None:
    """Return the note of the process that holds a lock; `None` if nobody does."""
    try:
        with lock.open("r+") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return held.read().strip()
    except FileNotFoundError:
        pass
    return None


def watch_parent() -> None:
    """Make this process end when the supervisor that started it is gone.

    Its standard input is a pipe that the supervisor never writes to; the pipe's end means that the
    supervisor is dead, even by kill -9.
    """
    threading.Thread(target=_end_with_parent, name="watch-parent", daemon=True).start()


def _end_with_parent() -> None:
    with suppress(OSError):
        while os.read(0, 1024):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(20)
    _signal_group(os.getpid(), signal.SIGKILL)


def describe_exit(code: int) -> str:
    """Say how a process ended: `exit code 1`, `killed by SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def tail(log: Path, count: int) -> list[str]:
    """Return the last lines of a log."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - 20_000, 0))
        return file.read().decode(errors="replace").splitlines()[-count:]


def _cut(log: Path) -> None:
    """Keep a log that grew too long as LOG.1 and empty it; its writer appends, and goes on."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.with_suffix(".log.1").write_bytes(log.read_bytes())
        os.truncate(log, 0)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)

"""The supervisor with real children: started again, ended together, never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.waiting import wait_for
from tradeoff import errors, supervisor

SOURCE = str(Path(supervisor.__file__).parents[1])
SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(100)"]


def check_until(watching: supervisor.Supervisor, condition: Callable[[], object]) -> None:
    def check() -> object:
        watching.check()
        return condition()

    wait_for(check)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def watch(tmp_path: Path, said: list[str]) -> Iterator[Callable[..., supervisor.Supervisor]]:
    made = []

    def build(*children: supervisor.Child) -> supervisor.Supervisor:
        watching = supervisor.Supervisor(
            children,
            environment={"PATH": os.defpath, "PYTHONPATH": SOURCE},
            record=tmp_path / "children.json",
            say=said.append,
        )
        watching.start()
        made.append(watching)
        return watching

    yield build
    for watching in made:
        watching.stop()


def test_killed_child_is_started_again_after_a_second(
    tmp_path: Path, said: list[str], watch: Callable[..., supervisor.Supervisor]
) -> None:
    child = supervisor.Child("worker-1", SLEEPER, tmp_path / "worker-1.log")
    watching = watch(child)
    assert child.process is not None
    first = child.process.pid
    wait_for(lambda: child.last_lines())

    os.kill(first, signal.SIGKILL)
    check_until(watching, lambda: child.process is None)
    died = time.monotonic()
    check_until(watching, lambda: child.process is not None)

    assert time.monotonic() - died >= 0.9
    assert child.process.pid != first
    assert any("killed by SIGKILL" in line and "worker-1.log" in line for line in said)


def test_pauses_double_up_to_thirty_seconds(tmp_path: Path) -> None:
    child = supervisor.Child("x", ["false"], tmp_path / "x.log")
    pauses = []
    for _ in range(7):
        child.start({})
        wait_for(lambda: child.ended() is not None)
        pauses.append(child.pause_seconds())

    assert pauses == [1, 2, 4, 8, 16, 30, 30]


def test_stop_leaves_nothing_even_of_the_stubborn(
    tmp_path: Path, said: list[str], watch: Callable[..., supervisor.Supervisor]
) -> None:
    stubborn = textwrap.dedent(
        """
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(subprocess.Popen(["sleep", "100"]).pid, flush=True)
        time.sleep(100)
        """
    )
    child = supervisor.Child(
        "x", [sys.executable, "-c", stubborn], tmp_path / "x.log", grace_seconds=0.3
    )
    watching = watch(child)
    wait_for(lambda: child.last_lines())
    grandchild = int(child.last_lines()[0])

    watching.stop()

    assert child.process is None
    wait_for(lambda: not psutil.pid_exists(grandchild))
    assert any("killed" in line for line in said)
    assert not (tmp_path / "children.json").exists()


def test_what_a_killed_child_had_started_ends_with_it(
    tmp_path: Path, watch: Callable[..., supervisor.Supervisor]
) -> None:
    parent = (
        "import subprocess, time;"
        "print(subprocess.Popen(['sleep', '100']).pid, flush=True); time.sleep(100)"
    )
    child = supervisor.Child("x", [sys.executable, "-c", parent], tmp_path / "x.log")
    watching = watch(child)
    wait_for(lambda: child.last_lines())
    grandchild = int(child.last_lines()[0])
    assert child.process is not None

    os.kill(child.process.pid, signal.SIGKILL)
    check_until(watching, lambda: child.process is None)

    wait_for(lambda: not psutil.pid_exists(grandchild))


def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import os, pathlib, sys, time
        from tradeoff import supervisor
        folder = pathlib.Path(sys.argv[1])
        child = "from tradeoff import supervisor; supervisor.watch_parent(); import time; "
        child += "print('up', flush=True); time.sleep(100)"
        kid = supervisor.Child("x", [sys.executable, "-c", child], folder / "x.log")
        supervisor.Supervisor(
            [kid], environment=os.environ, record=folder / "children.json", say=print
        ).start()
        while not kid.last_lines():
            time.sleep(0.02)
        print(kid.process.pid, flush=True)
        time.sleep(100)
        """
    )
    environment = {"PATH": os.defpath, "PYTHONPATH": SOURCE}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, env=environment
    ) as killed:
        assert killed.stdout is not None
        child = int(killed.stdout.readline())
        killed.kill()

    wait_for(lambda: not psutil.pid_exists(child) or _is_zombie(child))
    supervisor.end_leftovers(tmp_path / "children.json")
    assert not (tmp_path / "children.json").exists()


def test_leftovers_are_ended_and_strangers_are_not(tmp_path: Path) -> None:
    record = tmp_path / "children.json"
    with (
        subprocess.Popen(["sleep", "100"], start_new_session=True) as left,
        subprocess.Popen(["sleep", "100"], start_new_session=True) as stranger,
    ):
        born = psutil.Process(left.pid).create_time()
        record.write_text(
            f'[{{"pid": {left.pid}, "born": {born}}}, {{"pid": {stranger.pid}, "born": 1.0}}]'
        )

        count = supervisor.end_leftovers(record, timeout_seconds=0.2)

        assert count == 1
        assert not psutil.pid_exists(left.pid)
        assert stranger.poll() is None
        stranger.kill()


def test_errors_in_a_log_are_shown_once(
    tmp_path: Path, said: list[str], watch: Callable[..., supervisor.Supervisor]
) -> None:
    child = supervisor.Child("api", SLEEPER, tmp_path / "api.log")
    watching = watch(child)
    with child.log.open("a") as log:
        log.write("2026-01-01 [info     ] fine [tradeoff]\n")
        log.write("2026-01-01 [error    ] the disk is full [tradeoff] request=1\n")
        log.write("2026-01-02 [error    ] the disk is full [tradeoff] request=2\n")

    watching.check()
    watching.check()

    assert len(said) == 1
    assert said[0].startswith("api: 2026-01-01 [error    ] the disk is full [tradeoff] request=1")


def test_only_one_holds_the_lock_and_says_who(tmp_path: Path) -> None:
    lock = tmp_path / "up.lock"

    with supervisor.only_one(lock, lambda note: f"taken by {note}") as note:
        note("me")
        assert supervisor.find_holder(lock) == "me"
        with (
            pytest.raises(errors.StartError, match="taken by me"),
            supervisor.only_one(lock, lambda note: f"taken by {note}"),
        ):
            pass

    assert supervisor.find_holder(lock) is None
    assert supervisor.find_holder(tmp_path / "never") is None


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True

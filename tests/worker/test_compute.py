"""The engine's child process: answers, dies, comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from tests.builders import make_history, make_spec
from tradeoff.engine.state import State
from tradeoff.worker.compute import EngineFailed, EngineProcess, Question


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineProcess]:
    process = EngineProcess()
    process.start()
    yield process
    process.close()


def make_question(observations: int = 12, q: int = 2) -> Question:
    return Question(make_spec(), make_history(observations), q, State.initial(1), "cpu")


def child_of(engine: EngineProcess) -> psutil.Process:
    assert engine._process is not None
    assert engine._process.pid is not None
    return psutil.Process(engine._process.pid)


def test_the_engine_answers_from_its_process(engine: EngineProcess) -> None:
    suggested = engine.ask(make_question(), limit_seconds=60)

    assert len(suggested.candidates) == 2
    assert {candidate.source for candidate in suggested.candidates} == {"model"}


def test_a_killed_child_is_reported_and_replaced(engine: EngineProcess) -> None:
    engine.start()
    child_of(engine).kill()

    # The first question may meet the dead child; after that a new one answers.
    try:
        engine.ask(make_question(), limit_seconds=60)
    except EngineFailed:
        engine.ask(make_question(), limit_seconds=60)


def test_a_child_killed_in_the_middle_of_its_work_fails_the_question(
    engine: EngineProcess,
) -> None:
    engine.start()
    child = child_of(engine)
    timer = threading.Timer(0.5, child.kill)
    timer.start()

    with pytest.raises(EngineFailed, match="died"):
        engine.ask(make_question(observations=400, q=64), limit_seconds=120)


def test_work_past_its_time_limit_is_ended(engine: EngineProcess) -> None:
    engine.start()
    child = child_of(engine)
    started = time.monotonic()

    with pytest.raises(EngineFailed, match="not done after"):
        engine.ask(make_question(observations=400, q=64), limit_seconds=0.3)

    assert time.monotonic() - started < 30
    assert not child.is_running()


def test_an_engine_that_raises_fails_the_question_with_its_reason(engine: EngineProcess) -> None:
    question = make_question()
    broken = replace(question, spec=None)  # type: ignore[arg-type]  # that is the point

    with pytest.raises(EngineFailed, match=r"AttributeError|TypeError"):
        engine.ask(broken, limit_seconds=60)

    assert engine.ask(question, limit_seconds=60).candidates

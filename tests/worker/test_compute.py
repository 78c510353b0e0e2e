"""The engine's child process: answers, dies, comes back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from tests.builders import make_history, make_spec
from tests.worker import hooks
from tradeoff import measures
from tradeoff.engine.state import State
from tradeoff.worker.compute import EngineFailed, EngineProcess, Question, _complete, _Message


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineProcess]:
    """The one that users have."""
    process = EngineProcess()
    process.start()
    yield process
    process.close()


@pytest.fixture(scope="module")
def quick_engine() -> Iterator[EngineProcess]:
    """Answers at once, but for the poisonous experiment; a new child of it starts soon."""
    process = EngineProcess(engine=hooks.takes_long_for_poison)
    process.start()
    yield process
    process.close()


def make_question(observations: int = 12, q: int = 2) -> Question:
    return Question(make_spec(), make_history(observations), q, State.initial(1), "cpu")


def poisonous_question() -> Question:
    spec = make_spec(observation_budget=hooks.POISON_BUDGET)
    return Question(spec, make_history(8), 1, State.initial(1), "cpu")


def child_of(engine: EngineProcess) -> psutil.Process:
    assert engine._process is not None
    assert engine._process.pid is not None
    return psutil.Process(engine._process.pid)


def test_the_engine_answers_from_its_process(engine: EngineProcess) -> None:
    suggested = engine.ask(make_question(), limit_seconds=60)

    assert len(suggested.candidates) == 2
    assert {candidate.source for candidate in suggested.candidates} == {"model"}


def test_a_killed_child_is_reported_and_replaced(quick_engine: EngineProcess) -> None:
    quick_engine.start()
    child_of(quick_engine).kill()

    # The first question may meet the dead child; after that a new one answers.
    try:
        quick_engine.ask(make_question(), limit_seconds=60)
    except EngineFailed:
        quick_engine.ask(make_question(), limit_seconds=60)


def test_a_child_killed_in_the_middle_of_its_work_fails_the_question(
    quick_engine: EngineProcess,
) -> None:
    quick_engine.start()
    child = child_of(quick_engine)
    timer = threading.Timer(0.5, child.kill)
    timer.start()

    with pytest.raises(EngineFailed, match="died"):
        quick_engine.ask(poisonous_question(), limit_seconds=120)


def test_work_past_its_time_limit_is_ended(engine: EngineProcess) -> None:
    """A fit that the real engine is in the middle of."""
    engine.start()
    child = child_of(engine)

    with pytest.raises(EngineFailed, match="not done after"):
        engine.ask(make_question(observations=400, q=64), limit_seconds=0.3)

    assert not child.is_running()


def test_an_engine_that_raises_fails_the_question_with_its_reason(
    quick_engine: EngineProcess,
) -> None:
    question = make_question()
    broken = replace(question, spec=None)  # type: ignore[arg-type]  # that is the point

    with pytest.raises(EngineFailed, match=r"AttributeError|TypeError"):
        quick_engine.ask(broken, limit_seconds=60)

    assert quick_engine.ask(question, limit_seconds=60).candidates


def test_prometheus_is_told_how_long_it_took_and_why_there_is_no_answer(
    quick_engine: EngineProcess,
) -> None:
    def told(name: str, **labels: str) -> float:
        labels["act"] = "suggest"
        return measures.REGISTRY.get_sample_value(f"tradeoff_engine_{name}", labels) or 0.0

    broken = replace(make_question(), spec=None)  # type: ignore[arg-type]  # that is the point
    before = {reason: told("failures_total", reason=reason) for reason in measures.REASONS}
    asked = told("seconds_count", device="cpu")

    with pytest.raises(EngineFailed):
        quick_engine.ask(broken, limit_seconds=60)
    with pytest.raises(EngineFailed):
        quick_engine.ask(poisonous_question(), limit_seconds=0.3)
    quick_engine.ask(make_question(), limit_seconds=60)

    after = {reason: told("failures_total", reason=reason) for reason in measures.REASONS}
    assert after == before | {"raised": before["raised"] + 1, "time": before["time"] + 1}
    assert told("seconds_count", device="cpu") == asked + 3
    held = measures.REGISTRY.get_sample_value("tradeoff_engine_memory_bytes")
    assert held is not None
    assert held > 50 * 2**20


# What the child keeps


def past_question(count: int, *, past: tuple[int, int] | None = (1, 0)) -> Question:
    return Question(make_spec(), make_history(count), 1, State.initial(1), "cpu", past=past)


def observations_seen(engine: EngineProcess, question: Question) -> int:
    answer = engine.ask(question, limit_seconds=60)
    return int(answer.candidates[0].explanation["observations"])


def test_a_question_carries_only_what_the_child_has_not_got(quick_engine: EngineProcess) -> None:
    assert observations_seen(quick_engine, past_question(10)) == 10

    message = quick_engine._shorten(past_question(12))

    assert message.known == 10
    assert message.question.history.observations == make_history(12).observations[10:]


def test_the_engine_sees_the_whole_history_however_it_came(quick_engine: EngineProcess) -> None:
    for count, past in ((5, (2, 0)), (7, (2, 0)), (3, (3, 0)), (8, (2, 0)), (6, (2, 1))):
        assert observations_seen(quick_engine, past_question(count, past=past)) == count
    # A shorter one of the same past, too: the older of two tasks, asked last.
    assert observations_seen(quick_engine, past_question(4, past=(2, 0))) == 4
    assert observations_seen(quick_engine, past_question(8, past=(2, 0))) == 8
    assert observations_seen(quick_engine, past_question(2, past=None)) == 2


def test_a_new_child_is_sent_everything(quick_engine: EngineProcess) -> None:
    assert observations_seen(quick_engine, past_question(9, past=(4, 0))) == 9
    assert quick_engine._process is not None
    quick_engine._process.kill()
    quick_engine._process.join(10)

    assert observations_seen(quick_engine, past_question(10, past=(4, 0))) == 10


def test_the_child_forgets_what_was_not_asked_for_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradeoff.worker.compute.MOST_EXPERIMENTS", 2)
    with contextlib.closing(EngineProcess(engine=hooks.quick)) as engine:
        for past in ((1, 0), (2, 0), (3, 0)):
            assert observations_seen(engine, past_question(5, past=past)) == 5

        assert engine._shorten(past_question(5, past=(3, 0))).known == 5
        message = engine._shorten(past_question(5, past=(1, 0)))
        assert message.known == 0
        assert message.forget == ((2, 0),)


def test_a_forgotten_history_leaves_the_childs_memory() -> None:
    history = make_history(6)
    kept = {(1, 0): history.observations}
    message = _Message(past_question(6, past=(2, 0)), known=0, forget=((1, 0),))

    question = _complete(message, kept)

    assert question.history == history
    assert kept == {(2, 0): history.observations}


# Memory


def test_a_child_that_takes_too_much_memory_is_ended() -> None:
    with contextlib.closing(
        EngineProcess(engine=hooks.eats_memory_for_poison, memory_bytes=hooks.MEMORY)
    ) as engine:
        engine.start()
        child = child_of(engine)

        with pytest.raises(EngineFailed, match="more than 500 MB of memory"):
            engine.ask(poisonous_question(), limit_seconds=120)

        assert not child.is_running()
        assert observations_seen(engine, past_question(8)) == 8


def test_the_engine_needs_little_memory(engine: EngineProcess) -> None:
    engine.ask(make_question(observations=100), limit_seconds=60)

    assert child_of(engine).memory_info().rss < 1_000 * 2**20

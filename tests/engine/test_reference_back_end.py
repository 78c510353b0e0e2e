"""BoTorch's stock loop as the back end of `suggest`, by a field of the spec."""

from __future__ import annotations

import pytest

from tests.engine.histories import history_of
from tests.engine.specs import category, double, integer, spec_of
from tradeoff.engine import reference, suggest
from tradeoff.engine.state import State

SPEC = spec_of(double("x"), integer("k", 1, 4), category("c", "a", "b"), metrics=["gain"])
SMALL = spec_of(integer("k", 1, 6), metrics=["gain"])


@pytest.fixture(autouse=True)
def small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RESTARTS", 2), ("RAW_SAMPLES", 32), ("SAMPLES", 16)):
        monkeypatch.setattr(reference, name, value)


def test_it_answers_in_the_place_of_the_model_and_says_so() -> None:
    spec = SPEC.model_copy(update={"engine": "reference"})
    history = history_of(spec, 10, failing=0.2, pending=1)

    first, again = (suggest.suggest(spec, history, 2, State.initial(3)) for _ in range(2))

    assert first == again
    for candidate in first.candidates:
        assert candidate.source == "model"
        assert candidate.explanation["method"] == "BoTorch's stock loop"
        assert candidate.explanation["reason"] is None
        told = candidate.explanation["metrics"]["gain"]
        assert told["low"] < told["mean"] < told["high"]
    ours = suggest.suggest(SPEC, history, 1, State.initial(3))
    assert ours.candidates[0].explanation["method"] == "expected improvement"


def test_it_repeats_nothing_while_there_is_anything_else() -> None:
    spec = SMALL.model_copy(update={"engine": "reference"})
    history = history_of(spec, 5)

    (candidate,) = suggest.suggest(spec, history, 1, State.initial(0)).candidates

    assert candidate.assignments not in [o.assignments for o in history.observations]


def test_what_fails_in_it_is_answered_by_something_simpler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(reference, "fit", broken)
    spec = SPEC.model_copy(update={"engine": "reference"})

    (candidate,) = suggest.suggest(spec, history_of(spec, 10), 1, State.initial(0)).candidates

    assert candidate.source == "space_filling"
    assert "RuntimeError" in candidate.explanation["reason"]

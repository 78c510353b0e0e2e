"""Three failures within an hour lead down, an hour later everything is attempted again."""

from __future__ import annotations

import datetime

import pytest

from tests.service.acts import create
from tradeoff.service import ladder
from tradeoff.service.access import Principal
from tradeoff.store import clock, tables
from tradeoff.store.database import Session


@pytest.fixture
def experiment(session: Session, principal: Principal) -> tables.Experiment:
    return create(session, principal)


def fail(session: Session, experiment: tables.Experiment, times: int) -> list[int]:
    return [ladder.note_failure(session, experiment.id) for _ in range(times)]


def let_pass(session: Session, experiment: tables.Experiment, **time: float) -> None:
    """As if everything so far were longer ago."""
    passed = datetime.timedelta(**time)
    for column in ("rung_until", "refresh_failing_since"):
        moment = getattr(experiment, column)
        setattr(experiment, column, None if moment is None else moment - passed)
    session.flush()


def test_every_third_failure_leads_one_rung_down(
    session: Session, experiment: tables.Experiment
) -> None:
    assert ladder.read_rung(session, experiment) == ladder.FULL
    assert fail(session, experiment, 9) == [0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert ladder.read_rung(session, experiment) == ladder.WITHOUT_MODEL
    # The refresh of somebody who read an earlier rung.
    assert fail(session, experiment, 3) == [3, 3, 3]


def test_an_hour_later_everything_is_attempted_again(
    session: Session, experiment: tables.Experiment
) -> None:
    fail(session, experiment, 6)
    let_pass(session, experiment, minutes=59)
    assert ladder.read_rung(session, experiment) == ladder.LIGHT

    let_pass(session, experiment, minutes=1)

    assert ladder.read_rung(session, experiment) == ladder.FULL
    assert fail(session, experiment, 3) == [0, 0, 1]


def test_failures_far_apart_do_not_add_up(session: Session, experiment: tables.Experiment) -> None:
    for _ in range(4):
        assert fail(session, experiment, 2) == [0, 0]
        let_pass(session, experiment, hours=1)

    assert experiment.rung == 0


def test_the_rung_is_left_an_hour_after_it_was_reached(
    session: Session, experiment: tables.Experiment
) -> None:
    fail(session, experiment, 3)
    let_pass(session, experiment, minutes=30)
    fail(session, experiment, 2)

    assert experiment.rung_until == clock.read(session) + datetime.timedelta(minutes=30)
    let_pass(session, experiment, minutes=30)
    # Those two were on another rung.
    assert fail(session, experiment, 2) == [0, 0]


def test_want_of_time_or_memory_leads_down_at_once(
    session: Session, experiment: tables.Experiment
) -> None:
    assert ladder.note_failure(session, experiment.id, overran=True) == ladder.SUBSET
    assert fail(session, experiment, 2) == [1, 1]
    assert ladder.note_failure(session, experiment.id, overran=True) == ladder.LIGHT

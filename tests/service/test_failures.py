"""Transient failures: nothing is learnt, and the configuration is served again, within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, select

from tests.builders import make_experiment
from tests.conftest import Account
from tests.crowd import THREADS, at_once
from tests.service.acts import (
    ONE,
    clear_queue,
    create,
    evaluations,
    finish_design,
    report,
    waiting,
)
from tradeoff.errors import BadInput, Unavailable
from tradeoff.service import experiments, observations, suggestions
from tradeoff.service.access import Principal
from tradeoff.service.observations import Report
from tradeoff.store import buffer, history, tables
from tradeoff.store import experiments as stored_experiments
from tradeoff.store import observations as stored_observations
from tradeoff.store import suggestions as stored
from tradeoff.store.database import Database, Session
from tradeoff.store.drafts import Draft


@pytest.fixture
def experiment(session: Session, principal: Principal) -> tables.Experiment:
    """Past its design, with an empty buffer and an empty queue."""
    made = create(session, principal)
    finish_design(session, made)
    return made


@pytest.fixture
def made(wide: Database, shared_account: Account) -> Iterator[int]:
    """A committed experiment with an empty buffer."""
    experiment_id = make_experiment(wide, shared_account, **ONE)
    with wide.transaction() as session:
        finish_design(session, stored_experiments.get(session, experiment_id))
    yield experiment_id
    with wide.transaction() as session:
        clear_queue(session)


def refill(session: Session, experiment: tables.Experiment, *numbers: float) -> None:
    suggestions.fill_buffer(
        session,
        experiment.id,
        [Draft({"x": number}, "model", {"why": number}) for number in numbers],
        revision=experiment.revision,
        observations_seen=experiment.observation_count,
    )


def ask(session: Session, experiment: tables.Experiment) -> tables.Suggestion | None:
    return suggestions.serve(session, experiment, accept_stale=False)


def must(session: Session, experiment: tables.Experiment) -> tables.Suggestion:
    row = ask(session, experiment)
    assert row is not None
    return row


def die(
    session: Session, experiment: tables.Experiment, row: tables.Suggestion, **fields: Any
) -> tables.Observation:
    """Report that the machine died."""
    told = Report(suggestion_id=row.id, failed=True, transient=True, **fields)
    observed = observations.report(session, experiment, told)
    session.refresh(row)
    return observed


def queued(session: Session, experiment: tables.Experiment) -> list[tables.Suggestion]:
    query = select(tables.Suggestion).where(
        tables.Suggestion.experiment_id == experiment.id, tables.Suggestion.state == "queued"
    )
    return list(session.scalars(query).all())


def counts(experiment: tables.Experiment) -> tuple[int, int, int]:
    return experiment.observation_count, experiment.failure_count, experiment.transient_count


def test_it_is_served_again_before_everything_else(
    session: Session, experiment: tables.Experiment
) -> None:
    refill(session, experiment, 0.3, 0.4)
    first = must(session, experiment)
    die(session, experiment, first)
    refill(session, experiment, 0.5)  # a newer buffer, which replaces what was ready
    report(session, experiment, x=0.9)  # nothing of it is fresh now

    again = must(session, experiment)

    assert (first.state, first.attempt) == ("closed", 0)
    assert again.id != first.id
    assert (again.state, again.attempt, again.source) == ("open", 1, "model")
    assert (again.assignments, again.explanation) == ({"x": 0.3}, {"why": 0.3})
    assert (again.observations_seen, again.computed) == (first.observations_seen, first.computed)
    assert ask(session, experiment) is None


def test_it_is_served_again_so_often_and_no_more(
    session: Session, experiment: tables.Experiment
) -> None:
    refill(session, experiment, 0.3)
    row = must(session, experiment)
    attempts = []

    for _ in range(buffer.MAX_ATTEMPTS):
        die(session, experiment, row)
        row = must(session, experiment)
        attempts.append((row.attempt, row.assignments["x"]))
    die(session, experiment, row)

    assert attempts == [(1, 0.3), (2, 0.3)]
    assert queued(session, experiment) == []
    assert ask(session, experiment) is None


def test_nothing_is_learnt_and_nothing_computed_anew(
    session: Session, experiment: tables.Experiment
) -> None:
    refill(session, experiment, 0.3, 0.4)
    row = must(session, experiment)
    clear_queue(session)
    before = history.load(session, experiment.id)
    revision = experiment.revision

    die(session, experiment, row)

    assert history.load(session, experiment.id) == before  # the configuration is still pending
    assert (experiment.revision, waiting(session)) == (revision, 0)
    assert counts(experiment) == (7, 1, 1)


def test_it_is_no_failure_of_the_design(session: Session, principal: Principal) -> None:
    experiment = create(session, principal)
    for number in range(3):
        report(session, experiment, x=number / 10)
    for number in range(40):
        told = Report(assignments={"x": number / 40}, failed=True, transient=True)
        observations.report(session, experiment, told)

    assert suggestions.is_initial(experiment)
    for number in range(20):
        report(session, experiment, x=number / 40, failed=True)
    assert not suggestions.is_initial(experiment)


@pytest.mark.parametrize("kind", ["offline", "random", "grid"])
def test_every_kind_of_experiment_serves_it_again(
    session: Session, principal: Principal, kind: str
) -> None:
    levels = [{"name": "x", "type": "int", "grid": [1, 2, 3]}]
    space = {"parameters": levels} if kind == "grid" else {}
    experiment = create(session, principal, type=kind, **space)
    first = must(session, experiment)
    die(session, experiment, first)

    again = must(session, experiment)
    others = [must(session, experiment).assignments["x"] for _ in range(2)]

    assert again.assignments == first.assignments
    assert len({again.assignments["x"], *others}) == 3


def test_what_becomes_known_meanwhile_is_not_served_again(
    session: Session, experiment: tables.Experiment
) -> None:
    refill(session, experiment, 0.3)
    die(session, experiment, must(session, experiment))
    assert len(queued(session, experiment)) == 1

    report(session, experiment, x=0.3)

    assert ask(session, experiment) is None
    refill(session, experiment, 0.4)
    assert queued(session, experiment) == []  # a refresh tidies up


def test_one_report_of_several_says_what_is_known(
    session: Session, experiment: tables.Experiment
) -> None:
    refill(session, experiment, 0.3)
    row = must(session, experiment)
    died = Report(suggestion_id=row.id, failed=True, transient=True)
    measured = Report(suggestion_id=row.id, values=evaluations(loss=1.0))

    observations.report_many(session, experiment, [died, measured])

    assert queued(session, experiment) == []


def test_a_second_word_about_the_same_does_not_serve_it_twice(
    session: Session, experiment: tables.Experiment
) -> None:
    refill(session, experiment, 0.3)
    row = must(session, experiment)

    die(session, experiment, row)
    die(session, experiment, row, metadata={"again": 1})

    assert len(queued(session, experiment)) == 1
    assert counts(experiment) == (8, 2, 2)


def test_what_somebody_else_tries_is_not_served_again(
    session: Session, experiment: tables.Experiment
) -> None:
    refill(session, experiment, 0.3)
    row = must(session, experiment)
    suggestions.add(session, experiment, {"x": 0.3})

    die(session, experiment, row)

    assert queued(session, experiment) == []


def test_a_lapsed_one_that_died_is_served_again(
    session: Session, experiment: tables.Experiment
) -> None:
    refill(session, experiment, 0.3)
    row = must(session, experiment)
    row.state = "lapsed"
    session.flush()

    die(session, experiment, row)

    assert must(session, experiment).assignments == {"x": 0.3}


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ({"failed": True}, {"failure_kind": "transient"}, (7, 1, 1)),
        ({"failed": True}, {"failure_kind": None}, (7, 1, 0)),
        ({"failed": True, "transient": True}, {"failure_kind": "infeasible"}, (7, 1, 0)),
        ({"failed": True, "transient": True}, {"failed": True}, (7, 1, 1)),
        (
            {"failed": True, "transient": True},
            {"failed": False, "values": evaluations(loss=2.0)},
            (7, 0, 0),
        ),
        (
            {"values": evaluations(loss=2.0)},
            {"failed": True, "values": None, "failure_kind": "transient"},
            (7, 1, 1),
        ),
        ({"values": evaluations(loss=2.0)}, {"failed": True, "values": None}, (7, 1, 0)),
    ],
)
def test_a_correction_counts_and_serves_accordingly(
    session: Session,
    experiment: tables.Experiment,
    before: dict[str, Any],
    changes: dict[str, Any],
    after: tuple[int, int, int],
) -> None:
    refill(session, experiment, 0.3)
    row = must(session, experiment)
    told = Report(suggestion_id=row.id, **before)
    observed = observations.report(session, experiment, told)
    revision, rewrites = experiment.revision, experiment.rewrites

    observations.change(session, experiment, observed, changes)

    assert counts(experiment) == after
    assert (experiment.revision, experiment.rewrites) == (revision + 1, rewrites + 1)
    served = ask(session, experiment)
    assert (served is not None) is bool(after[2])
    known = {each.assignments["x"] for each in history.load(session, experiment.id).observations}
    assert (0.3 in known) is not bool(after[2])


def test_only_failures_have_a_kind(session: Session, experiment: tables.Experiment) -> None:
    odd = Report(assignments={"x": 1}, values=evaluations(loss=1.0), transient=True)
    with pytest.raises(BadInput, match=r"^failure_kind: only an observation with failed: true"):
        observations.report(session, experiment, odd)
    observed = report(session, experiment, x=0.9)

    with pytest.raises(BadInput, match=r"^failure_kind: only an observation with failed: true"):
        observations.change(session, experiment, observed, {"failure_kind": "transient"})


def test_deleting_the_observation_lets_the_configuration_be_tried_all_the_same(
    session: Session, experiment: tables.Experiment
) -> None:
    refill(session, experiment, 0.3)
    observed = die(session, experiment, must(session, experiment))
    revision = experiment.revision

    observations.delete(session, experiment, observed)

    assert (counts(experiment), experiment.revision) == ((6, 0, 0), revision)
    assert must(session, experiment).assignments == {"x": 0.3}


def test_nothing_is_served_again_of_a_past_that_is_gone(
    session: Session, experiment: tables.Experiment
) -> None:
    refill(session, experiment, 0.3)
    die(session, experiment, must(session, experiment))

    observations.delete_all(session, experiment)

    assert counts(experiment) == (0, 0, 0)
    assert queued(session, experiment) == []


def test_nothing_is_served_again_of_another_space(
    session: Session, experiment: tables.Experiment
) -> None:
    refill(session, experiment, 0.3)
    die(session, experiment, must(session, experiment))
    new = {"name": "new", "type": "int", "bounds": {"min": 0, "max": 9}, "default_value": 1}

    experiments.change(session, experiment, {"parameters": [{"name": "x"}, new]})

    assert queued(session, experiment) == []


def test_many_askers_get_what_is_served_again_once(wide: Database, made: int) -> None:
    with wide.transaction() as session:
        experiment = stored_experiments.get(session, made)
        refill(session, experiment, *(0.2 + number / 100 for number in range(4)))
        for row in [must(session, experiment) for _ in range(4)]:
            die(session, experiment, row)

    def take(_: int) -> tuple[int, float] | None:
        with wide.transaction() as session:
            row = ask(session, stored_experiments.get(session, made))
            return None if row is None else (row.id, row.assignments["x"])

    taken = [each for each in at_once(THREADS, take) if each is not None]

    assert len(taken) == len(set(taken)) == len({x for _, x in taken}) == 4


def test_reports_at_once_serve_it_again_once(wide: Database, made: int) -> None:
    with wide.transaction() as session:
        experiment = stored_experiments.get(session, made)
        refill(session, experiment, 0.3)
        row_id = must(session, experiment).id

    def tell(index: int) -> None:
        with wide.transaction() as session:
            experiment = stored_experiments.get(session, made)
            row = stored.get(session, made, row_id)
            die(session, experiment, row, metadata={"index": index})

    at_once(THREADS, tell)

    with wide.transaction() as session:
        experiment = stored_experiments.get(session, made)
        assert counts(experiment)[2] == THREADS
        assert len(queued(session, experiment)) == 1


def test_it_is_there_as_a_whole_or_not_at_all(wide: Database, made: int) -> None:
    """The connection is cut before each statement of the report in turn."""
    with wide.transaction() as session:
        experiment = stored_experiments.get(session, made)
        refill(session, experiment, 0.3)
        row_id = must(session, experiment).id

    def tell(cut_at: int | None) -> int:
        """Report, and lose the connection before a statement; gives how many there are."""
        begun = 0
        with wide.transaction() as session:
            experiment = stored_experiments.get(session, made)
            connection = session.connection()

            @event.listens_for(connection, "before_cursor_execute")
            def cut(_c: Any, cursor: Any, *_more: object) -> None:
                nonlocal begun
                if begun == cut_at:
                    cursor.connection.close()
                begun += 1

            told = Report(suggestion_id=row_id, failed=True, transient=True)
            observations.report(session, experiment, told)
            event.remove(connection, "before_cursor_execute", cut)
            if cut_at == begun:
                cut_off = connection.connection.dbapi_connection
                assert cut_off is not None
                cut_off.close()  # before the commit
        return begun

    def state() -> tuple[Any, ...]:
        with wide.transaction() as session:
            experiment = stored_experiments.get(session, made)
            kept = session.scalars(stored_observations.listing(made)).all()
            row = stored.get(session, made, row_id)
            return counts(experiment), len(kept), row.state, len(queued(session, experiment))

    untouched = state()
    cuts = 0
    while True:
        try:
            statements = tell(cuts)
        except Unavailable:
            assert state() == untouched
            cuts += 1
        else:
            break
    assert cuts == statements + 1  # before each of them, and before the commit
    assert state() == ((7, 1, 1), 7, "closed", 1)

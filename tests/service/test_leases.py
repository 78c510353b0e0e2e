from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from tests.builders import make_experiment
from tests.conftest import Account
from tests.crowd import THREADS, at_once
from tests.service.acts import ONE, clear_queue, create, report
from tradeoff.service import leases, suggestions, upkeep
from tradeoff.service.access import Principal
from tradeoff.store import awaited, buffer, opening, tables, taking
from tradeoff.store import experiments as stored_experiments
from tradeoff.store import leases as stored_leases
from tradeoff.store import suggestions as stored
from tradeoff.store.database import Database, Session
from tradeoff.store.drafts import Draft
from tradeoff.store.opening import Asker

GPU = Asker(worker_id="gpu-3", lease_seconds=60)


@pytest.fixture
def experiment(session: Session, principal: Principal) -> tables.Experiment:
    return create(session, principal)


@pytest.fixture
def made(wide: Database, shared_account: Account) -> Iterator[int]:
    """A committed experiment."""
    yield make_experiment(wide, shared_account, **ONE)
    with wide.transaction() as session:
        clear_queue(session)


def ask(session: Session, experiment: tables.Experiment, asker: Asker = GPU) -> tables.Suggestion:
    row = suggestions.serve(session, experiment, asker=asker, accept_stale=True)
    assert row is not None
    return row


def run_out(session: Session, row: tables.Suggestion, *, noted: bool = False) -> None:
    """Let the lease of a suggestion be over; `noted` when upkeep has come by."""
    session.execute(
        update(tables.Suggestion)
        .where(tables.Suggestion.id == row.id)
        .values(
            lease_expires=func.now() - text("interval '1 second'"),
            state="lapsed" if noted else "open",
        )
    )
    session.refresh(row)


def seconds_left(session: Session, row: tables.Suggestion) -> float | None:
    """How long the lease still runs, by the database's clock."""
    session.refresh(row)
    left = session.scalar(select(func.extract("epoch", row.lease_expires - func.now())))
    return None if left is None else round(float(left), 3)


def pending(session: Session, experiment: tables.Experiment) -> list[dict[str, Any]]:
    return list(awaited.list_pending(session, experiment.id))


def test_a_worker_is_given_its_own_suggestion_back(
    session: Session, experiment: tables.Experiment
) -> None:
    first = ask(session, experiment)

    again = ask(session, experiment)

    assert again.id == first.id
    assert (again.worker_id, again.lease_seconds, again.state) == ("gpu-3", 60, "open")
    assert ask(session, experiment, Asker(worker_id="gpu-4")).id != first.id
    assert ask(session, experiment, Asker()).id != first.id


def test_after_its_report_a_worker_is_given_another(
    session: Session, experiment: tables.Experiment
) -> None:
    first = ask(session, experiment)
    report(session, experiment, suggestion=first)

    assert ask(session, experiment).id != first.id


def test_what_was_reported_by_assignments_is_not_given_back(
    session: Session, experiment: tables.Experiment
) -> None:
    first = ask(session, experiment)
    report(session, experiment, x=first.assignments["x"])

    assert ask(session, experiment).id != first.id


def test_what_was_deleted_or_is_past_waiting_for_is_not_given_back(
    session: Session, experiment: tables.Experiment
) -> None:
    deleted, old = ask(session, experiment), ask(session, experiment, Asker(worker_id="other"))
    suggestions.delete(session, deleted)
    old.opened = old.computed - awaited.OPEN_FOR
    session.flush()

    assert ask(session, experiment).id != deleted.id
    assert ask(session, experiment, Asker(worker_id="other")).id != old.id


def test_a_worker_of_another_experiment_is_another_worker(
    session: Session, principal: Principal, experiment: tables.Experiment
) -> None:
    other = create(session, principal)

    assert ask(session, other).id != ask(session, experiment).id


def test_asking_again_renews_and_may_change_the_lease(
    session: Session, experiment: tables.Experiment
) -> None:
    row = ask(session, experiment, Asker({"pid": 1}, "gpu-3"))
    assert seconds_left(session, row) is None

    ask(session, experiment, Asker(None, "gpu-3", 30))
    assert seconds_left(session, row) == 30
    run_out(session, row)
    ask(session, experiment, Asker({"pid": 2}, "gpu-3"))

    assert seconds_left(session, row) == 30
    assert (row.metadata_, row.lease_seconds) == ({"pid": 2}, 30)


def test_a_lease_needs_no_worker_and_a_worker_no_lease(
    session: Session, experiment: tables.Experiment
) -> None:
    leased = ask(session, experiment, Asker(lease_seconds=5))
    named = suggestions.add(session, experiment, {"x": 7}, asker=Asker(worker_id="me"))

    assert (leased.worker_id, seconds_left(session, leased)) == (None, 5)
    assert (named.worker_id, named.lease_seconds, named.lease_expires) == ("me", None, None)


@pytest.mark.parametrize("noted", [False, True])
def test_a_lapsed_suggestion_is_waited_for_by_nobody(
    session: Session, experiment: tables.Experiment, noted: bool
) -> None:
    row = ask(session, experiment)
    assert pending(session, experiment) == [row.assignments]
    digest = {row.assignments_hash}
    run_out(session, row, noted=noted)

    assert pending(session, experiment) == []
    assert awaited.find_used(session, experiment.id, digest) == set()
    assert awaited.count_used(session, experiment.id) == 0
    assert awaited.count_handed_out(session, experiment.id) == 0
    assert session.scalars(stored.listing(experiment.id, state="open")).all() == []
    assert session.scalars(stored.listing(experiment.id)).all() == [row]
    assert stored_leases.list_overdue(session, [row]) == (set() if noted else {row.id})


@pytest.mark.parametrize("noted", [False, True])
@pytest.mark.parametrize("way", ["buffer", "own"])
def test_its_configuration_can_be_suggested_anew(
    session: Session, experiment: tables.Experiment, noted: bool, way: str
) -> None:
    first = ask(session, experiment)
    run_out(session, first, noted=noted)
    draft = Draft(first.assignments, "model")
    if way == "buffer":
        buffer.put_ready(session, experiment.id, [draft], revision=0, observations_seen=0)
        second: tables.Suggestion | None = ask(session, experiment, Asker())
    else:
        second = opening.insert_open(
            session,
            experiment.id,
            draft,
            asker=Asker(),
            revision=0,
            observations_seen=0,
            allow_repeat=False,
        )

    assert second is not None
    assert (second.assignments, second.id != first.id) == (first.assignments, True)
    session.refresh(first)
    assert (first.state, second.state) == ("lapsed", "open")
    assert pending(session, experiment) == [first.assignments]


@pytest.mark.parametrize("noted", [False, True])
def test_a_late_observation_is_taken_and_closes(
    session: Session, experiment: tables.Experiment, noted: bool
) -> None:
    row = ask(session, experiment)
    run_out(session, row, noted=noted)

    observed = report(session, experiment, suggestion=row)

    session.refresh(row)
    assert (row.state, observed.suggestion_id) == ("closed", row.id)
    assert experiment.observation_count == 1


def test_a_late_observation_is_taken_though_somebody_else_tries_the_same(
    session: Session, experiment: tables.Experiment
) -> None:
    late = ask(session, experiment)
    run_out(session, late)
    draft = Draft(late.assignments, "model")
    buffer.put_ready(session, experiment.id, [draft], revision=0, observations_seen=0)
    second = ask(session, experiment, Asker())
    assert second.assignments == late.assignments

    report(session, experiment, suggestion=late)
    assert pending(session, experiment) == []  # it is known, whoever tries it once more
    report(session, experiment, suggestion=second)

    session.refresh(late)
    session.refresh(second)
    assert (late.state, second.state, experiment.observation_count) == ("closed", "closed", 2)


@pytest.mark.parametrize("noted", [False, True])
@pytest.mark.parametrize("call", ["ask", "any", "one", "change"])
def test_a_call_of_its_worker_opens_a_lapsed_one_again(
    session: Session, experiment: tables.Experiment, noted: bool, call: str
) -> None:
    row = ask(session, experiment)
    run_out(session, row, noted=noted)

    if call == "ask":
        assert ask(session, experiment).id == row.id
    elif call == "any":
        leases.renew_all(session, experiment, "gpu-3")
    elif call == "one":
        leases.renew(session, row)
    else:
        leases.change(session, row, 60)

    assert seconds_left(session, row) == 60
    assert row.state == "open"
    assert pending(session, experiment) == [row.assignments]


@pytest.mark.parametrize("by", ["open", "observed"])
def test_one_that_is_tried_or_known_by_now_stays_lapsed(
    session: Session, experiment: tables.Experiment, by: str
) -> None:
    row = ask(session, experiment)
    run_out(session, row, noted=True)
    if by == "open":
        suggestions.add(session, experiment, row.assignments)
    else:
        report(session, experiment, x=row.assignments["x"])

    leases.renew_all(session, experiment, "gpu-3")
    leases.change(session, row, 60)
    given = ask(session, experiment)

    session.refresh(row)
    assert (row.state, given.id != row.id) == ("lapsed", True)


def test_an_equal_one_whose_lease_ran_out_does_not_stand_in_the_way(
    session: Session, experiment: tables.Experiment
) -> None:
    row = ask(session, experiment)
    run_out(session, row, noted=True)
    other = suggestions.add(session, experiment, row.assignments, asker=Asker(lease_seconds=9))
    run_out(session, other)

    assert ask(session, experiment).id == row.id
    session.refresh(other)
    assert (row.state, other.state) == ("open", "lapsed")


def test_a_closed_one_has_no_lease_to_renew(
    session: Session, experiment: tables.Experiment
) -> None:
    row = ask(session, experiment)
    report(session, experiment, suggestion=row)
    session.refresh(row)

    leases.change(session, row, 9)
    leases.renew(session, row)

    session.refresh(row)
    assert (row.state, row.lease_seconds) == ("closed", 60)


def test_a_lease_that_is_given_up_never_lapses(
    session: Session, experiment: tables.Experiment
) -> None:
    row = ask(session, experiment)

    leases.change(session, row, None)

    assert (row.lease_seconds, row.lease_expires) == (None, None)
    leases.renew_all(session, experiment, "gpu-3")
    assert seconds_left(session, row) is None


def test_a_call_renews_what_this_worker_holds_and_nothing_else(
    session: Session, principal: Principal, experiment: tables.Experiment
) -> None:
    elsewhere = create(session, principal)
    own = ask(session, experiment)
    added = suggestions.add(session, experiment, {"x": 7}, asker=Asker(None, "gpu-3", 90))
    foreign = ask(session, experiment, Asker(None, "gpu-4", 60))
    far = ask(session, elsewhere)
    session.execute(
        update(tables.Suggestion).values(
            lease_expires=tables.Suggestion.lease_expires - text("interval '10 seconds'")
        )
    )

    leases.renew_all(session, experiment, "gpu-3")

    assert [seconds_left(session, row) for row in (own, added, foreign, far)] == [60, 90, 50, 50]


def test_a_grid_point_that_lapsed_comes_again(session: Session, principal: Principal) -> None:
    grid = [{"name": "x", "type": "int", "grid": [1, 2, 3]}]
    experiment = create(session, principal, type="grid", parameters=grid)
    first = ask(session, experiment, Asker(lease_seconds=9))
    found = [ask(session, experiment, Asker()).assignments["x"] for _ in range(2)]
    run_out(session, first)

    found += [ask(session, experiment, Asker()).assignments["x"] for _ in range(2)]

    assert found == [2, 3, 1, 1]


def test_upkeep_notes_what_lapsed_in_batches(
    shared_database: Database, made: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_leases, "LAPSE_BATCH", 3)
    with shared_database.transaction() as session:
        experiment = stored_experiments.get(session, made)
        rows = [
            suggestions.add(session, experiment, {"x": n}, asker=Asker(lease_seconds=60))
            for n in range(8)
        ]
        for row in rows[:7]:
            run_out(session, row)

    upkeep.do_once(shared_database)

    with shared_database.transaction() as session:
        states = [session.get_one(tables.Suggestion, row.id).state for row in rows]
    assert states == ["lapsed"] * 7 + ["open"]


def test_upkeep_leaves_out_what_is_being_renewed(wide: Database, made: int) -> None:
    with wide.transaction() as session:
        row = ask(session, stored_experiments.get(session, made))
        run_out(session, row)
    with wide.transaction() as renewing:
        leases.renew_all(renewing, stored_experiments.get(renewing, made), "gpu-3")
        upkeep.do_once(wide)

    with wide.transaction() as session:
        assert session.get_one(tables.Suggestion, row.id).state == "open"


def test_one_worker_that_asks_many_times_at_once_gets_one_suggestion(
    wide: Database, made: int
) -> None:
    def ask_once(_: int) -> int:
        with wide.transaction() as session:
            return ask(session, stored_experiments.get(session, made)).id

    assert len(set(at_once(THREADS, ask_once))) == 1


def test_two_who_try_for_one_lapsed_configuration_do_not_both_get_it(
    wide: Database, made: int
) -> None:
    """Its worker comes back at the moment when it is suggested to others."""
    with wide.transaction() as session:
        experiment = stored_experiments.get(session, made)
        buffer.delete_ready(session, made)
        row = suggestions.add(session, experiment, {"x": 0.5}, asker=GPU)
        run_out(session, row, noted=True)
        draft = Draft({"x": 0.5}, "model")
        buffer.put_ready(session, made, [draft], revision=0, observations_seen=0)

    def come(index: int) -> int | None:
        with wide.transaction() as session:
            if index % 2:
                return ask(session, stored_experiments.get(session, made)).id
            taken = taking.take_ready(session, made, fresh=None, asker=Asker())
            return None if taken is None else taken.suggestion.id

    at_once(THREADS, come)

    with wide.transaction() as session:
        equal = select(func.count()).where(
            tables.Suggestion.experiment_id == made,
            tables.Suggestion.assignments_hash == row.assignments_hash,
            tables.Suggestion.state == "open",
        )
        assert session.scalar(equal) == 1

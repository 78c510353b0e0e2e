from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.builders import make_experiment
from tests.conftest import Account
from tradeoff.store import buffer, experiments, opening, reports
from tradeoff.store.database import Database, Session
from tradeoff.store.drafts import Draft, hash_assignments
from tradeoff.store.opening import Asker
from tradeoff.store.tables import Experiment, Suggestion

MOST = 5


@pytest.fixture
def experiment_id(shared_database: Database, shared_account: Account) -> int:
    return make_experiment(shared_database, shared_account)


def report(**columns: Any) -> dict[str, Any]:
    given: dict[str, Any] = {name: None for name in reports.TOLD}
    return {**given, "values": {}, "failed": False, "transient": False, **columns}


def tried(x: float, **columns: Any) -> dict[str, Any]:
    digest = hash_assignments({"x": x})
    return report(assignments={"x": x}, assignments_hash=digest, **columns)


def open_one(session: Session, experiment_id: int, x: float) -> Suggestion:
    row = opening.insert_open(
        session,
        experiment_id,
        Draft({"x": x}, "user"),
        asker=Asker(),
        revision=0,
        observations_seen=0,
        allow_repeat=True,
    )
    assert row is not None
    return row


def keep(session: Session, experiment_id: int, *rows: dict[str, Any]) -> reports.Kept | None:
    return reports.keep(session, experiments.get(session, experiment_id), rows, most=MOST)


def counts(row: Experiment) -> tuple[int, ...]:
    return row.revision, row.observation_count, row.failure_count, row.transient_count


def test_reports_are_kept_in_their_order_and_counted(session: Session, experiment_id: int) -> None:
    row = experiments.get(session, experiment_id)
    before = row.updated

    kept = keep(
        session,
        experiment_id,
        tried(0.5, values={"loss": {"value": 1e-7, "value_stddev": None}}, metadata={"gpu": 3}),
        tried(0.25, failed=True),
        tried(0.125, failed=True, transient=True),
    )

    assert kept is not None
    assert [each.assignments for each in kept.observations] == [
        {"x": 0.5},
        {"x": 0.25},
        {"x": 0.125},
    ]
    assert [each.id for each in kept.observations] == sorted(each.id for each in kept.observations)
    first = kept.observations[0]
    assert first.values == {"loss": {"value": 1e-7, "value_stddev": None}}
    assert first.metadata_ == {"gpu": 3}
    assert first.assignments_hash == hash_assignments({"x": 0.5})
    assert counts(row) == (2, 3, 2, 1)
    session.refresh(row)
    assert counts(row) == (2, 3, 2, 1)
    assert row.updated >= before


def test_a_report_on_a_suggestion_is_on_what_that_suggests(
    session: Session, experiment_id: int
) -> None:
    first, second = (open_one(session, experiment_id, x) for x in (1.0, 2.0))

    kept = keep(
        session, experiment_id, report(suggestion_id=second.id), report(suggestion_id=second.id)
    )

    assert kept is not None
    assert [each.assignments for each in kept.observations] == [{"x": 2.0}] * 2
    assert kept.observations[0].assignments_hash == second.assignments_hash
    assert kept.closed == {second.id}
    assert (first.state, second.state) == ("open", "closed")
    again = keep(session, experiment_id, report(suggestion_id=second.id))
    assert again is not None
    assert again.closed == frozenset()


def test_a_suggestion_that_the_experiment_did_not_hand_out(
    session: Session, experiment_id: int, shared_database: Database, shared_account: Account
) -> None:
    other = open_one(session, make_experiment(shared_database, shared_account), 1.0)
    deleted = open_one(session, experiment_id, 2.0)
    deleted.deleted = True
    buffer.put_ready(
        session, experiment_id, [Draft({"x": 3.0}, "model")], revision=0, observations_seen=0
    )
    ready = session.query(Suggestion.id).filter_by(experiment_id=experiment_id, state="ready").one()

    for suggestion_id in (other.id, deleted.id, ready.id, other.id + 1_000):
        assert keep(session, experiment_id, tried(0.5), report(suggestion_id=suggestion_id)) is None

    assert counts(experiments.get(session, experiment_id)) == (0, 0, 0, 0)
    assert other.state == "open"


def test_no_more_than_there_is_room_for(session: Session, experiment_id: int) -> None:
    assert keep(session, experiment_id, *(tried(number) for number in range(MOST - 1)))
    assert keep(session, experiment_id, tried(0.5), tried(1.5)) is None
    assert keep(session, experiment_id, tried(0.5))
    assert keep(session, experiment_id, tried(1.5)) is None


@pytest.mark.parametrize("change", [{"state": "deleted"}, {"rewrites": 7}])
def test_an_experiment_that_is_no_longer_what_was_read(
    shared_database: Database, experiment_id: int, change: dict[str, Any]
) -> None:
    """Also when it changes while the report waits for its row."""
    with shared_database.transaction() as session, ThreadPoolExecutor(1) as pool:
        read = experiments.get(session, experiment_id)
        session.expunge(read)
        with shared_database.transaction() as other:
            row = experiments.get(other, experiment_id)
            for name, value in change.items():
                setattr(row, name, value)
            other.flush()
            waiting = pool.submit(reports.keep, session, read, [tried(0.5)], most=MOST)
            with pytest.raises(TimeoutError):
                waiting.result(0.2)
        assert waiting.result(5) is None


def test_who_waits_for_the_row_counts_on_what_was_counted_before(
    shared_database: Database, experiment_id: int
) -> None:
    with shared_database.transaction() as session, ThreadPoolExecutor(1) as pool:
        read = experiments.get(session, experiment_id)
        with shared_database.transaction() as other:
            first = keep(other, experiment_id, tried(0.5))
            waiting = pool.submit(reports.keep, session, read, [tried(0.25)], most=MOST)
            with pytest.raises(TimeoutError):
                waiting.result(0.2)
        second = waiting.result(5)

        assert first is not None
        assert second is not None
        assert second.observations[0].id > first.observations[0].id
        assert counts(read) == (2, 2, 0, 0)

"""Reports that are sent again by clients that keep no `Idempotency-Key`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text, update

from tests.builders import make_experiment
from tests.conftest import Account
from tests.crowd import THREADS, at_once
from tests.service.acts import ONE, clear_queue, create, waiting
from tradeoff.service import observations, suggestions
from tradeoff.service.access import Principal
from tradeoff.service.observations import Report
from tradeoff.spec.metrics import MetricEvaluation
from tradeoff.store import experiments as stored_experiments
from tradeoff.store import tables
from tradeoff.store.database import Database, Session


@pytest.fixture
def experiment(session: Session, principal: Principal) -> tables.Experiment:
    return create(session, principal)


@pytest.fixture
def suggestion(session: Session, experiment: tables.Experiment) -> tables.Suggestion:
    return ask(session, experiment)


def ask(session: Session, experiment: tables.Experiment) -> tables.Suggestion:
    row = suggestions.serve(session, experiment, accept_stale=True)
    assert row is not None
    return row


def told(row: tables.Suggestion | int, **fields: Any) -> Report:
    """A report without a key."""
    row_id = row if isinstance(row, int) else row.id
    usual = {"values": [MetricEvaluation(name="loss", value=1.0, value_stddev=0.5)]}
    return Report(suggestion_id=row_id, dedupe=True, **{**usual, **fields})


def failed(row: tables.Suggestion, **fields: Any) -> Report:
    return told(row, values=(), failed=True, **fields)


def grow_old(session: Session, row: tables.Observation, minutes: float) -> None:
    age = text(f"now() - interval '{minutes} minutes'")
    session.execute(
        update(tables.Observation).where(tables.Observation.id == row.id).values(created=age)
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"metadata": {"node": "a", "rank": 3, "share": 0.5}},
        {"values": [MetricEvaluation(name="loss", value=1e150, value_stddev=None)]},
        {"values": [MetricEvaluation(name="loss", value=-0.1, value_stddev=1e-300)]},
        {"values": (), "failed": True},
        {"values": (), "failed": True, "transient": True},
    ],
)
def test_an_equal_report_is_the_same_one(
    session: Session,
    experiment: tables.Experiment,
    suggestion: tables.Suggestion,
    fields: dict[str, Any],
) -> None:
    first = observations.report(session, experiment, told(suggestion, **fields))
    session.expire(first)
    clear_queue(session)
    before = (experiment.observation_count, experiment.failure_count, experiment.revision)

    again = observations.report(session, experiment, told(suggestion, **fields))

    assert again.id == first.id
    assert before == (
        experiment.observation_count,
        experiment.failure_count,
        experiment.revision,
    )
    assert waiting(session) == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"values": [MetricEvaluation(name="loss", value=1.5, value_stddev=0.5)]},
        {"values": [MetricEvaluation(name="loss", value=1.0, value_stddev=0.25)]},
        {"values": [MetricEvaluation(name="loss", value=1.0)]},
        {"metadata": {"node": "a"}},
        {"values": (), "failed": True},
        {"dedupe": False},
    ],
)
def test_another_report_is_a_second_measurement(
    session: Session,
    experiment: tables.Experiment,
    suggestion: tables.Suggestion,
    fields: dict[str, Any],
) -> None:
    first = observations.report(session, experiment, told(suggestion))

    second = observations.report(session, experiment, replace(told(suggestion), **fields))

    assert second.id != first.id
    assert experiment.observation_count == experiment.revision == 2


def test_the_kinds_of_failure_are_told_apart(
    session: Session, experiment: tables.Experiment, suggestion: tables.Suggestion
) -> None:
    first = observations.report(session, experiment, failed(suggestion))

    second = observations.report(session, experiment, failed(suggestion, transient=True))

    assert second.id != first.id


def test_it_holds_for_ten_minutes(
    session: Session, experiment: tables.Experiment, suggestion: tables.Suggestion
) -> None:
    first = observations.report(session, experiment, told(suggestion))
    grow_old(session, first, 9.9)
    assert observations.report(session, experiment, told(suggestion)).id == first.id
    grow_old(session, first, 10.1)

    assert observations.report(session, experiment, told(suggestion)).id != first.id


def test_only_what_names_the_same_suggestion_is_a_retry(
    session: Session, experiment: tables.Experiment, suggestion: tables.Suggestion
) -> None:
    tried = suggestion.assignments
    by_assignments = replace(told(suggestion), suggestion_id=None, assignments=tried)
    told_of = [
        told(suggestion),
        by_assignments,
        by_assignments,
        told(ask(session, experiment)),
    ]

    rows = [observations.report(session, experiment, each) for each in told_of]

    assert len({row.id for row in rows}) == 4


def test_what_was_deleted_meanwhile_is_no_first_one(
    session: Session, experiment: tables.Experiment, suggestion: tables.Suggestion
) -> None:
    first = observations.report(session, experiment, told(suggestion))
    observations.delete(session, experiment, first)

    assert observations.report(session, experiment, told(suggestion)).id != first.id


def test_a_batch_is_looked_at_item_by_item(session: Session, experiment: tables.Experiment) -> None:
    one, other = ask(session, experiment), ask(session, experiment)
    known = observations.report(session, experiment, told(one))
    strict = replace(told(one), dedupe=False)

    rows = observations.report_many(
        session, experiment, [told(other), told(one), strict, failed(other), told(one)]
    )

    assert [row.id == known.id for row in rows] == [False, True, False, False, True]
    assert experiment.observation_count == 4
    assert [row.suggestion_id for row in rows] == [other.id, one.id, one.id, other.id, one.id]


def test_equal_items_of_a_batch_are_measurements_and_retried_as_such(
    session: Session, experiment: tables.Experiment, suggestion: tables.Suggestion
) -> None:
    batch = [told(suggestion), told(suggestion), failed(suggestion)]

    first = observations.report_many(session, experiment, batch)
    again = observations.report_many(session, experiment, batch)

    assert [row.id for row in again] == [row.id for row in first]
    assert len({row.id for row in first}) == experiment.observation_count == 3


def test_equal_reports_at_the_same_moment_are_stored_once(
    shared_database: Database, shared_account: Account, wide: Database
) -> None:
    experiment_id = make_experiment(shared_database, shared_account, **ONE)
    with shared_database.transaction() as session:
        row_id = ask(session, stored_experiments.get(session, experiment_id)).id

    def tell(_: int) -> int:
        with wide.transaction() as session:
            experiment = stored_experiments.get(session, experiment_id)
            return observations.report(session, experiment, told(row_id)).id

    assert len(set(at_once(THREADS, tell))) == 1
    with shared_database.transaction() as session:
        assert stored_experiments.get(session, experiment_id).observation_count == 1
        clear_queue(session)

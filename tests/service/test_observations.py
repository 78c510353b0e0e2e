from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event

from tests.builders import METRICS, make_experiment
from tests.conftest import Account
from tests.service.acts import (
    ONE,
    as_developer,
    clear_queue,
    create,
    evaluations,
    finish_design,
    ready,
    report,
    waiting,
)
from tradeoff.errors import BadInput, NotFound
from tradeoff.service import observations, suggestions
from tradeoff.service.access import Principal
from tradeoff.service.observations import Report
from tradeoff.spec.metrics import MetricEvaluation
from tradeoff.store import awaited, tables
from tradeoff.store import experiments as stored_experiments
from tradeoff.store import observations as stored
from tradeoff.store.database import Database, Session
from tradeoff.store.drafts import Draft


@pytest.fixture
def experiment(session: Session, principal: Principal) -> tables.Experiment:
    return create(session, principal)


@pytest.fixture
def suggestion(session: Session, experiment: tables.Experiment) -> tables.Suggestion:
    row = suggestions.serve(session, experiment, accept_stale=True)
    assert row is not None
    return row


def counts(session: Session, experiment: tables.Experiment) -> tuple[int, int, int]:
    """Observations, failures and revision, as stored; the first two counted anew, too."""
    session.expire(experiment)
    rows = session.scalars(stored.listing(experiment.id)).all()
    assert experiment.observation_count == len(rows)
    assert experiment.failure_count == sum(row.failed for row in rows)
    return experiment.observation_count, experiment.failure_count, experiment.revision


def test_a_report_counts_closes_and_brings_a_refresh(
    session: Session, experiment: tables.Experiment, suggestion: tables.Suggestion
) -> None:
    row = observations.report(
        session,
        experiment,
        Report(
            suggestion_id=suggestion.id,
            values=[MetricEvaluation(name="loss", value=0.5, value_stddev=0.1)],
            metadata={"host": "a"},
        ),
    )

    assert row.assignments == suggestion.assignments
    assert row.values == {"loss": {"value": 0.5, "value_stddev": 0.1}}
    assert (row.suggestion_id, row.failed, row.metadata_) == (suggestion.id, False, {"host": "a"})
    session.expire(suggestion)
    assert suggestion.state == "closed"
    assert counts(session, experiment) == (1, 0, 1)
    assert waiting(session) == 1


def test_a_failure_counts_as_one(session: Session, experiment: tables.Experiment) -> None:
    row = report(session, experiment, x=0.5, failed=True)

    assert (row.failed, row.values) == (True, {})
    assert counts(session, experiment) == (1, 1, 1)


def test_many_reports_bring_one_refresh(session: Session, experiment: tables.Experiment) -> None:
    for number in range(4):
        report(session, experiment, x=number)

    assert counts(session, experiment) == (4, 0, 4)
    assert waiting(session) == 1


def test_what_has_no_model_needs_no_refresh(
    session: Session, principal: Principal, shared_account: Account
) -> None:
    developer = as_developer(session, shared_account.development_token)
    grid = [{"name": "x", "type": "double", "grid": [1, 2]}]

    for experiment in (
        create(session, principal, type="random"),
        create(session, principal, type="grid", parameters=grid),
        create(session, developer),
    ):
        report(session, experiment, x=1)

    assert waiting(session) == 0


def test_a_suggestion_may_be_reported_on_again(
    session: Session, experiment: tables.Experiment, suggestion: tables.Suggestion
) -> None:
    first = report(session, experiment, suggestion=suggestion, loss=1)
    second = report(session, experiment, suggestion=suggestion, loss=2)

    assert first.id < second.id
    assert counts(session, experiment)[0] == 2


def test_a_late_report_is_welcome(
    session: Session, experiment: tables.Experiment, suggestion: tables.Suggestion
) -> None:
    assert suggestion.opened is not None
    suggestion.opened = suggestion.opened - datetime.timedelta(days=30)
    session.flush()

    assert report(session, experiment, suggestion=suggestion).suggestion_id == suggestion.id


def test_data_from_out_of_bounds_is_kept(session: Session, experiment: tables.Experiment) -> None:
    assert report(session, experiment, x=-17).assignments == {"x": -17.0}


LOSS = evaluations(loss=1.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Report(values=LOSS), "suggestion: give either a suggestion or assignments"),
        (Report(suggestion_id=1, assignments={"x": 1}, values=LOSS), "suggestion: give either"),
        (Report(suggestion_id=2**62, values=LOSS), "suggestion: there is no suggestion 46116"),
        (Report(assignments={}, values=LOSS), "assignments.x: missing"),
        (Report(assignments={"x": "1"}, values=LOSS), "assignments.x: must be a number"),
        (Report(assignments={"x": 1, "y": 1}, values=LOSS), "assignments.'y': no such parameter"),
        (Report(assignments={"x": 1}), "values: required"),
        (Report(assignments={"x": 1}, values=LOSS, failed=True), "values: a failed observation"),
        (Report(assignments={"x": 1}, values=evaluations(gain=1)), "values[0].name: no metric"),
        (Report(assignments={"x": 1}, values=LOSS * 2), "values[1].name: the metric"),
    ],
)
def test_reports_that_do_not_fit_are_refused_and_nothing_is_kept(
    session: Session, experiment: tables.Experiment, given: Report, message: str
) -> None:
    for act, path in (
        (lambda: observations.report(session, experiment, given), ""),
        (
            lambda: observations.report_many(
                session, experiment, [Report(assignments={"x": 0}, values=LOSS), given]
            ),
            "observations[1].",
        ),
    ):
        with pytest.raises(BadInput) as caught:
            act()
        assert caught.value.message.replace('"', "'").startswith(path + message)

    assert counts(session, experiment) == (0, 0, 0)
    assert waiting(session) == 0


@pytest.mark.parametrize("kind", ["foreign", "deleted", "ready"])
def test_suggestions_that_cannot_be_reported_on(
    session: Session,
    principal: Principal,
    experiment: tables.Experiment,
    suggestion: tables.Suggestion,
    kind: str,
) -> None:
    if kind == "foreign":
        experiment = create(session, principal)
    elif kind == "deleted":
        suggestions.delete(session, suggestion)
    else:
        suggestion = ready(session, experiment)[0]

    with pytest.raises(BadInput, match=f"suggestion: there is no suggestion {suggestion.id}"):
        report(session, experiment, suggestion=suggestion)


def test_a_batch_is_kept_in_its_order(
    session: Session, experiment: tables.Experiment, suggestion: tables.Suggestion
) -> None:
    rows = observations.report_many(
        session,
        experiment,
        [
            Report(assignments={"x": 3}, values=LOSS),
            Report(suggestion_id=suggestion.id, values=LOSS),
            Report(assignments={"x": 1}, failed=True),
        ],
    )

    assert [row.assignments["x"] for row in rows] == [3, suggestion.assignments["x"], 1]
    assert [row.id for row in rows] == sorted(row.id for row in rows)
    assert counts(session, experiment) == (3, 1, 3)
    session.expire(suggestion)
    assert suggestion.state == "closed"


def test_an_empty_batch_changes_nothing(session: Session, experiment: tables.Experiment) -> None:
    assert observations.report_many(session, experiment, []) == []
    assert counts(session, experiment) == (0, 0, 0)


def test_a_batch_has_a_limit(session: Session, experiment: tables.Experiment) -> None:
    reports = [Report(assignments={"x": 0}, values=LOSS)] * (observations.MAX_BATCH + 1)

    with pytest.raises(BadInput, match="observations: at most 2500"):
        observations.report_many(session, experiment, reports)


def test_an_experiment_has_a_limit(session: Session, experiment: tables.Experiment) -> None:
    experiment.observation_count = observations.MAX_OBSERVATIONS
    session.flush()

    with pytest.raises(BadInput, match="at most 100000"):
        report(session, experiment, x=0)


def test_a_large_batch_asks_the_database_a_few_times(
    session: Session, experiment: tables.Experiment
) -> None:
    rows = [suggestions.add(session, experiment, {"x": number}) for number in range(30)]
    ids = [row.id for row in rows]
    session.expunge_all()
    experiment = stored_experiments.get(session, experiment.id)
    asked = []

    def note(_c: object, _cursor: object, sql: str, *_more: object) -> None:
        asked.append(sql)

    connection = session.connection()
    event.listen(connection, "before_cursor_execute", note)
    observations.report_many(
        session, experiment, [Report(suggestion_id=row_id, values=LOSS) for row_id in ids]
    )
    event.remove(connection, "before_cursor_execute", note)

    assert len(asked) < 15


def change(
    session: Session, experiment: tables.Experiment, row: tables.Observation, **changes: Any
) -> None:
    observations.change(session, experiment, row, changes)
    session.expire(row)


def test_values_can_be_corrected(session: Session, experiment: tables.Experiment) -> None:
    row = report(session, experiment, x=0.5)
    created = row.created
    clear_queue(session)

    change(session, experiment, row, values=evaluations(loss=9.0))

    assert row.values["loss"]["value"] == 9.0
    assert row.created == created
    assert counts(session, experiment) == (1, 0, 2)
    assert waiting(session) == 1


def test_a_success_becomes_a_failure_and_a_success_again(
    session: Session, experiment: tables.Experiment
) -> None:
    row = report(session, experiment, x=0.5)

    change(session, experiment, row, failed=True, values=None)
    assert (row.failed, row.values) == (True, {})
    assert counts(session, experiment) == (1, 1, 2)

    change(session, experiment, row, failed=False, values=LOSS)
    assert (row.failed, row.values["loss"]["value"]) == (False, 1.0)
    assert counts(session, experiment) == (1, 0, 3)


@pytest.mark.parametrize("failed", [True, False])
def test_metadata_changes_alone_and_bring_no_refresh(
    session: Session, experiment: tables.Experiment, failed: bool
) -> None:
    """A loop that notes something after its report must not wait for the model again."""
    row = report(session, experiment, x=0.5, failed=failed)
    clear_queue(session)

    change(session, experiment, row, metadata={"a": 1})
    noted = row.metadata_
    change(session, experiment, row, metadata=None)

    assert (noted, row.metadata_) == ({"a": 1}, None)
    assert counts(session, experiment)[2] == 1
    assert waiting(session) == 0


def test_an_observation_changes_its_side(
    session: Session, experiment: tables.Experiment, suggestion: tables.Suggestion
) -> None:
    row = report(session, experiment, x=0.5)
    change(session, experiment, row, suggestion_id=suggestion.id, assignments=None)

    assert (row.suggestion_id, row.assignments) == (suggestion.id, suggestion.assignments)
    session.expire(suggestion)
    assert suggestion.state == "closed"

    change(session, experiment, row, suggestion_id=None, assignments={"x": 0.25})
    assert (row.suggestion_id, row.assignments) == (None, {"x": 0.25})
    change(session, experiment, row, assignments={"x": 0.125})
    assert row.assignments == {"x": 0.125}


@pytest.mark.parametrize(
    ("started", "changes", "message"),
    [
        ("assignments", {"suggestion_id": "own"}, "suggestion: an observation has either"),
        ("suggestion", {"assignments": {"x": 1}}, "suggestion: an observation has either"),
        ("suggestion", {"suggestion_id": None}, "suggestion: an observation has either"),
        ("assignments", {"assignments": None}, "suggestion: an observation has either"),
        ("assignments", {"assignments": {}}, "assignments.x: missing"),
        (
            "assignments",
            {"suggestion_id": 2**62, "assignments": None},
            "suggestion: there is no suggestion",
        ),
        ("assignments", {"values": None}, "values: required"),
        ("assignments", {"values": evaluations(gain=1)}, "values[0].name: no metric"),
        ("assignments", {"failed": True}, "values: send null along"),
        ("assignments", {"failed": True, "values": LOSS}, "values: a failed observation has none"),
        ("failed", {"values": LOSS}, "values: the observation failed"),
        ("failed", {"failed": False}, "values: required when an observation did not fail"),
        ("failed", {"failed": False, "values": None}, "values: required"),
    ],
)
def test_changes_that_do_not_fit_are_refused_and_change_nothing(
    session: Session,
    experiment: tables.Experiment,
    suggestion: tables.Suggestion,
    started: str,
    changes: dict[str, Any],
    message: str,
) -> None:
    if started == "suggestion":
        row = report(session, experiment, suggestion=suggestion)
    else:
        row = report(session, experiment, x=0.5, failed=started == "failed")
    if changes.get("suggestion_id") == "own":
        changes = {"suggestion_id": suggestion.id}
    before = (row.suggestion_id, row.assignments, row.values, row.failed)

    with pytest.raises(BadInput) as caught, session.begin_nested():
        observations.change(session, experiment, row, changes)

    assert caught.value.message.startswith(message)
    session.expire(row)
    assert (row.suggestion_id, row.assignments, row.values, row.failed) == before
    assert counts(session, experiment)[2] == 1


def test_two_metrics_are_both_due(session: Session, principal: Principal) -> None:
    experiment = create(session, principal, metrics=METRICS, observation_budget=9)

    with pytest.raises(BadInput, match=r"the metric .inference_ms. is missing"):
        report(session, experiment, x=0.5, accuracy=1.0)
    row = report(session, experiment, x=0.5, inference_ms=2.0, accuracy=1.0)

    assert list(row.values) == ["accuracy", "inference_ms"]


def test_deleting_counts_down_and_brings_a_refresh(
    session: Session, experiment: tables.Experiment, suggestion: tables.Suggestion
) -> None:
    kept = report(session, experiment, x=0.5, failed=True)
    row = report(session, experiment, suggestion=suggestion)
    clear_queue(session)

    observations.delete(session, experiment, row)

    assert counts(session, experiment) == (1, 1, 3)
    assert waiting(session) == 1
    session.expire(suggestion)
    assert suggestion.state == "closed"
    with pytest.raises(NotFound):
        stored.get(session, experiment.id, row.id)
    observations.delete(session, experiment, kept)
    assert counts(session, experiment) == (0, 0, 4)


def test_deleting_twice_counts_once(session: Session, experiment: tables.Experiment) -> None:
    row = report(session, experiment, x=0.5)
    observations.delete(session, experiment, row)

    acts: list[Callable[[], None]] = [
        lambda: observations.delete(session, experiment, row),
        lambda: observations.change(session, experiment, row, {"metadata": None}),
    ]
    for act in acts:
        with pytest.raises(NotFound):
            act()

    assert counts(session, experiment) == (0, 0, 2)


def test_deleting_all_begins_anew(session: Session, experiment: tables.Experiment) -> None:
    finish_design(session, experiment)
    report(session, experiment, x=0.9, failed=True)
    suggestions.fill_buffer(
        session,
        experiment.id,
        [Draft({"x": 0.123}, "model")],
        revision=experiment.revision,
        observations_seen=7,
    )

    observations.delete_all(session, experiment)

    assert counts(session, experiment) == (0, 0, 14)
    assert experiment.engine_state is None
    row = suggestions.serve(session, experiment, accept_stale=False)
    assert row is not None
    assert row.source == "space_filling"  # what the model made of the deleted ones is gone


def test_deleting_all_of_nothing_does_no_harm(
    session: Session, experiment: tables.Experiment
) -> None:
    observations.delete_all(session, experiment)

    assert counts(session, experiment)[:2] == (0, 0)


class Killed(Exception):
    """Stands for a process that dies before its commit."""


@pytest.fixture
def committed(shared_database: Database, shared_account: Account) -> Iterator[int]:
    """An experiment with one observation, in an empty queue, for everybody to see."""
    experiment_id = make_experiment(shared_database, shared_account, **ONE)
    with shared_database.transaction() as session:
        report(session, stored_experiments.get(session, experiment_id), x=0.5)
        clear_queue(session)
    yield experiment_id
    with shared_database.transaction() as session:
        clear_queue(session)


def state_of(database: Database, experiment_id: int) -> tuple[object, ...]:
    with database.transaction() as session:
        experiment = stored_experiments.get(session, experiment_id)
        open_count = awaited.count_handed_out(session, experiment_id)
        return (*counts(session, experiment), open_count, waiting(session))


@pytest.mark.parametrize("act", ["report", "batch", "change", "delete", "delete_all", "serve"])
def test_what_dies_before_its_commit_leaves_nothing(
    shared_database: Database, committed: int, act: str
) -> None:
    before = state_of(shared_database, committed)

    def die() -> None:
        with shared_database.transaction() as session:
            experiment = stored_experiments.get(session, committed)
            row = session.scalars(stored.listing(committed)).one()
            if act == "report":
                served = suggestions.serve(session, experiment, accept_stale=True)
                report(session, experiment, suggestion=served)
            elif act == "batch":
                observations.report_many(
                    session, experiment, [Report(assignments={"x": 0}, values=LOSS)] * 3
                )
            elif act == "change":
                observations.change(session, experiment, row, {"failed": True, "values": None})
            elif act == "delete":
                observations.delete(session, experiment, row)
            elif act == "delete_all":
                observations.delete_all(session, experiment)
            else:
                suggestions.serve(session, experiment, accept_stale=True)
            raise Killed

    with pytest.raises(Killed):
        die()

    assert state_of(shared_database, committed) == before == (1, 0, 1, 0, 0)

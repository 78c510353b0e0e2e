"""A refresh as a function: from what was seen to a buffer, fenced against being overtaken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.builders import make_experiment, observe, principal_of
from tests.conftest import Account
from tradeoff.service import access, suggestions
from tradeoff.store import experiments, queue, tables
from tradeoff.store.database import Database
from tradeoff.worker import refresh as refreshing
from tradeoff.worker.compute import EngineProcess


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineProcess]:
    process = EngineProcess()
    process.start()
    yield process
    process.close()


def run(database: Database, engine: EngineProcess, experiment_id: int) -> bool:
    return refreshing.refresh(database, engine, experiment_id, device="cpu", limit_seconds=120)


def test_the_initial_design_needs_no_refresh(
    database: Database, account: Account, engine: EngineProcess
) -> None:
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=2)

    assert run(database, engine, experiment_id) is False


def test_a_refresh_fills_the_buffer_with_the_models_suggestions(
    database: Database, account: Account, engine: EngineProcess
) -> None:
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=8)

    assert run(database, engine, experiment_id) is True

    with database.transaction() as session:
        experiment = access.get_experiment(
            session, principal_of(database, account.token), experiment_id
        )
        served = suggestions.serve(session, experiment, accept_stale=False)
        assert served is not None
        assert served.source == "model"
        assert served.observations_seen == 8
        assert served.explanation is not None
        assert served.explanation["seed"] == experiment.seed
        assert experiment.engine_state is not None


def test_the_buffer_is_full_distinct_and_ranked(
    database: Database, account: Account, engine: EngineProcess
) -> None:
    experiment_id = make_experiment(database, account, parallel_bandwidth=3)
    observe(database, account, experiment_id, count=8)

    assert run(database, engine, experiment_id) is True

    with database.transaction() as session:
        buffer = session.query(tables.Suggestion).filter_by(
            experiment_id=experiment_id, state="ready"
        )
        rows = sorted(buffer, key=lambda row: row.rank)
        assert [row.rank for row in rows] == [0, 1, 2, 3, 4, 5]
        assert len({row.assignments_hash for row in rows}) == 6


def test_an_overtaken_refresh_throws_its_result_away(
    database: Database, account: Account, engine: EngineProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=8)
    task = refreshing._begin(database, experiment_id, "cpu")
    assert task is not None
    suggested = engine.ask(task.question, limit_seconds=60)

    assert run(database, engine, experiment_id) is True  # another worker took over meanwhile
    with database.transaction() as session:
        before = ready_ids(session, experiment_id)

    published = refreshing._publish(database, experiment_id, task, suggested, first_rank=0)
    assert published is False
    with database.transaction() as session:
        assert ready_ids(session, experiment_id) == before


def test_a_refresh_of_a_missing_or_deleted_experiment_does_nothing(
    database: Database, account: Account, engine: EngineProcess
) -> None:
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=8)
    with database.transaction() as session:
        experiments.get(session, experiment_id).state = "deleted"

    assert run(database, engine, experiment_id) is False
    assert run(database, engine, 987_654) is False


def test_the_same_history_and_seed_give_the_same_buffer(
    database: Database, account: Account, engine: EngineProcess
) -> None:
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=8)
    first = refreshing._begin(database, experiment_id, "cpu")
    second = refreshing._begin(database, experiment_id, "cpu")
    assert first is not None
    assert second is not None

    one = engine.ask(first.question, limit_seconds=60)
    # The demand since the last refresh differs, so only the shared part of the buffer is compared.
    other = engine.ask(second.question, limit_seconds=60)

    assert one.candidates[0].assignments == other.candidates[0].assignments


def test_each_observation_leaves_one_waiting_refresh(database: Database, account: Account) -> None:
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=8)

    with database.transaction() as session:
        assert queue.read_state(session).waiting == 1


def ready_ids(session: object, experiment_id: int) -> list[int]:
    from sqlalchemy import select
    from sqlalchemy.orm import Session

    assert isinstance(session, Session)
    query = select(tables.Suggestion.id).where(
        tables.Suggestion.experiment_id == experiment_id, tables.Suggestion.state == "ready"
    )
    return sorted(session.scalars(query))

"""An analysis as a function: from what was seen to what matters, when it is due."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from tests.builders import make_experiment, observe, principal_of
from tests.conftest import Account
from tests.service.acts import clear_queue
from tradeoff.service import access, insights, observations
from tradeoff.store.database import Database
from tradeoff.worker.analysis import Analyst
from tradeoff.worker.compute import EngineProcess

DUE = 15


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineProcess]:
    process = EngineProcess()
    process.start()
    yield process
    process.close()


def analyses(database: Database) -> int:
    """How many analyses wait; the queue is empty afterwards."""
    with database.transaction() as session:
        query = "select count(*) from jobs.procrastinate_jobs where task_name = 'analysis'"
        count = session.scalar(text(query)) or 0
        clear_queue(session)
    return count


def test_an_analysis_is_kept_and_served(
    database: Database, account: Account, engine: EngineProcess
) -> None:
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=DUE)

    assert Analyst(database, engine, limit_seconds=60).analyse(experiment_id) is True

    with database.transaction() as session:
        principal = principal_of(database, account.token)
        found = insights.read(session, access.get_experiment(session, principal, experiment_id))
        assert found.method == "model"
        assert found.observations == DUE
        shares = found.importances["inference_ms"]
        assert shares["filters"] > 0.8
        assert found.importances["accuracy"]["learning_rate"] > 0.5
        assert found.calibrations["inference_ms"].explained > 0.5
        assert found.failure is None


def test_an_analysis_is_due_when_a_tenth_more_is_known(
    database: Database, account: Account, engine: EngineProcess
) -> None:
    experiment_id = make_experiment(database, account)
    analyst = Analyst(database, engine, limit_seconds=60)
    observe(database, account, experiment_id, count=DUE - 1)
    analyst.request_if_due(experiment_id)
    assert analyses(database) == 0

    observe(database, account, experiment_id, count=1)
    analyst.request_if_due(experiment_id)
    analyst.request_if_due(experiment_id)
    assert analyses(database) == 1

    assert analyst.analyse(experiment_id) is True
    analyst.request_if_due(experiment_id)
    observe(database, account, experiment_id, count=1)
    analyst.request_if_due(experiment_id)
    assert analyses(database) == 0

    observe(database, account, experiment_id, count=1)
    analyst.request_if_due(experiment_id)
    assert analyses(database) == 1


def test_what_was_deleted_makes_an_analysis_due(
    database: Database, account: Account, engine: EngineProcess
) -> None:
    experiment_id = make_experiment(database, account)
    analyst = Analyst(database, engine, limit_seconds=60)
    observe(database, account, experiment_id, count=DUE)
    assert analyst.analyse(experiment_id) is True
    principal = principal_of(database, account.token)
    with database.transaction() as session:
        experiment = access.get_experiment(session, principal, experiment_id)
        observations.delete_all(session, experiment)
    analyst.request_if_due(experiment_id)
    assert analyses(database) == 0

    observe(database, account, experiment_id, count=DUE + 1)
    analyst.request_if_due(experiment_id)
    assert analyses(database) == 0
    observe(database, account, experiment_id, count=1)
    analyst.request_if_due(experiment_id)
    assert analyses(database) == 1


def test_an_engine_that_cannot_is_not_asked_again_at_once(
    database: Database, account: Account, engine: EngineProcess
) -> None:
    experiment_id = make_experiment(database, account)
    analyst = Analyst(database, engine, limit_seconds=1e-4)
    observe(database, account, experiment_id, count=DUE)

    assert analyst.analyse(experiment_id) is False

    analyst.request_if_due(experiment_id)
    assert analyses(database) == 0
    with database.transaction() as session:
        principal = principal_of(database, account.token)
        experiment = access.get_experiment(session, principal, experiment_id)
        assert experiment.rung == 0  # suggestions go on as before
        assert insights.read(session, experiment).method == "trees"


def test_nobody_analyses_what_is_gone(database: Database, engine: EngineProcess) -> None:
    analyst = Analyst(database, engine, limit_seconds=60)

    analyst.request_if_due(10**9)
    assert analyst.analyse(10**9) is False

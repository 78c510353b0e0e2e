"""A refresh as a function: from what was seen to a buffer, fenced against being overtaken."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from tests.builders import make_experiment, observe, principal_of
from tests.conftest import Account
from tests.service.acts import clear_queue, empty_buffer, waiting
from tests.worker import hooks
from tradeoff import measures
from tradeoff.engine.exchange import Suggested
from tradeoff.service import access, ladder, observations, suggestions
from tradeoff.spec.metrics import MetricEvaluation
from tradeoff.store import experiments, history, queue, tables
from tradeoff.store.database import Database
from tradeoff.worker import gpu
from tradeoff.worker.compute import EngineFailed, EngineProcess, Question
from tradeoff.worker.refresh import Refresher


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineProcess]:
    process = EngineProcess()
    process.start()
    yield process
    process.close()


def make_refresher(
    database: Database, engine: EngineProcess, *, device: str = "cpu", limit_seconds: float = 120
) -> Refresher:
    return Refresher(database, engine, device=device, limit_seconds=limit_seconds)


def run(database: Database, engine: EngineProcess, experiment_id: int) -> bool:
    return make_refresher(database, engine).refresh(experiment_id)


def test_the_initial_design_needs_no_refresh(
    database: Database, account: Account, engine: EngineProcess
) -> None:
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=2)

    assert run(database, engine, experiment_id) is False


def test_a_paused_experiment_is_not_refreshed(
    database: Database, account: Account, engine: EngineProcess
) -> None:
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=8)
    with database.transaction() as session:
        experiments.get(session, experiment_id).paused = True

    assert make_refresher(database, engine).begin(experiment_id) is None


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
        assert served.explanation["device"] == "CPU"
        assert experiment.engine_state is not None


def test_a_refresh_of_a_multitask_experiment_says_which_task_to_run(
    database: Database, account: Account, engine: EngineProcess
) -> None:
    experiment_id = make_experiment(
        database,
        account,
        metrics=[{"name": "accuracy"}],
        tasks=[{"name": "full", "cost": 1}, {"name": "cheap", "cost": 0.2}],
    )
    principal = principal_of(database, account.token)
    for number in range(8):
        with database.transaction() as session:
            experiment = access.get_experiment(session, principal, experiment_id, write=True)
            served = suggestions.serve(session, experiment, accept_stale=True)
            assert served is not None
            value = MetricEvaluation(name="accuracy", value=float(number))
            report = observations.Report(suggestion_id=served.id, values=[value])
            assert observations.report(session, experiment, report).task_cost == served.task_cost

    assert run(database, engine, experiment_id) is True

    rows = buffer_of(database, experiment_id)
    assert {row.source for row in rows} == {"model"}
    assert {row.task_cost for row in rows} <= {0.2, 1.0}
    assert all(row.assignments.keys() == {"learning_rate", "filters", "activation"} for row in rows)


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
    database: Database, account: Account, engine: EngineProcess
) -> None:
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=8)
    overtaken = make_refresher(database, engine)
    task = overtaken.begin(experiment_id)
    assert task is not None
    suggested = engine.ask(task.question, limit_seconds=60)

    assert run(database, engine, experiment_id) is True  # another worker took over meanwhile
    before = [row.id for row in buffer_of(database, experiment_id)]
    remembered = engine_state_of(database, experiment_id)

    assert overtaken.publish(experiment_id, task, suggested, first_rank=0) == (False, False)
    assert overtaken.publish(experiment_id, task, suggested, first_rank=1) == (False, False)
    assert [row.id for row in buffer_of(database, experiment_id)] == before
    assert engine_state_of(database, experiment_id) == remembered


def test_two_refreshes_at_once_leave_one_buffer_without_equal_points(
    database: Database, account: Account, engine: EngineProcess
) -> None:
    experiment_id = make_experiment(database, account, parallel_bandwidth=3)
    observe(database, account, experiment_id, count=8)
    with contextlib.closing(EngineProcess()) as other_engine:
        refreshers = [make_refresher(database, each) for each in (engine, other_engine)]
        together = threading.Barrier(2)
        outcomes: list[bool] = []

        def refresh(refresher: Refresher) -> None:
            together.wait()
            outcomes.append(refresher.refresh(experiment_id))

        threads = [threading.Thread(target=refresh, args=(each,)) for each in refreshers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # The one that began last is kept, unless the other was done before it began.
    assert outcomes[-1:] == [True] or outcomes == [True, False]
    rows = buffer_of(database, experiment_id)
    assert sorted(row.rank for row in rows) == [0, 1, 2, 3, 4, 5]
    assert len({row.assignments_hash for row in rows}) == 6


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
    first = make_refresher(database, engine).begin(experiment_id)
    second = make_refresher(database, engine).begin(experiment_id)
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


# What is new


def test_only_what_is_new_is_read(
    database: Database, account: Account, engine: EngineProcess
) -> None:
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=8)
    refresher = make_refresher(database, engine)
    refresher.begin(experiment_id)
    with database.transaction() as session:
        # Without a word to `rewrites`: were it read again, this would show.
        session.execute(text("update observations set values = '{}'"))
    observe(database, account, experiment_id, count=1)

    task = refresher.begin(experiment_id)
    afresh = make_refresher(database, engine).begin(experiment_id)

    assert task is not None
    assert afresh is not None
    seen = task.question.history.observations
    assert [bool(each.values) for each in seen] == [True] * 9
    assert [bool(each.values) for each in afresh.question.history.observations] == [False] * 8 + [
        True
    ]


def test_a_changed_past_is_read_anew(
    database: Database, account: Account, engine: EngineProcess
) -> None:
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=8)
    refresher = make_refresher(database, engine)
    before = refresher.begin(experiment_id)
    with database.transaction() as session:
        experiment = experiments.get(session, experiment_id)
        gone = session.query(tables.Observation).order_by(tables.Observation.id).first()
        assert gone is not None
        observations.delete(session, experiment, gone)

    after = refresher.begin(experiment_id)

    assert before is not None
    assert after is not None
    assert after.question.history.observations == before.question.history.observations[1:]
    assert after.question.past != before.question.past


def test_no_row_is_held_while_the_history_is_read(
    database: Database, account: Account, engine: EngineProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=8)
    read = history.list_seen

    def report_meanwhile(*given: Any, **named: Any) -> Any:
        observe(database, account, experiment_id, count=1)
        return read(*given, **named)

    monkeypatch.setattr(history, "list_seen", report_meanwhile)
    task = make_refresher(database, engine).begin(experiment_id)

    # It would have waited for ever; and what it reads is of one moment.
    assert task is not None
    assert len(task.question.history.observations) == task.revision == 8


# The rest of a buffer


def test_the_rest_of_a_buffer_that_could_serve_nobody_is_not_computed(
    database: Database, account: Account
) -> None:
    experiment_id = make_experiment(database, account, parallel_bandwidth=1)
    observe(database, account, experiment_id, count=8)
    asked: list[int] = []

    class Overtaken(EngineProcess):
        def ask(self, question: Question, *, limit_seconds: float) -> Suggested:
            asked.append(question.q)
            answer = hooks.quick(question.spec, question.history, question.q, question.state)
            if len(asked) == 2:  # somebody is done with the best one meanwhile
                observe(database, account, experiment_id, count=1)
            return answer

    assert make_refresher(database, Overtaken()).refresh(experiment_id) is True

    assert asked == [1, 1]
    assert {row.rank for row in buffer_of(database, experiment_id)} <= {0, 1}


def test_the_rest_of_a_buffer_is_computed_while_it_is_fresh_enough_for_a_fleet(
    database: Database, account: Account
) -> None:
    experiment_id = make_experiment(database, account, parallel_bandwidth=4)
    observe(database, account, experiment_id, count=8)
    asked: list[int] = []

    class Busy(EngineProcess):
        def ask(self, question: Question, *, limit_seconds: float) -> Suggested:
            asked.append(question.q)
            if len(asked) == 2:
                observe(database, account, experiment_id, count=1)
            return hooks.quick(question.spec, question.history, question.q, question.state)

    assert make_refresher(database, Busy()).refresh(experiment_id) is True

    assert asked == [1, 1, 2, 4]


# The ladder


def test_failures_lead_to_less_effort_and_at_last_to_no_model(
    database: Database, account: Account
) -> None:
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=8)
    efforts = []

    class Poisoned(EngineProcess):
        def ask(self, question: Question, *, limit_seconds: float) -> Suggested:
            efforts.append(question.effort)
            raise EngineFailed("poison")

    refresher = make_refresher(database, Poisoned())
    for _ in range(9):
        with pytest.raises(EngineFailed, match="poison"):
            refresher.refresh(experiment_id)

    assert efforts == ["full"] * 3 + ["subset"] * 3 + ["light"] * 3
    assert refresher.refresh(experiment_id) is False

    with database.transaction() as session:
        experiment = experiments.get(session, experiment_id)
        empty_buffer(session, experiment)
        clear_queue(session)
        served = suggestions.serve(session, experiment, accept_stale=False)
        assert served is not None, "it would wait for a model that rests"
        assert served.source == "space_filling"
        assert served.explanation == {"reason": ladder.REASONS[ladder.WITHOUT_MODEL]}
        assert waiting(session) == 0


def test_what_a_lower_rung_suggests_says_so(database: Database, account: Account) -> None:
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=8)
    for _ in range(ladder.FAILURES):
        with database.transaction() as session:
            ladder.note_failure(session, experiment_id)

    with contextlib.closing(EngineProcess(engine=hooks.quick)) as engine:
        assert run(database, engine, experiment_id) is True

    rows = buffer_of(database, experiment_id)
    assert {row.explanation["effort"] for row in rows if row.explanation} == {"subset"}
    assert {row.explanation["reason"] for row in rows if row.explanation} == {
        ladder.REASONS[ladder.SUBSET]
    }


@pytest.mark.parametrize("poison", [hooks.raises_for_poison, hooks.eats_memory_for_poison])
def test_a_poisonous_experiment_does_not_hold_back_another_one(
    database: Database, account: Account, poison: Any
) -> None:
    bad = make_experiment(database, account, observation_budget=hooks.POISON_BUDGET)
    good = make_experiment(database, account)
    for experiment_id in (bad, good):
        observe(database, account, experiment_id, count=8)

    with contextlib.closing(EngineProcess(engine=poison, memory_bytes=hooks.MEMORY)) as engine:
        refresher = make_refresher(database, engine)
        for _ in range(2):
            with pytest.raises(EngineFailed, match=r"poison|memory"):
                refresher.refresh(bad)
            assert refresher.refresh(good) is True

    assert buffer_of(database, good)
    with database.transaction() as session:
        assert experiments.get(session, good).refresh_failures == 0
        experiment = experiments.get(session, bad)
        # Twice too much memory is two rungs; two exceptions are not yet one.
        if poison is hooks.eats_memory_for_poison:
            assert (experiment.rung, experiment.refresh_failures) == (ladder.LIGHT, 0)
        else:
            assert (experiment.rung, experiment.refresh_failures) == (ladder.FULL, 2)
        assert suggestions.serve(session, experiment, accept_stale=True) is not None


# The GPU


@pytest.mark.parametrize("broken", [hooks.gpu_breaks, hooks.gpu_kills])
def test_a_gpu_that_failed_is_left_alone_for_a_while(
    database: Database, account: Account, broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment_id = make_experiment(database, account)
    observe(database, account, experiment_id, count=8)
    now = 100.0
    with contextlib.closing(EngineProcess(engine=broken)) as engine:
        refresher = make_refresher(database, engine, device="cuda")
        monkeypatch.setattr(refresher, "_gpu", gpu.Gpu("cuda", clock=lambda: now))

        assert refresher.refresh(experiment_id) is True
        rows = buffer_of(database, experiment_id)
        assert {row.source for row in rows} == {"model"}
        assert all(gpu.RESTING in (row.explanation or {})["reason"] for row in rows)

        now += gpu.REST_SECONDS - 1
        task = refresher.begin(experiment_id)
        assert task is not None
        assert task.question.device == "cpu"

        now += 1
        task = refresher.begin(experiment_id)
        assert task is not None
        assert task.question.device == "cuda"


def buffer_of(database: Database, experiment_id: int) -> list[tables.Suggestion]:
    with database.transaction() as session:
        query = session.query(tables.Suggestion).filter_by(
            experiment_id=experiment_id, state="ready"
        )
        return list(query.order_by(tables.Suggestion.id))


def engine_state_of(database: Database, experiment_id: int) -> Any:
    with database.transaction() as session:
        return experiments.get(session, experiment_id).engine_state


def test_prometheus_is_told_how_refreshes_end(
    database: Database, account: Account, engine: EngineProcess
) -> None:
    def told() -> list[float]:
        name = "tradeoff_refreshes_total"
        labels: list[dict[str, str]] = [{"outcome": each} for each in measures.OUTCOMES]
        return [measures.REGISTRY.get_sample_value(name, each) or 0.0 for each in labels]

    experiment_id = make_experiment(database, account)
    before = told()

    assert run(database, engine, experiment_id) is False
    observe(database, account, experiment_id, count=8)
    assert run(database, engine, experiment_id) is True

    published, overtaken, idle, failed = before
    assert told() == [published + 1, overtaken, idle + 1, failed]

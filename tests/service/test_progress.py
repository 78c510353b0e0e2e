from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import event, select

from tests.builders import make_experiment, observe
from tests.conftest import Account
from tests.service.acts import create, report
from tradeoff.service import experiments, observations, progress
from tradeoff.service.access import Principal
from tradeoff.spec.metrics import MetricEvaluation
from tradeoff.store import experiments as stored
from tradeoff.store import tables
from tradeoff.store.database import Database, Session

UP = {"name": "a"}
DOWN = {"name": "b", "objective": "minimize"}
LIMIT = {"name": "ms", "objective": "minimize", "strategy": "constraint", "threshold": 5}
FLOOR = {"name": "fps", "strategy": "constraint", "threshold": 10}
NOTE = {"name": "note", "strategy": "store"}


def experiment_with(
    session: Session,
    principal: Principal,
    metrics: list[dict[str, Any]],
    outcomes: list[dict[str, float] | None],
    **fields: Any,
) -> tuple[tables.Experiment, list[tables.Observation]]:
    """An experiment with one observation per outcome, failed where there is none."""
    budget = {"observation_budget": 50, **fields}
    experiment = create(session, principal, metrics=metrics, **budget)
    rows = [
        report(session, experiment, x=index / 100, failed=outcome is None, values=outcome)
        for index, outcome in enumerate(outcomes)
    ]
    return experiment, rows


def best(
    session: Session, experiment: tables.Experiment, rows: list[tables.Observation]
) -> list[int]:
    return [rows.index(row) for row in progress.best(session, experiment)]


def outcomes(names: str, *values: tuple[float, ...] | None) -> list[dict[str, float] | None]:
    keys = names.split()
    return [None if each is None else dict(zip(keys, each, strict=True)) for each in values]


def test_nothing_yet(session: Session, principal: Principal) -> None:
    experiment, _ = experiment_with(session, principal, [UP], [])

    seen = progress.overview(session, experiment)

    assert seen == progress.Progress(0, 0.0, None, None, None)
    assert progress.best(session, experiment) == []


def test_the_overview_counts_failures_and_not_what_was_deleted(
    session: Session, principal: Principal
) -> None:
    given = outcomes("b", (9.0,), (3.0,), None, (1.0,), (5.0,), None)
    experiment, rows = experiment_with(session, principal, [DOWN], given)
    for index in (0, 3):
        observations.delete(session, experiment, rows[index])

    seen = progress.overview(session, experiment)

    assert (seen.observation_count, seen.budget_consumed) == (4, 4.0)
    assert (seen.first, seen.last, seen.best) == (rows[1], rows[5], rows[1])


def test_the_best_of_the_overview_does_not_mind_constraints(
    session: Session, principal: Principal
) -> None:
    given = outcomes("a ms", (9, 99), (3, 1))
    experiment, rows = experiment_with(session, principal, [UP, LIMIT], given)

    assert progress.overview(session, experiment).best is rows[0]
    assert best(session, experiment, rows) == [1]


@pytest.mark.parametrize("metrics", [[UP, DOWN], [LIMIT]])
def test_there_is_no_single_best_without_a_single_metric(
    session: Session, principal: Principal, metrics: list[dict[str, Any]]
) -> None:
    names = " ".join(metric["name"] for metric in metrics)
    given = outcomes(names, tuple(1.0 for _ in metrics))
    experiment, _ = experiment_with(session, principal, metrics, given)

    assert progress.overview(session, experiment).best is None


def test_only_failures_have_no_best(session: Session, principal: Principal) -> None:
    experiment, rows = experiment_with(session, principal, [UP], [None, None])

    seen = progress.overview(session, experiment)

    assert (seen.observation_count, seen.best) == (2, None)
    assert (seen.first, seen.last) == (rows[0], rows[1])
    assert best(session, experiment, rows) == []


def test_many_experiments_are_looked_at_at_once(session: Session, principal: Principal) -> None:
    made = [
        experiment_with(session, principal, [metric], outcomes(metric["name"], (1,), (2,), (0,)))
        for metric in (UP, DOWN) * 4
    ]
    made.append(experiment_with(session, principal, [UP], []))
    asked = []

    def note(_c: object, _cursor: object, sql: str, *_more: object) -> None:
        asked.append(sql)

    connection = session.connection()
    event.listen(connection, "before_cursor_execute", note)
    seen = progress.overviews(session, [experiment for experiment, _ in made])
    event.remove(connection, "before_cursor_execute", note)

    assert len(asked) <= 3
    bests = [seen[experiment.id].best for experiment, _ in made]
    assert [rows.index(row) for row, (_, rows) in zip(bests, made, strict=True) if row] == [
        1,
        2,
    ] * 4
    assert progress.overviews(session, []) == {}


@pytest.mark.parametrize(("metric", "expected"), [(UP, [1]), (DOWN, [2])])
def test_one_metric_has_one_best_and_the_first_of_equals(
    session: Session, principal: Principal, metric: dict[str, Any], expected: list[int]
) -> None:
    given = outcomes(metric["name"], (2,), (3,), (1,), (3,), (1,), None)
    experiment, rows = experiment_with(session, principal, [metric], given)

    assert best(session, experiment, rows) == expected
    overview = progress.overview(session, experiment)
    assert overview.best is rows[expected[0]]


def test_an_unnamed_metric_has_a_best_too(session: Session, principal: Principal) -> None:
    experiment = create(session, principal, metrics=None)
    rows = [
        observations.report(
            session,
            experiment,
            observations.Report(
                assignments={"x": 0.1},
                values=[MetricEvaluation(value=value)],
            ),
        )
        for value in (1.0, 3.0, 2.0)
    ]

    assert best(session, experiment, rows) == [1]
    assert progress.overview(session, experiment).best is rows[1]


def test_the_frontier_is_ordered_by_the_first_metric_and_keeps_ties(
    session: Session, principal: Principal
) -> None:
    # (a up, b down)
    given = outcomes("a b", (1, 1), (3, 3), (2, 2), (2, 2), (2, 3), (0, 5), None, (3, 4), (1, 1.5))
    experiment, rows = experiment_with(session, principal, [DOWN, UP], given)

    assert best(session, experiment, rows) == [1, 2, 3, 0]


def test_deleted_observations_are_not_on_the_frontier(
    session: Session, principal: Principal
) -> None:
    experiment, rows = experiment_with(
        session, principal, [UP, DOWN], outcomes("a b", (1, 1), (2, 0))
    )
    observations.delete(session, experiment, rows[1])

    assert best(session, experiment, rows) == [0]


def test_three_metrics_have_a_frontier(session: Session, principal: Principal) -> None:
    given = outcomes("a b c", (1, 1, 1), (1, 1, 2), (2, 2, 1), (0, 3, 0), (0, 0.5, 0))
    experiment, rows = experiment_with(session, principal, [UP, DOWN, {"name": "c"}], given)

    assert best(session, experiment, rows) == [2, 1, 4]


def test_thresholds_count_themselves_in(session: Session, principal: Principal) -> None:
    given = outcomes("a b", (5, 2), (4.999, 1), (6, 3), (7, 3.001))
    metrics = [{**UP, "threshold": 5}, {**DOWN, "threshold": 3}]
    experiment, rows = experiment_with(session, principal, metrics, given)

    assert best(session, experiment, rows) == [2, 0]


def test_constraint_metrics_count_themselves_in(session: Session, principal: Principal) -> None:
    given = outcomes(
        "a ms fps note", (9, 5.01, 99, 0), (8, 5, 9.9, 0), (7, 5, 10, 0), (6, 0, 99, 0)
    )
    experiment, rows = experiment_with(session, principal, [UP, LIMIT, FLOOR, NOTE], given)

    assert best(session, experiment, rows) == [2]


def test_with_constraints_alone_all_that_meets_them_is_good(
    session: Session, principal: Principal
) -> None:
    # Ordered by the first constraint metric by name: fps, larger first.
    given = outcomes("fps ms", (10, 5), (30, 1), (9, 1), (20, 6), (20, 2), (30, 4))
    experiment, rows = experiment_with(session, principal, [LIMIT, FLOOR], given)

    assert best(session, experiment, rows) == [1, 5, 4, 0]


def test_nothing_that_qualifies_is_an_empty_list(session: Session, principal: Principal) -> None:
    experiment, rows = experiment_with(session, principal, [UP, LIMIT], outcomes("a ms", (1, 9)))

    assert best(session, experiment, rows) == []


def test_several_solutions_are_good_and_far_apart(session: Session, principal: Principal) -> None:
    """Of 40 the best eight are 32 to 39; the best, and the farthest from it."""
    given = outcomes("a", *((float(index),) for index in range(40)))
    experiment, rows = experiment_with(session, principal, [UP], given, num_solutions=3)

    chosen = best(session, experiment, rows)

    assert chosen[:2] == [39, 32]
    assert len(chosen) == 3
    assert chosen[2] in (35, 36)


def test_several_solutions_of_few_observations(session: Session, principal: Principal) -> None:
    given = outcomes("a", (1,), None, (2,))
    experiment, rows = experiment_with(session, principal, [UP], given, num_solutions=5)

    assert sorted(best(session, experiment, rows)) == [0, 2]
    assert best(session, experiment, rows)[0] == 2


def test_equal_configurations_are_each_a_solution_once(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal, metrics=[UP], num_solutions=2, observation_budget=9)
    rows = [report(session, experiment, x=0.5, a=float(index)) for index in range(3)]

    chosen = best(session, experiment, rows)

    assert len(set(chosen)) == 2


def test_the_largest_numbers_do_no_harm(session: Session, principal: Principal) -> None:
    """Postgres gives 1e150 back as an integer of 151 digits."""
    given = outcomes("a b", (1e150, -1e150), (-1e150, 1e150), (0, 1e-300))
    experiment, rows = experiment_with(session, principal, [UP, DOWN], given)
    session.expire_all()

    assert best(session, experiment, rows) == [0]


# What was found is kept


FOUND_METRICS: dict[str, list[dict[str, Any]]] = {
    "one": [UP, NOTE],
    "one with a limit": [DOWN, FLOOR],
    "two": [UP, DOWN],
    "three": [UP, DOWN, {"name": "c"}],
    "two with a limit": [DOWN, UP, LIMIT],
}


@pytest.mark.parametrize("name", FOUND_METRICS)
@pytest.mark.parametrize("seed", range(5))
def test_what_is_kept_answers_as_a_search_from_scratch(
    session: Session, principal: Principal, name: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(f"{name} {seed}")
    monkeypatch.setattr(progress, "MANY_NEWS", rng.choice((1, 3, 8)))
    experiment, _ = experiment_with(session, principal, FOUND_METRICS[name], [])

    for _ in range(40):
        act_at_random(session, experiment, rng)
        if rng.random() < 0.7:
            rows = list(session.scalars(alive(experiment)))
            assert progress.best(session, experiment) == worth_taking(experiment, rows)
            assert progress.overview(session, experiment).best is first_best(experiment, rows)

    kept = session.scalar(
        select(tables.Experiment.summary).where(tables.Experiment.id == experiment.id)
    )
    assert kept is not None, "nothing was ever kept, so nothing was tested"


def act_at_random(session: Session, experiment: tables.Experiment, rng: random.Random) -> None:
    rows = list(session.scalars(alive(experiment)))
    act = rng.choices(("report", "change", "delete", "clear", "threshold"), (10, 2, 2, 0.3, 1.5))[0]
    if act == "report" or (not rows and act != "threshold"):
        for _ in range(rng.randint(1, 6)):
            failed = rng.random() < 0.2
            values = {} if failed else measured_at_random(experiment, rng)
            report(session, experiment, x=rng.random(), failed=failed, values=values)
    elif act == "change":
        values = measured_at_random(experiment, rng)
        given = [MetricEvaluation(name=key, value=value) for key, value in values.items()]
        observations.change(
            session, experiment, rng.choice(rows), {"values": given, "failed": False}
        )
    elif act == "delete":
        observations.delete(session, experiment, rng.choice(rows))
    elif act == "clear":
        observations.delete_all(session, experiment)
    else:
        several = len(experiment.spec.optimized_metrics) > 1
        metrics = [
            {"name": metric.name, "objective": metric.objective, "strategy": metric.strategy}
            | ({"threshold": rng.randint(1, 5)} if metric.threshold or several else {})
            for metric in experiment.spec.metrics
        ]
        experiments.change(session, experiment, {"metrics": metrics})


def measured_at_random(experiment: tables.Experiment, rng: random.Random) -> dict[str, float]:
    # Few different values, so that there are ties.
    return {metric.key: float(rng.randint(0, 6)) for metric in experiment.spec.metrics}


def alive(experiment: tables.Experiment) -> Any:
    return (
        select(tables.Observation)
        .where(
            tables.Observation.experiment_id == experiment.id,
            ~tables.Observation.deleted,
        )
        .order_by(tables.Observation.id)
    )


def turned(row: tables.Observation, metric: Any) -> float:
    return float(metric.sign * row.values[metric.key]["value"])


def worth_taking(
    experiment: tables.Experiment, rows: list[tables.Observation]
) -> list[tables.Observation]:
    """By comparing everything with everything."""
    optimized = experiment.spec.optimized_metrics
    good = [
        row
        for row in rows
        if not row.failed
        and all(
            metric.meets_threshold(row.values[metric.key]["value"])
            for metric in experiment.spec.metrics
            if metric.strategy != "store"
        )
    ]
    scores = [[turned(row, metric) for metric in optimized] for row in good]
    efficient = [
        row
        for row, mine in zip(good, scores, strict=True)
        if not any(
            all(a >= b for a, b in zip(other, mine, strict=True)) and other != mine
            for other in scores
        )
    ]
    efficient.sort(key=lambda row: -turned(row, optimized[0]))
    return efficient[:1] if len(optimized) == 1 else efficient


def first_best(
    experiment: tables.Experiment, rows: list[tables.Observation]
) -> tables.Observation | None:
    optimized = experiment.spec.optimized_metrics
    good = [row for row in rows if not row.failed]
    if len(optimized) != 1 or not good:
        return None
    return max(good, key=lambda row: turned(row, optimized[0]))


def test_nothing_is_kept_while_somebody_changes_the_experiment(
    shared_database: Database, shared_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "MANY_NEWS", 1)
    experiment_id = make_experiment(shared_database, shared_account)
    observe(shared_database, shared_account, experiment_id, count=2)

    with shared_database.transaction() as holder:
        stored.lock(holder, stored.get(holder, experiment_id))
        with shared_database.transaction() as session:  # would fail if it waited
            assert progress.best(session, stored.get(session, experiment_id))
    assert kept_of(shared_database, experiment_id) is None

    with shared_database.transaction() as session:
        progress.best(session, stored.get(session, experiment_id))
    assert kept_of(shared_database, experiment_id) is not None


def test_what_was_found_before_a_change_is_not_kept(
    shared_database: Database, shared_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "MANY_NEWS", 1)
    experiment_id = make_experiment(shared_database, shared_account)
    observe(shared_database, shared_account, experiment_id, count=2)

    with shared_database.transaction() as session:
        experiment = stored.get(session, experiment_id)
        choose = progress._choose

        def change_first(*given: Any) -> list[int]:
            with shared_database.transaction() as other:
                changed = stored.get(other, experiment_id)
                gone = other.scalars(alive(changed)).first()
                assert gone is not None
                observations.delete(other, changed, gone)
            return choose(*given)

        monkeypatch.setattr(progress, "_choose", change_first)
        progress.best(session, experiment)

    assert kept_of(shared_database, experiment_id) is None


def kept_of(database: Database, experiment_id: int) -> Any:
    with database.transaction() as session:
        return session.scalar(
            select(tables.Experiment.summary).where(tables.Experiment.id == experiment_id)
        )

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.builders import principal_of
from tests.conftest import Account
from tests.service import acts
from tradeoff.service import observations, stagnation
from tradeoff.spec.metrics import MetricEvaluation
from tradeoff.store.database import Database

TWO = [{"name": "a"}, {"name": "b", "objective": "minimize"}]


def reasons(
    database: Database,
    account: Account,
    outcomes: Sequence[Any],
    **changes: Any,
) -> list[str]:
    """What is said after these outcomes: values of each metric, `None` for a failure."""
    principal = principal_of(database, account.token)
    with database.transaction() as session:
        experiment = acts.create(session, principal, **{"metrics": [{"name": "a"}], **changes})
        reports = []
        for index, outcome in enumerate(outcomes):
            measured = outcome if isinstance(outcome, tuple) else (outcome,)
            values = [
                MetricEvaluation(name=metric.name, value=value)
                for metric, value in zip(experiment.spec.metrics, measured, strict=False)
                if value is not None
            ]
            reports.append(
                observations.Report(
                    assignments={"x": index / 100}, values=values, failed=outcome is None
                )
            )
        observations.report_many(session, experiment, reports)
        return stagnation.reasons_to_stop(session, experiment)


@pytest.mark.parametrize(("count", "reached"), [(3, False), (4, False), (5, True)])
def test_the_budget_is_reached_by_more_than_it(
    database: Database, account: Account, count: int, reached: bool
) -> None:
    told = reasons(database, account, [1.0] * count, observation_budget=4)

    assert told == (["observation_budget_reached"] if reached else [])


#: One parameter: a window of five, compared with the fifth best of what came earlier.
@pytest.mark.parametrize(
    ("outcomes", "stagnates"),
    [
        ([5, 4, 3, 2, 1, 0, 0, 0, 0], False),  # nine are too few to tell
        ([5, 4, 3, 2, 1, 0, 0, 0, 0, 0], True),
        ([5, 4, 3, 2, 1, 0, 0, 1, 0, 0], True),  # equal is no better
        ([5, 4, 3, 2, 1, 0, 0, 1.5, 0, 0], False),
        ([9, 5, 4, 3, 2, 1, 0, 0, 0, 0, 2], True),
        ([9, 5, 4, 3, 2, 1, 0, 0, 0, 0, 2.5], False),
        ([None, None, None, None, 1, None, None, None, None, None], True),
        ([None, None, None, None, 1, None, None, 0, None, None], False),
    ],
)
def test_one_metric_stagnates(
    database: Database, account: Account, outcomes: list[Any], stagnates: bool
) -> None:
    told = reasons(database, account, outcomes)

    assert told == (["possible_stagnation"] if stagnates else [])


def test_the_direction_of_the_metric_counts(database: Database, account: Account) -> None:
    falling = [{"name": "a", "objective": "minimize"}]

    assert reasons(database, account, range(10), metrics=falling) == ["possible_stagnation"]
    assert reasons(database, account, range(10, 0, -1), metrics=falling) == []


@pytest.mark.parametrize(
    ("last", "budget", "told"),
    [
        ([(0, 9)] * 5, 10, []),  # reached by more than it
        ([(0, 9)] * 5, 9, ["possible_stagnation", "observation_budget_reached"]),
        ([(0, 9)] * 5, 11, []),  # only after the budget
        ([(0, 9)] * 4 + [(6, 6)], 9, ["observation_budget_reached"]),  # on the frontier
        ([(0, 9)] * 4 + [None], 9, ["possible_stagnation", "observation_budget_reached"]),
    ],
)
def test_two_metrics_stagnate_with_their_frontier(
    database: Database, account: Account, last: list[Any], budget: int, told: list[str]
) -> None:
    first = [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]

    seen = reasons(database, account, first + last, metrics=TWO, observation_budget=budget)

    assert seen == told


def test_several_solutions_are_judged_by_the_frontier_too(
    database: Database, account: Account
) -> None:
    settings = {"num_solutions": 2, "observation_budget": 9}

    assert reasons(database, account, [5, 1, 1, 1, 1, 1, 1, 1, 1, 1], **settings) == [
        "possible_stagnation",
        "observation_budget_reached",
    ]
    assert reasons(database, account, [5, 1, 1, 1, 1, 6, 1, 1, 1, 1], **settings) == [
        "observation_budget_reached"
    ]


def test_a_search_for_what_is_feasible_never_stagnates(
    database: Database, account: Account
) -> None:
    search = [{"name": "a", "strategy": "constraint", "threshold": 0}]

    assert reasons(database, account, [1] * 12, metrics=search, observation_budget=12) == []

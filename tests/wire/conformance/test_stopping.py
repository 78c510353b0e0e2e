"""Reasons to stop (section 9.8)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.caller import Caller, ok, refusal
from tests.wire.conformance.bodies import make_experiment

STAGNATION, BUDGET = "possible_stagnation", "observation_budget_reached"
#: Of one parameter: so many of the last observations are looked at, and five earlier ones.
WINDOW = 5


def reasons(us: Caller, values: list[Any], **changes: Any) -> list[str]:
    """Why to stop after these; `None` failed, a pair is of two metrics."""
    path = make_experiment(us, **changes)
    metrics = changes.get("metrics", [""])
    names = [each if isinstance(each, str) else each["name"] for each in metrics]
    reports = [
        {"assignments": {"x": 0.5}, "failed": True}
        if value is None
        else {
            "assignments": {"x": 0.5},
            "values": [
                {"name": name, "value": each}
                for name, each in zip(
                    names, value if isinstance(value, tuple) else (value,), strict=True
                )
            ],
        }
        for value in values
    ]
    ok(us.post(f"{path}/observations/batch", {"observations": reports}))
    shown = ok(us.get(f"{path}/stopping_criteria"))
    assert shown["object"] == "stopping_criteria"
    assert shown["should_stop"] is bool(shown["reasons"])
    return sorted(shown["reasons"])


def test_nothing_reported_is_no_reason(us: Caller) -> None:
    assert reasons(us, []) == []


@pytest.mark.parametrize(("count", "expected"), [(2, []), (3, []), (4, [BUDGET])])
def test_the_budget_is_reached_with_strictly_more_observations(
    us: Caller, count: int, expected: list[str]
) -> None:
    assert reasons(us, list(range(count)), observation_budget=3) == expected
    assert reasons(us, [None] * count, observation_budget=3) == expected


#: Earlier values, the last five, and whether that is stagnation.
ONE: dict[str, tuple[list[Any], list[Any], bool]] = {
    "one too few": ([5, 4, 3, 2], [0] * WINDOW, False),
    "no better than the fifth best": ([5, 4, 3, 2, 1], [1, 0, 0, 0, 0], True),
    "better than the fifth best": ([5, 4, 3, 2, 1], [1.5, 0, 0, 0, 0], False),
    "the fifth best of many": ([9, 8, 7, 6, 5, 4, 3], [5, 0, 0, 0, 0], True),
    "above the fifth best of many": ([9, 8, 7, 6, 5, 4, 3], [5.5, 0, 0, 0, 0], False),
    "failures at last": ([5, 4, 3, 2, 1], [None] * WINDOW, True),
    "failures before": ([None, 4, 3, 2, 1], [0, 0, 0, 0, 0], False),
    "nothing but failures": ([None] * WINDOW, [None] * WINDOW, True),
}


@pytest.mark.parametrize(("earlier", "last", "stagnates"), ONE.values(), ids=list(ONE))
def test_one_metric_stagnates_when_the_last_are_no_better_than_the_fifth_best(
    us: Caller, earlier: list[Any], last: list[Any], stagnates: bool
) -> None:
    assert reasons(us, earlier + last) == ([STAGNATION] if stagnates else [])
    turned = [None if value is None else -value for value in earlier + last]
    minimized = [{"name": "f", "objective": "minimize"}]
    assert reasons(us, turned, metrics=minimized) == ([STAGNATION] if stagnates else [])


def test_stored_metrics_have_no_say(us: Caller) -> None:
    metrics = ["f", {"name": "s", "strategy": "store"}]
    values = [(v, i) for i, v in enumerate([5, 4, 3, 2, 1, 0, 0, 0, 0, 0])]

    assert reasons(us, values, metrics=metrics) == [STAGNATION]


FRONT = [(1, 3), (2, 2), (3, 1), (0, 0), (0, 0)]


@pytest.mark.parametrize(
    ("budget", "last", "expected"),
    [
        (10, [(0, 0)] * WINDOW, []),
        (8, [(0, 0)] * WINDOW, [BUDGET, STAGNATION]),
        (8, [*[(0, 0)] * 4, (4, 4)], [BUDGET]),
        (99, [(0, 0)] * WINDOW, []),
        (8, [None] * WINDOW, [BUDGET, STAGNATION]),
    ],
)
def test_two_metrics_stagnate_when_the_front_stands_and_the_budget_is_used(
    us: Caller, budget: int, last: list[Any], expected: list[str]
) -> None:
    found = reasons(us, [*FRONT, *last], metrics=["f", "g"], observation_budget=budget)

    assert found == expected


def test_constraints_alone_never_stagnate(us: Caller) -> None:
    limit = {"name": "c", "strategy": "constraint", "threshold": 1}

    assert reasons(us, [5, 4, 3, 2, 1] + [0] * 9, metrics=[limit], observation_budget=99) == []


def test_whose_experiment_it_is_matters(us: Caller, them: Caller) -> None:
    refusal(us.get(f"{make_experiment(them)}/stopping_criteria"), 404)

"""What is worth taking (section 9.6)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.caller import Caller, ok
from tests.wire.conformance.bodies import make_experiment

LIMIT = {"name": "c", "strategy": "constraint", "threshold": 1}
LIMIT_DOWN = {"name": "d", "strategy": "constraint", "objective": "minimize", "threshold": 1}

#: Metrics, rows of values in the order given (`None`: failed), and the rows that come.
CASES: dict[str, tuple[list[Any], list[Any], list[int]]] = {
    "nothing reported": (["f"], [], []),
    "only failures": (["f"], [None, None], []),
    "one metric": (["f"], [(1,), (3,), (2,)], [1]),
    "one metric, minimized": ([{"name": "f", "objective": "minimize"}], [(1,), (3,), None], [0]),
    "one metric with a stored one": (
        ["f", {"name": "s", "strategy": "store"}],
        [(1, 9), (2, 0)],
        [1],
    ),
    "one metric with a constraint": (["f", LIMIT], [(9, 0.5), (1, 1), (2, 2)], [2]),
    "a constraint is met at its threshold": (["f", LIMIT], [(9, 0.999), (5, 1)], [1]),
    "a minimized constraint is met at its threshold": (
        ["f", LIMIT_DOWN],
        [(9, 1.001), (5, 1)],
        [1],
    ),
    "a constraint that nothing meets": (["f", LIMIT], [(9, 0)], []),
    "two metrics": (["f", "g"], [(1, 3), (3, 1), (2, 2), (1, 1), (2, 1)], [1, 2, 0]),
    "two metrics, both directions": (
        [{"name": "f", "objective": "minimize"}, "g"],
        [(1, 1), (2, 2), (3, 1)],
        [0, 1],
    ),
    "exact ties are all kept": (["f", "g"], [(1, 1), (1, 1), (0, 0)], [0, 1]),
    "a tie in one metric is beaten in the other": (["f", "g"], [(1, 1), (1, 2)], [1]),
    "the first metric is the first by name": (
        ["g", "f"],
        [(1, 3), (3, 1)],
        [0, 1],
    ),
    "a threshold leaves out, and takes its own edge": (
        [{"name": "f", "threshold": 2}, "g"],
        [(3, 1), (2, 2), (1.9, 9)],
        [0, 1],
    ),
    "an upper threshold of a minimized metric": (
        [{"name": "f", "objective": "minimize", "threshold": 2}, "g"],
        [(1, 1), (2, 2), (2.1, 9)],
        [0, 1],
    ),
    "two metrics and a constraint": (
        ["f", "g", LIMIT],
        [(9, 9, 0), (1, 2, 1), (2, 1, 5)],
        [2, 1],
    ),
    "failures never come": (["f", "g"], [None, (1, 1), None], [1]),
    "three metrics": (["f", "g", "h"], [(1, 1, 3), (2, 1, 1), (1, 1, 1)], [1, 0]),
    "constraints alone give everything that meets them": (
        [LIMIT],
        [(1,), (0,), (3,), (2,), None],
        [2, 3, 0],
    ),
    "constraints alone, minimized": ([LIMIT_DOWN], [(1,), (0,), (3,)], [1, 0]),
    "two constraints alone are ordered by the first by name": (
        [LIMIT_DOWN, LIMIT],
        [(0, 1), (1, 5), (2, 9), (0, 0)],
        [1, 0],
    ),
}


@pytest.mark.parametrize(("metrics", "rows", "best"), CASES.values(), ids=list(CASES))
def test_these_are_the_best(
    us: Caller, metrics: list[Any], rows: list[Any], best: list[int]
) -> None:
    path = make_experiment(us, metrics=metrics, observation_budget=99)
    names = [each if isinstance(each, str) else each["name"] for each in metrics]
    reports = [
        {"assignments": {"x": index / 10}, "metadata": {"row": index}}
        | (
            {"failed": True}
            if row is None
            else {
                "values": [{"name": n, "value": v} for n, v in zip(names, row, strict=True)],
            }
        )
        for index, row in enumerate(rows)
    ]
    made = ok(us.post(f"{path}/observations/batch", {"observations": reports}))["data"]

    page = ok(us.get(f"{path}/best_assignments"))

    assert [each["metadata"]["row"] for each in page["data"]] == best
    assert page["count"] == len(best)
    for each in page["data"]:
        told = made[each["metadata"]["row"]]
        assert (each["id"], each["values"]) == (told["id"], told["values"])
        assert each["assignments"] == told["assignments"]


def test_what_is_deleted_is_not_the_best(us: Caller) -> None:
    path = make_experiment(us)
    made = [
        ok(us.post(f"{path}/observations", {"assignments": {"x": 0.5}, "values": [{"value": v}]}))
        for v in (1, 2)
    ]
    ok(us.delete(f"{path}/observations/{made[1]['id']}"))

    best = ok(us.get(f"{path}/best_assignments"))["data"]

    assert [each["id"] for each in best] == [made[0]["id"]]


def test_a_threshold_in_flight_counts_at_once(us: Caller) -> None:
    path = make_experiment(us, metrics=["f", "g"], observation_budget=99)
    for f, g in ((1, 2), (2, 1)):
        values = [{"name": "f", "value": f}, {"name": "g", "value": g}]
        ok(us.post(f"{path}/observations", {"assignments": {"x": 0.5}, "values": values}))
    assert ok(us.get(f"{path}/best_assignments"))["count"] == 2

    ok(us.put(path, {"metrics": [{"name": "f", "threshold": 1.5}, {"name": "g"}]}))

    assert ok(us.get(f"{path}/best_assignments"))["count"] == 1


def test_several_solutions_are_far_apart_among_the_top_fifth(us: Caller) -> None:
    path = make_experiment(us, num_solutions=2, observation_budget=99)
    reports = [
        {"assignments": {"x": x}, "values": [{"value": value}]}
        for x, value in [(0.1, 10), (0.11, 9), (0.9, 8), (0.5, 7)]
        + [(0.3 + i / 100, i / 10) for i in range(11)]
    ]
    ok(us.post(f"{path}/observations/batch", {"observations": reports}))

    best = ok(us.get(f"{path}/best_assignments"))["data"]

    assert [each["assignments"]["x"] for each in best] == [0.1, 0.9]

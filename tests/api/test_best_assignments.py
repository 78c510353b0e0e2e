from __future__ import annotations

from typing import Any

from tests.api.caller import ASSIGNMENTS, Caller, ok, path_of, values


def best(api: Caller, path: str) -> list[dict[str, Any]]:
    page = ok(api.get(f"{path}/best_assignments"))
    assert page["object"] == "pagination"
    assert page["count"] == len(page["data"])
    assert page["paging"] == {"before": None, "after": None}
    data: list[dict[str, Any]] = page["data"]
    return data


def test_nothing_reported_nothing_best(api: Caller) -> None:
    path = path_of(api.experiment())
    api.observe(path, assignments=ASSIGNMENTS, failed=True)

    assert best(api, path) == []


def test_with_one_metric_the_best_one(api: Caller) -> None:
    path = path_of(api.single(metrics=[{"name": "f", "objective": "minimize"}]))
    for index, value in enumerate((3, 1, 2)):
        made = api.observe(path, assignments={"x": index / 4}, value=value, metadata={"i": index})
        if value == 1:
            wanted = made

    assert best(api, path) == [
        {
            "object": "best_assignments",
            "id": wanted["id"],
            "assignments": wanted["assignments"],
            "values": wanted["values"],
            "metadata": {"i": 1},
        }
    ]


def test_with_two_metrics_the_efficient_ones_ties_included(api: Caller) -> None:
    path = path_of(api.experiment())
    outcomes = [(0.5, 1.0), (0.9, 5.0), (0.7, 2.0), (0.7, 2.0), (0.6, 4.0)]
    made = [
        api.observe(path, assignments={**ASSIGNMENTS, "lr": 0.1 + i / 10}, values=values(*pair))
        for i, pair in enumerate(outcomes)
    ]

    found = [each["id"] for each in best(api, path)]

    assert found == [made[1]["id"], made[2]["id"], made[3]["id"], made[0]["id"]]


def test_thresholds_leave_out(api: Caller) -> None:
    path = path_of(
        api.experiment(
            metrics=[
                {"name": "accuracy"},
                {"name": "ms", "objective": "minimize", "threshold": 2.0},
            ]
        )
    )
    for index, pair in enumerate([(0.5, 1.0), (0.9, 5.0), (0.7, 2.0)]):
        assignments = {**ASSIGNMENTS, "lr": 0.1 + index / 10}
        api.observe(path, assignments=assignments, values=values(*pair))

    assert [each["values"][0]["value"] for each in best(api, path)] == [0.7, 0.5]


def test_constraints_alone_give_every_feasible_one(api: Caller) -> None:
    path = path_of(
        api.single(
            metrics=[{"name": "f", "strategy": "constraint", "threshold": 2}],
            observation_budget=9,
        )
    )
    for index in range(5):
        api.observe(path, assignments={"x": index / 5}, value=index)

    assert [each["values"][0]["value"] for each in best(api, path)] == [4, 3, 2]


def test_fields_are_selected(api: Caller) -> None:
    path = path_of(api.single())
    api.observe(path, assignments={"x": 0.5}, value=1)

    assert set(ok(api.get(f"{path}/best_assignments", fields="id"))["data"][0]) == {"id"}

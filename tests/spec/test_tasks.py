from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.builders import make_spec
from tradeoff.errors import BadInput
from tradeoff.spec import tasks
from tradeoff.spec.experiment import ExperimentSpec

TASKS: list[dict[str, Any]] = [{"name": "cheap", "cost": 0.1}, {"name": "full", "cost": 1}]
ONE_METRIC = [{"name": "loss", "objective": "minimize"}]


def multitask(**changes: Any) -> ExperimentSpec:
    return make_spec(**{"metrics": ONE_METRIC, "tasks": TASKS, **changes})


def test_the_most_expensive_task_comes_first() -> None:
    spec = multitask()

    assert [(task.name, task.cost) for task in spec.tasks or ()] == [("full", 1), ("cheap", 0.1)]
    assert ExperimentSpec.model_validate_json(spec.model_dump_json()) == spec


def test_tasks_read_from_the_api_can_be_sent_back() -> None:
    assert multitask(tasks=[{"object": "task", **task} for task in TASKS]) == multitask()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tasks": []}, "at least two"),
        ({"tasks": TASKS[1:]}, "at least two"),
        ({"tasks": [*TASKS, {"name": "cheap", "cost": 0.2}]}, "two have the name 'cheap'"),
        ({"tasks": [*TASKS, {"name": "other", "cost": 0.1}]}, "two have the cost 0.1"),
        ({"tasks": [*TASKS, {"name": "other", "cost": 1.0}]}, "two have the cost 1"),
        ({"tasks": [TASKS[0], {"name": "half", "cost": 0.5}]}, "cost 1"),
        ({"tasks": [TASKS[1], {"name": "free", "cost": 0}]}, "greater than 0"),
        ({"tasks": [TASKS[1], {"name": "dear", "cost": 1.5}]}, "less than or equal to 1"),
        ({"tasks": [TASKS[1], {"name": "x", "cost": 0.5, "more": 1}]}, "more"),
        ({"tasks": [TASKS[1], {"name": "x"}]}, "cost"),
        ({"tasks": [TASKS[1], {"name": "", "cost": 0.5}]}, "must not be empty"),
        ({"tasks": [TASKS[1], {"name": "x", "cost": True}]}, "must be a number"),
        ({"tasks": "cheap"}, "tasks"),
        ({"observation_budget": None}, "observation_budget: required"),
        ({"metrics": ["a", "b"]}, "only one metric"),
        (
            {"metrics": ["a", {"name": "b", "strategy": "constraint", "threshold": 1}]},
            "no constraint metrics",
        ),
        ({"num_solutions": 3}, "several solutions"),
    ],
)
def test_tasks_that_cannot_be(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        multitask(**changes)


def test_a_task_is_due_where_there_are_some_and_nowhere_else() -> None:
    assert multitask().check_task("cheap") == 0.1
    assert make_spec().check_task(None) is None
    with pytest.raises(BadInput, match="required in a multitask experiment; one of full, cheap"):
        multitask().check_task(None)
    with pytest.raises(BadInput, match="no task 'other'; there are full, cheap"):
        multitask().check_task("other")
    with pytest.raises(BadInput, match="not a multitask experiment"):
        make_spec().check_task("full")


def test_a_point_comes_apart_into_what_it_was_made_of() -> None:
    for cost in (None, 0.1, 1.0):
        assert tasks.split(tasks.join({"x": 1}, cost)) == ({"x": 1}, cost)

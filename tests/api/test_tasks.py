"""Multitask experiments: each rule of the contract about tasks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.caller import Caller, experiment_body, ok, path_of, refusal

X = [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}]
TASKS = [{"name": "cheap", "cost": 0.25}, {"name": "full", "cost": 1}]
FULL = {"object": "task", "name": "full", "cost": 1}
CHEAP = {"object": "task", "name": "cheap", "cost": 0.25}


def multitask(api: Caller, **changes: Any) -> dict[str, Any]:
    return api.single(**{"tasks": TASKS, "observation_budget": 10, **changes})


def test_tasks_are_shown_the_full_one_first(api: Caller) -> None:
    experiment = multitask(api)

    assert experiment["tasks"] == [FULL, CHEAP]
    assert ok(api.get(path_of(experiment)))["tasks"] == [FULL, CHEAP]
    listed = ok(api.get("/v1/experiments"))["data"]
    assert [each["tasks"] for each in listed] == [[FULL, CHEAP]]


def test_tasks_are_hidden_elsewhere(api: Caller) -> None:
    experiment = api.single(tasks=None)
    path = path_of(experiment)
    suggestion = ok(api.post(f"{path}/suggestions"))
    observation = api.observe(path, assignments={"x": 0.5}, task="ignored", value=1)
    queued = ok(api.post(f"{path}/queued_suggestions", {"assignments": {"x": 0.1}}))
    (best,) = ok(api.get(f"{path}/best_assignments"))["data"]

    for shown in (experiment, suggestion, observation, queued, best):
        assert "task" not in shown
        assert "tasks" not in shown


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tasks": TASKS[:1]}, "tasks"),
        ({"tasks": [*TASKS, {"name": "third", "cost": 0.25}]}, "two have the cost"),
        ({"observation_budget": None}, "observation_budget"),
        ({"metrics": ["a", "b"]}, "tasks"),
        ({"num_solutions": 2}, "tasks"),
        ({"metrics": ["a", {"name": "b", "strategy": "constraint", "threshold": 0}]}, "tasks"),
        ({"tasks": [{"name": "full", "cost": 1}, {"cost": 0.5}]}, "name"),
        ({"tasks": [{"name": "full", "cost": 1}, {"name": "a", "cost": 0.5, "b": 1}]}, "b"),
    ],
)
def test_tasks_that_cannot_be(api: Caller, changes: dict[str, Any], complaint: str) -> None:
    body = {"name": "m", "parameters": X, "tasks": TASKS, "observation_budget": 10, **changes}

    assert complaint in refusal(api.post("/v1/experiments", body))


def test_tasks_cannot_change(api: Caller) -> None:
    refusal(api.put(path_of(multitask(api)), {"tasks": TASKS}))


def test_all_else_of_a_multitask_experiment_can_change(api: Caller) -> None:
    changed = ok(api.put(path_of(multitask(api)), {"parallel_bandwidth": 3, "name": "m"}))

    assert (changed["parallel_bandwidth"], changed["tasks"]) == (3, [FULL, CHEAP])


def test_experiments_of_runs_have_no_tasks(api: Caller) -> None:
    project = f"/v1/clients/{api.client_id}/projects"
    ok(api.post(project, {"id": "p", "name": "P"}))
    body = {"name": "m", "parameters": X, "metrics": [{"name": "y"}], "budget": 5, "tasks": TASKS}

    assert "tasks" in refusal(api.post(f"{project}/p/aiexperiments", body))
    assert "tasks" in refusal(
        api.post("/v1/experiments", {**body, "project": "p", "runs_only": True})
    )
    made = ok(api.post(f"{project}/p/aiexperiments", {**body, "tasks": None}))
    assert "tasks" not in made


def test_suggestions_say_which_task_to_run_and_observations_take_it_over(api: Caller) -> None:
    path = path_of(multitask(api))
    suggestions = [ok(api.post(f"{path}/suggestions")) for _ in range(6)]

    assert {each["task"]["name"] for each in suggestions} == {"full", "cheap"}
    first = suggestions[0]
    assert ok(api.get(f"{path}/suggestions/{first['id']}"))["task"] == first["task"]
    observation = api.observe(path, suggestion=first["id"], value=1)
    assert observation["task"] == first["task"]
    message = refusal(
        api.post(f"{path}/observations", {"suggestion": first["id"], "task": "full", "value": 1})
    )
    assert "task" in message


@pytest.mark.parametrize("task", ["cheap", {"name": "cheap"}, CHEAP])
def test_a_task_is_given_by_name_or_as_an_object(api: Caller, task: Any) -> None:
    path = path_of(multitask(api))

    assert api.observe(path, assignments={"x": 0.5}, task=task, value=1)["task"] == CHEAP
    own = ok(api.post(f"{path}/suggestions", {"assignments": {"x": 0.5}, "task": task}))
    assert own["task"] == CHEAP
    batch = {"observations": [{"assignments": {"x": 0.5}, "task": task, "value": 1}]}
    assert ok(api.post(f"{path}/observations/batch", batch))["data"][0]["task"] == CHEAP


@pytest.mark.parametrize("task", [None, "other", "", 7, {}, {"name": None}, ["cheap"]])
def test_a_task_is_due_with_assignments(api: Caller, task: Any) -> None:
    path = path_of(multitask(api))
    body = {"assignments": {"x": 0.5}, "task": task}

    assert "task" in refusal(api.post(f"{path}/observations", {**body, "value": 1}))
    assert "task" in refusal(api.post(f"{path}/suggestions", body))
    assert "task" in refusal(api.post(f"{path}/queued_suggestions", body))
    batch = {"observations": [{**body, "value": 1}]}
    assert "observations[0].task" in refusal(api.post(f"{path}/observations/batch", batch))


def test_a_task_is_refused_where_there_is_none(api: Caller) -> None:
    path = path_of(api.single())
    body = {"assignments": {"x": 0.5}, "task": "full"}

    assert "multitask" in refusal(api.post(f"{path}/suggestions", body))
    assert "multitask" in refusal(api.post(f"{path}/queued_suggestions", body))
    observation = api.observe(path, assignments={"x": 0.5}, value=1)
    update = api.put(f"{path}/observations/{observation['id']}", {"task": "full"})
    assert "multitask" in refusal(update)
    assert "task" in refusal(api.post(f"{path}/suggestions", {"task": "full"}))


def test_the_same_point_can_be_open_with_each_task(api: Caller) -> None:
    path = path_of(multitask(api))
    for task in ("cheap", "full"):
        ok(api.post(f"{path}/suggestions", {"assignments": {"x": 0.5}, "task": task}))

    assert len(ok(api.get(f"{path}/suggestions", state="open"))["data"]) == 2


def test_a_queued_suggestion_is_served_with_its_task(api: Caller) -> None:
    path = path_of(multitask(api))
    queued = ok(api.post(f"{path}/queued_suggestions", {"assignments": {"x": 0.3}, "task": "full"}))
    assert queued["task"] == FULL
    assert ok(api.get(f"{path}/queued_suggestions/{queued['id']}"))["task"] == FULL

    served = ok(api.post(f"{path}/suggestions"))

    assert (served["assignments"], served["task"], served["source"]) == ({"x": 0.3}, FULL, "queued")


def test_only_the_full_task_is_best_and_each_counts_by_its_cost(api: Caller) -> None:
    path = path_of(multitask(api))
    api.observe(path, assignments={"x": 0.1}, task="cheap", value=100)
    assert ok(api.get(f"{path}/best_assignments"))["data"] == []
    progress = ok(api.get(path))["progress"]
    assert progress["best_observation"] is None
    assert progress["observation_budget_consumed"] == 0.25

    full = api.observe(path, assignments={"x": 0.2}, task="full", value=1)
    api.observe(path, assignments={"x": 0.3}, task="full", failed=True)
    api.observe(path, assignments={"x": 0.4}, task="full", failed=True, failure_kind="transient")

    progress = ok(api.get(path))["progress"]
    assert progress["observation_count"] == 4
    assert progress["observation_budget_consumed"] == 2.25
    assert progress["best_observation"] == full
    (best,) = ok(api.get(f"{path}/best_assignments"))["data"]
    assert (best["id"], best["task"]) == (full["id"], "full")
    ok(api.delete(f"{path}/observations/{full['id']}"))
    progress = ok(api.get(path))["progress"]
    assert (progress["observation_budget_consumed"], progress["best_observation"]) == (1.25, None)


def test_the_budget_is_reached_by_cost(api: Caller) -> None:
    path = path_of(multitask(api, observation_budget=1))
    for index in range(4):
        api.observe(path, assignments={"x": index / 4}, task="cheap", value=1)
    reached = "observation_budget_reached"
    assert reached not in ok(api.get(f"{path}/stopping_criteria"))["reasons"]

    api.observe(path, assignments={"x": 0.9}, task="cheap", value=1)

    assert reached in ok(api.get(f"{path}/stopping_criteria"))["reasons"]


def test_observations_are_sorted_by_the_cost_of_their_task(api: Caller) -> None:
    path = path_of(multitask(api))
    for task in ("full", "cheap", "full"):
        api.observe(path, assignments={"x": 0.5}, task=task, value=1)

    rising = ok(api.get(f"{path}/observations", sort="task", ascending=True))["data"]

    assert [each["task"]["name"] for each in rising] == ["cheap", "full", "full"]
    page = ok(api.get(f"{path}/observations", sort="task", limit=2))
    assert [each["task"]["name"] for each in page["data"]] == ["full", "full"]
    rest = ok(api.get(f"{path}/observations", sort="task", before=page["paging"]["before"]))
    assert [each["task"]["name"] for each in rest["data"]] == ["cheap"]
    single = path_of(api.single())
    api.observe(single, assignments={"x": 0.5}, value=1)
    assert len(ok(api.get(f"{single}/observations", sort="task"))["data"]) == 1


def test_the_task_of_an_observation_can_be_corrected(api: Caller) -> None:
    path = path_of(multitask(api))
    own = api.observe(path, assignments={"x": 0.5}, task="cheap", value=1)
    address = f"{path}/observations/{own['id']}"

    assert ok(api.put(address, {"task": "full"}))["task"] == FULL
    assert ok(api.put(address, {"task": None, "metadata": {"a": 1}}))["task"] == FULL
    assert ok(api.put(address, {"assignments": {"x": 0.6}, "task": {"name": "cheap"}}))["task"] == (
        CHEAP
    )
    assert ok(api.put(address, {"assignments": {"x": 0.7}}))["task"] == CHEAP
    assert "no task" in refusal(api.put(address, {"task": "other"}))

    suggestion = ok(api.post(f"{path}/suggestions", {"assignments": {"x": 0.1}, "task": "full"}))
    ok(api.put(address, {"assignments": None, "suggestion": suggestion["id"]}))
    assert ok(api.get(address))["task"] == FULL
    assert "suggestion" in refusal(api.put(address, {"task": "cheap"}))


def test_what_failed_for_no_reason_is_served_again_with_its_task(api: Caller) -> None:
    path = path_of(multitask(api))
    suggestion = ok(api.post(f"{path}/suggestions"))
    api.observe(path, suggestion=suggestion["id"], failed=True, failure_kind="transient")

    again = ok(api.post(f"{path}/suggestions"))

    assert again["attempt"] == 1
    assert (again["assignments"], again["task"]) == (suggestion["assignments"], suggestion["task"])


@pytest.mark.parametrize("kind", ["random", "grid"])
def test_points_without_a_model_have_a_task_too(api: Caller, kind: str) -> None:
    parameters = [{"name": "k", "type": "int", "grid": [1, 2, 3]}]
    body = experiment_body(
        type=kind,
        parameters=parameters,
        metrics=["y"],
        tasks=TASKS,
        observation_budget=None if kind == "grid" else 10,
    )
    path = path_of(ok(api.post("/v1/experiments", body)))

    served = [ok(api.post(f"{path}/suggestions")) for _ in range(3)]

    names = {each["task"]["name"] for each in served}
    assert names == {"full"} if kind == "grid" else names <= {"full", "cheap"}
    assert [set(each["assignments"]) for each in served] == [{"k"}] * 3


def test_importances_are_of_the_parameters_alone(api: Caller) -> None:
    path = path_of(multitask(api))
    for index in range(5):
        api.observe(path, assignments={"x": index / 5}, task="cheap", value=index)

    (told,) = ok(api.get(f"{path}/metric_importances"))["data"]

    assert told["importances"] == {"x": 1}

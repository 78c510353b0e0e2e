from __future__ import annotations

from typing import Any

import pytest

from tests.api.caller import (
    METRICS,
    PARAMETERS,
    Caller,
    experiment_body,
    ok,
    path_of,
    refusal,
    single_body,
)
from tests.api.test_accounts import make_token
from tradeoff.store.database import Database

X = {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}
BODY: dict[str, Any] = {"name": "ai", "parameters": [X], "metrics": [{"name": "f"}]}
NO_RUNS = {
    "object": "progress",
    "finished_run_count": 0,
    "active_run_count": 0,
    "total_run_count": 0,
    "remaining_budget": None,
}


def create(api: Caller, project: str, **changes: Any) -> dict[str, Any]:
    return ok(api.post(f"{project}/aiexperiments", {**BODY, **changes}))


def ai_path(experiment: dict[str, Any]) -> str:
    return f"/v1/aiexperiments/{experiment['id']}"


def ids_of(page: dict[str, Any]) -> list[str]:
    return [row["id"] for row in page["data"]]


def test_an_aiexperiment_is_created_and_fetched(api: Caller, project: str) -> None:
    made = create(
        api,
        project,
        parameters=PARAMETERS,
        metrics=METRICS,
        budget=30,
        parallel_bandwidth=2,
        metadata={"_IS_XGB_EXPERIMENT": "True"},
    )

    assert made["object"] == "aiexperiment"
    assert (made["project"], made["client"]) == ("gears", str(api.client_id))
    assert (made["budget"], made["parallel_bandwidth"], made["num_solutions"]) == (30, 2, None)
    assert (made["runs_only"], made["state"], made["type"]) == (True, "active", "offline")
    assert made["progress"] == {**NO_RUNS, "remaining_budget": 30}
    assert [parameter["name"] for parameter in made["parameters"]] == ["act", "filters", "lr"]
    assert {"development", "observation_budget", "tasks"} & set(made) == set()
    assert ok(api.get(ai_path(made))) == made
    assert ok(api.get(project))["experiment_count"] == 1


def test_null_is_as_good_as_absent(api: Caller, project: str) -> None:
    made = create(
        api,
        project,
        type=None,
        budget=None,
        parallel_bandwidth=None,
        num_solutions=None,
        conditionals=None,
        linear_constraints=None,
        metadata=None,
        parameters=[
            {
                "name": "n",
                "type": "int",
                "bounds": {"min": 1, "max": 3},
                "prior": None,
                "transformation": None,
            }
        ],
    )

    assert (made["budget"], made["metadata"]) == (None, None)
    assert made["progress"] == NO_RUNS


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": None}, "name: required"),
        ({"name": ""}, "name: must not be empty"),
        ({"parameters": None}, "parameters: required"),
        ({"parameters": []}, "parameters: must hold at least 1"),
        ({"metrics": None}, "metrics: required"),
        ({"metrics": []}, "metrics: must hold at least 1"),
        ({"metrics": ["f"]}, "metrics[0]: must be an object"),
        ({"metrics": [{"objective": "minimize"}]}, "metrics[0].name: required"),
        ({"metrics": [{"name": ""}]}, "metrics[0].name: must not be empty"),
        ({"budget": 0}, "budget: must be a positive integer"),
        ({"budget": -1}, "budget: must be a positive integer"),
        ({"budget": 1.5}, "budget: must be an integer"),
        ({"budget": "3"}, "budget: must be a number"),
        ({"metrics": METRICS}, "budget: required with two or more optimized metrics"),
        ({"metrics": METRICS, "budget": None}, "budget: required with two or more"),
        ({"num_solutions": 2}, "budget: required"),
        ({"num_solutions": 3, "budget": 2}, "budget: must be at least num_solutions"),
        ({"observation_budget": 3}, "observation_budget: unknown key"),
        ({"observation_budget": None}, "observation_budget: unknown key"),
        ({"project": "gears"}, "project: unknown key"),
        ({"runs_only": True}, "runs_only: unknown key"),
        ({"tasks": []}, "tasks: unknown key"),
        ({"metric": {"name": "f"}}, "metric: unknown key"),
        ({"colour": 1}, "colour: unknown key"),
    ],
)
def test_what_cannot_be_an_aiexperiment(
    api: Caller, project: str, changes: dict[str, Any], words: str
) -> None:
    message = refusal(api.post(f"{project}/aiexperiments", {**BODY, **changes}))

    assert words in message
    if "observation_budget" not in changes:
        assert "observation_budget" not in message


def test_its_project_must_be_there(api: Caller, project: str) -> None:
    refusal(api.post(f"{project}-2/aiexperiments", BODY), 404)


def test_a_grid_has_its_size_for_a_budget(api: Caller, project: str) -> None:
    grid = [{"name": "x", "type": "double", "grid": [1, 2, 3]}]

    assert create(api, project, type="grid", parameters=grid)["budget"] == 3


def test_the_address_of_experiments_sends_there(api: Caller, project: str) -> None:
    made = create(api, project)

    answer = api.get(path_of(made))

    assert answer.status_code == 301
    assert answer.headers["location"] == ai_path(made)
    assert answer.json()["status"] == 301
    assert answer.json()["location"] == ai_path(made)
    assert answer.json()["message"]
    followed = api.request("GET", path_of(made), follow_redirects=True)
    assert ok(followed) == made


def test_a_classical_experiment_is_none(api: Caller) -> None:
    experiment = api.single()

    for answer in (
        api.get(ai_path(experiment)),
        api.put(ai_path(experiment), {"name": "x"}),
        api.delete(ai_path(experiment)),
    ):
        assert "There is no AIExperiment" in refusal(answer, 404)
    assert ok(api.get(path_of(experiment))) == experiment


def test_only_runs_report_to_it(api: Caller, project: str) -> None:
    path = path_of(create(api, project))

    for answer in (
        api.post(f"{path}/suggestions"),
        api.post(f"{path}/suggestions", {"assignments": {"x": 0.5}}),
        api.post(f"{path}/suggestions", {"nonsense": 1}),
        api.post(f"{path}/observations", {"assignments": {"x": 0.5}, "value": 1}),
        api.post(f"{path}/observations", {}),
        api.post(f"{path}/observations/batch", {"observations": []}),
    ):
        assert "training run" in refusal(answer, 403)
    assert ok(api.get(f"{path}/suggestions"))["count"] == 0
    assert ok(api.get(f"{path}/observations"))["count"] == 0
    assert ok(api.get(f"{path}/best_assignments"))["count"] == 0


def test_the_lists_keep_the_kinds_apart(api: Caller, project: str) -> None:
    classical = ok(api.post("/v1/experiments", single_body(project="gears")))["id"]
    of_runs = create(api, project)["id"]
    client = f"/v1/clients/{api.client_id}"

    for path in ("/v1/experiments", f"{client}/experiments", f"{project}/experiments"):
        assert ids_of(ok(api.get(path))) == [classical]
        assert ids_of(ok(api.get(path, include_ai=False))) == [classical]
        assert ids_of(ok(api.get(path, include_ai=True))) == [of_runs, classical]
    for path in ("/v1/aiexperiments", f"{client}/aiexperiments", f"{project}/aiexperiments"):
        page = ok(api.get(path))
        assert ids_of(page) == [of_runs]
        assert page["data"][0]["object"] == "aiexperiment"


def test_the_list_of_experiments_shows_it_as_one(api: Caller, project: str) -> None:
    made = create(api, project, budget=3)

    (row,) = ok(api.get("/v1/experiments", include_ai=True))["data"]

    assert (row["object"], row["id"], row["runs_only"]) == ("experiment", made["id"], True)
    assert (row["budget"], row["progress"]) == (3, {**NO_RUNS, "remaining_budget": 3})
    assert "observation_budget" not in row
    assert row["development"] is False
    api.single()
    (classical,) = ok(api.get("/v1/experiments"))["data"]
    assert "budget" not in classical
    assert classical["runs_only"] is False
    shown = ok(api.get("/v1/experiments", include_ai=True, fields="id,budget"))["data"]
    assert shown[1] == {"id": made["id"], "budget": 3}


def test_lists_are_filtered_and_sorted(api: Caller, project: str) -> None:
    first, second = create(api, project, name="alpha"), create(api, project, name="beta")
    ok(api.put(ai_path(first), {"metadata": {"k": 1}}))
    path = f"{project}/aiexperiments"

    assert ids_of(ok(api.get(path))) == [second["id"], first["id"]]
    assert ids_of(ok(api.get(path, sort="recent"))) == [first["id"], second["id"]]
    assert ids_of(ok(api.get(path, search="BET"))) == [second["id"]]
    assert ok(api.get(path, user=7))["count"] == 0
    ok(api.delete(ai_path(first)))
    assert ids_of(ok(api.get(path))) == [second["id"]]
    assert ids_of(ok(api.get(path, state="deleted"))) == [first["id"]]
    assert ids_of(ok(api.get(path, state="all"))) == [second["id"], first["id"]]
    refusal(api.get(path, sort="name"))
    refusal(api.get(path, state="paused"))


def test_only_what_is_given_changes(api: Caller, project: str) -> None:
    made = create(api, project, budget=5, metadata={"a": 1})
    path = ai_path(made)

    assert ok(api.put(path, {})) == made
    changed = ok(api.put(path, {"name": "new", "budget": 7, "parallel_bandwidth": 3}))
    assert (changed["name"], changed["budget"], changed["parallel_bandwidth"]) == ("new", 7, 3)
    assert changed["metadata"] == {"a": 1}
    assert changed["progress"]["remaining_budget"] == 7
    cleared = ok(api.put(path, {"budget": None, "metadata": None, "parallel_bandwidth": None}))
    assert (cleared["budget"], cleared["metadata"], cleared["parallel_bandwidth"]) == (
        None,
        None,
        None,
    )
    assert ok(api.put(path, {"no_optimize": True, "project": "gears"}))["project"] == "gears"


@pytest.mark.parametrize(
    "body",
    [
        {"name": None},
        {"state": None},
        {"metrics": None},
        {"parameters": None},
        {"observation_budget": 3},
        {"observation_budget": None},
        {"type": "random"},
        {"tasks": []},
        {"num_solutions": 1},
        {"conditionals": []},
        {"linear_constraints": []},
        {"budget": 0},
        {"project": None},
        {"project": "other"},
        {"runs_only": False},
    ],
)
def test_changes_that_cannot_be(api: Caller, project: str, body: dict[str, Any]) -> None:
    ok(api.post(project.rpartition("/")[0], {"id": "other", "name": "Other"}))
    made = create(api, project)

    refusal(api.put(ai_path(made), body))

    assert ok(api.get(ai_path(made))) == made


def test_the_other_address_changes_it_too(api: Caller, project: str) -> None:
    made = create(api, project, budget=3)

    changed = ok(api.put(path_of(made), {"budget": 4}))

    assert (changed["object"], changed["budget"], changed["runs_only"]) == ("experiment", 4, True)
    assert "a budget instead" in refusal(api.put(path_of(made), {"observation_budget": 3}))
    classical = api.single()
    assert "observation_budget instead" in refusal(api.put(path_of(classical), {"budget": 3}))
    with_several = create(api, project, metrics=METRICS, budget=9)
    assert refusal(api.put(ai_path(with_several), {"budget": 8})).startswith("budget: cannot")
    assert refusal(api.put(ai_path(with_several), {"budget": None})).startswith("budget: ")


@pytest.mark.parametrize("path", [ai_path, path_of], ids=["ai", "classical"])
def test_deleting_and_coming_back(api: Caller, project: str, path: Any) -> None:
    made = create(api, project)

    assert ok(api.delete(path(made), include_runs=True)) == {}
    assert ok(api.delete(path(made))) == {}

    assert ok(api.get(ai_path(made)))["state"] == "deleted"
    assert ok(api.get("/v1/aiexperiments"))["count"] == 0
    assert ok(api.put(ai_path(made), {"state": "active"}))["state"] == "active"
    assert ok(api.get("/v1/aiexperiments"))["count"] == 1


def test_an_experiment_can_be_made_of_runs_by_a_flag(api: Caller, project: str) -> None:
    body = experiment_body(runs_only=True, project="gears", observation_budget=None, budget=9)

    made = ok(api.post("/v1/experiments", body))

    assert (made["object"], made["runs_only"], made["budget"]) == ("experiment", True, 9)
    assert made["progress"] == {**NO_RUNS, "remaining_budget": 9}
    assert ok(api.get(ai_path(made)))["object"] == "aiexperiment"
    for changes, words in (
        ({"project": None}, "project: required with runs_only"),
        ({"observation_budget": 9, "budget": None}, "observation_budget: "),
        ({"metrics": None, "budget": None}, "metrics[0].name: required"),
        ({"runs_only": False}, "budget: an experiment has an observation_budget"),
        ({"runs_only": 1, "budget": None}, "runs_only: must be true or false"),
    ):
        refused = api.post("/v1/experiments", {**body, **changes})
        assert words in refusal(refused), changes


def test_deleting_with_its_runs_deletes_what_it_holds(api: Caller) -> None:
    path = path_of(api.single())
    api.observe(path, suggestion=ok(api.post(f"{path}/suggestions"))["id"], value=1)
    ok(api.post(f"{path}/suggestions"))

    ok(api.delete(path, include_runs=True))
    experiment = ok(api.put(path, {"state": "active"}))

    assert experiment["progress"]["observation_count"] == 0
    assert ok(api.get(f"{path}/suggestions"))["count"] == 0
    assert ok(api.get(f"{path}/observations"))["count"] == 0
    assert ok(api.get(f"{path}/observations", deleted=True))["count"] == 1


def test_who_may_do_what(api: Caller, other: Caller, project: str, shared: Database) -> None:
    made = create(api, project)
    developer = api.as_token(api.development_token)
    reader = make_token(shared, api, role="read")
    guest = api.as_token(ok(api.post(f"{path_of(made)}/tokens"))["token"])

    refusal(developer.get("/v1/aiexperiments"), 403)
    refusal(developer.post(f"{project}/aiexperiments", {"nonsense": 1}), 403)
    refusal(developer.get(ai_path(made)), 403)
    assert "development" in refusal(
        developer.post("/v1/experiments", {**BODY, "runs_only": True, "project": "gears"}), 403
    )
    refusal(reader.post(f"{project}/aiexperiments", BODY), 403)
    refusal(reader.put(ai_path(made), {"name": "x"}), 403)
    refusal(reader.delete(ai_path(made)), 403)
    assert ok(reader.get(ai_path(made))) == ok(guest.get(ai_path(made))) == made
    assert ids_of(ok(guest.get("/v1/aiexperiments"))) == [made["id"]]
    refusal(guest.get(f"{project}/aiexperiments"), 403)
    refusal(other.get(ai_path(made)), 404)
    assert ok(other.get("/v1/aiexperiments"))["count"] == 0

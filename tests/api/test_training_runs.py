from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.api.caller import Caller, ok, path_of, refusal
from tests.api.test_accounts import make_token
from tradeoff.store.database import Database

X = {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}
N = {"name": "n", "type": "int", "bounds": {"min": 1, "max": 9}}
AI: dict[str, Any] = {
    "name": "ai",
    "parameters": [X, N],
    "metrics": [{"name": "f"}, {"name": "ms", "strategy": "store"}],
}
SKIP = {"X-Response-Content": "skip"}


def create(api: Caller, project: str, **changes: Any) -> dict[str, Any]:
    return ok(api.post(f"{project}/training_runs", {"name": "run", **changes}))


def run_path(run: dict[str, Any]) -> str:
    return f"/v1/training_runs/{run['id']}"


def merge(api: Caller, run: dict[str, Any], **body: Any) -> dict[str, Any]:
    return ok(api.request("MERGE", run_path(run), json=body))


def refused(api: Caller, run: dict[str, Any], body: dict[str, Any], method: str = "MERGE") -> str:
    return refusal(api.request(method, run_path(run), json=body))


@pytest.fixture
def ai(api: Caller, project: str) -> str:
    """Where an AIExperiment of the caller is."""
    made = ok(api.post(f"{project}/aiexperiments", {**AI, "budget": 10}))
    return f"/v1/aiexperiments/{made['id']}"


def start(api: Caller, ai: str, **changes: Any) -> dict[str, Any]:
    return ok(api.post(f"{ai}/training_runs", {"name": "run", **changes}))


def classical(ai: str) -> str:
    return ai.replace("aiexperiments", "experiments")


def ids_of(page: dict[str, Any]) -> list[str]:
    return [row["id"] for row in page["data"]]


# Runs of a project


def test_a_run_is_created_and_fetched(api: Caller, project: str) -> None:
    run = ok(api.post(f"{project}/training_runs", {"name": "run", "metadata": None}))

    assert run == {
        "object": "training_run",
        "id": run["id"],
        "client": str(api.client_id),
        "project": "gears",
        "experiment": None,
        "suggestion": None,
        "observation": None,
        "user": None,
        "name": "run",
        "state": "active",
        "finished": False,
        "created": run["created"],
        "updated": run["created"],
        "completed": None,
        "deleted": False,
        "favorite": False,
        "assignments": {},
        "assignments_meta": {},
        "assignments_sources": {},
        "values": {},
        "metadata": None,
        "dev_metadata": {},
        "sys_metadata": {},
        "datasets": {},
        "logs": {},
        "model": {"object": "model", "type": None},
        "source_code": {"object": "source_code", "content": None, "hash": None},
        "tags": [],
        "files": [],
        "checkpoint_count": 0,
    }
    assert ok(api.get(run_path(run))) == run
    assert ok(api.get(project))["training_run_count"] == 1


def test_all_that_a_run_can_log(api: Caller, project: str) -> None:
    run = create(
        api,
        project,
        state="completed",
        favorite=True,
        assignments={"lr": 0.5, "layers": 3.0, "kind": "a", "none": None},
        assignments_meta={"lr": {"source": "User"}},
        assignments_sources={"User": {"sort": 2, "default_show": True}},
        values={"f": {"value": 1, "value_stddev": 0.1}, "ms": {"value": 2.5}},
        metadata={"host": "a", "none": None},
        dev_metadata={"_IS_XGB_RUN": 1.0},
        sys_metadata={"feature_importances": {"type": "weight", "scores": {"a": 0.5}}},
        datasets={"iris": {}},
        logs={"stdout": {"content": "x" * 2_000}},
        model={"type": "xgboost"},
        source_code={"content": "print()", "hash": "abc"},
    )

    assert (run["state"], run["finished"], run["favorite"]) == ("completed", True, True)
    assert run["completed"] == run["created"]
    assert run["assignments"] == {"lr": 0.5, "layers": 3, "kind": "a"}
    assert isinstance(run["assignments"]["layers"], int)
    assert run["assignments_meta"] == {"lr": {"object": "assignments_meta", "source": "User"}}
    assert run["assignments_sources"] == {
        "User": {"object": "assignments_sources", "sort": 2, "default_show": True}
    }
    assert run["values"]["f"] == {
        "object": "metric_evaluation",
        "name": "f",
        "value": 1,
        "value_stddev": 0.1,
    }
    assert run["values"]["ms"]["value_stddev"] is None
    assert run["metadata"] == {"host": "a"}
    assert run["dev_metadata"] == {"_IS_XGB_RUN": 1.0}
    assert run["sys_metadata"]["feature_importances"]["scores"] == {"a": 0.5}
    assert run["datasets"] == {"iris": {"object": "dataset"}}
    assert run["logs"] == {"stdout": {"object": "log", "content": "x" * 1_124}}
    assert run["model"]["type"] == "xgboost"
    assert run["source_code"]["hash"] == "abc"


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a name of null": ({"name": None}, "name"),
    "an empty name": ({"name": " "}, "name: must not be empty"),
    "a state of null": ({"state": None}, "state"),
    "an unknown state": ({"state": "paused"}, "state: must be"),
    "a flag as number": ({"favorite": 1}, "favorite: must be true or false"),
    "a value as flag": ({"metadata": {"a": True}}, "metadata.a: must be a string or a number"),
    "depth": ({"assignments": {"a": {}}}, "assignments.a: must be a string or a number"),
    "a long text": ({"dev_metadata": {"a": "x" * 501}}, "dev_metadata.a: must have at most 500"),
    "a long key": ({"metadata": {"x" * 101: 1}}, "metadata: keys must have 1 to 100"),
    "many keys": ({"assignments": {str(n): n for n in range(101)}}, "assignments: must have at"),
    "values as a list": ({"values": [{"name": "f", "value": 1}]}, "values: must be an object"),
    "a number for a value": ({"values": {"f": 1}}, "values.f: must be an object"),
    "a text for a value": ({"values": {"f": {"value": "1"}}}, "values.f: value: must be a number"),
    "a negative stddev": (
        {"values": {"f": {"value": 1, "value_stddev": -1}}},
        "values.f: value_stddev: must be at least 0",
    ),
    "more about a value": ({"values": {"f": {"value": 1, "unit": "s"}}}, "'unit': unknown key"),
    "meta of nothing": (
        {"assignments_meta": {"b": {"source": "User"}}},
        "assignments_meta.'b': there is no such assignment",
    ),
    "our source": (
        {"assignments": {"b": 1}, "assignments_meta": {"b": {"source": "SigOpt"}}},
        "assignments_meta.b: source: 'SigOpt' is the source",
    ),
    "a long source": (
        {"assignments": {"b": 1}, "assignments_meta": {"b": {"source": "x" * 31}}},
        "must have 1 to 30 characters",
    ),
    "a source without a name": ({"assignments_sources": {"": {}}}, "must have 1 to 30 characters"),
    "a sort as text": (
        {"assignments_sources": {"User": {"sort": "1"}}},
        "assignments_sources.User: sort: must be a number",
    ),
    "a dataset with content": ({"datasets": {"d": {"rows": 1}}}, "'rows': unknown key"),
    "a log as text": ({"logs": {"stdout": "text"}}, "logs.stdout: must be an object"),
    "a model as text": ({"model": "net"}, "model: must be an object"),
    "a path of source code": ({"source_code": {"path": "x"}}, "'path': unknown key"),
    "other sys_metadata": ({"sys_metadata": {"gpu": 1}}, "'gpu': unknown key"),
    "many scores": (
        {"sys_metadata": {"feature_importances": {"scores": {str(n): n for n in range(51)}}}},
        "must have at most 50 keys",
    ),
    "an unknown key": ({"colour": 1}, "colour: unknown key"),
    "its own id": ({"id": "1"}, "id: unknown key"),
    "its own experiment": ({"experiment": "1"}, "experiment: unknown key"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_logged(api: Caller, project: str, name: str) -> None:
    body, words = BAD[name]
    run = create(api, project, assignments={"a": 1})

    assert words in refused(api, run, body)
    assert words in refused(api, run, body, "PUT")
    if name != "a state of null":  # as good as absent where something is made
        assert words in refusal(api.post(f"{project}/training_runs", {"name": "n", **body}))
    assert ok(api.get(run_path(run))) == run


def test_a_run_needs_a_name_and_its_project(api: Caller, project: str) -> None:
    assert "name: required" in refusal(api.post(f"{project}/training_runs", {}))
    assert "project: unknown key" in refusal(
        api.post(f"{project}/training_runs", {"name": "n", "project": "gears"})
    )
    refusal(api.post(f"{project}-2/training_runs", {"name": "n"}), 404)


def test_merging_lays_objects_over_objects(api: Caller, project: str) -> None:
    run = create(
        api,
        project,
        assignments={"a": 1, "b": 2},
        values={"f": {"value": 1, "value_stddev": 0.5}},
        metadata={"k": 1},
    )

    merged = merge(
        api,
        run,
        assignments={"b": None, "c": 3},
        values={"f": {"value": 2}, "g": {"value": 3}},
        metadata={"l": "x"},
        logs={"stdout": {"content": "hello"}},
        model={},
        source_code={"hash": "h"},
        datasets={"d": {}},
    )

    assert merged["assignments"] == {"a": 1, "c": 3}
    assert merged["values"]["f"]["value"] == 2
    assert merged["values"]["f"]["value_stddev"] == 0.5
    assert merged["values"]["g"]["value"] == 3
    assert merged["metadata"] == {"k": 1, "l": "x"}
    assert merged["logs"]["stdout"]["content"] == "hello"
    assert merged["source_code"]["hash"] == "h"
    later = merge(api, run, values={"f": None}, source_code={"content": "c"}, metadata=None)
    assert set(later["values"]) == {"g"}
    assert (later["source_code"]["content"], later["source_code"]["hash"]) == ("c", "h")
    assert later["metadata"] is None
    assert merge(api, run, metadata={"n": 1})["metadata"] == {"n": 1}
    assert merge(api, run)["name"] == "run"


def test_putting_replaces_each_key_that_is_given(api: Caller, project: str) -> None:
    run = create(
        api, project, assignments={"a": 1, "b": 2}, metadata={"k": 1}, values={"f": {"value": 1}}
    )

    changed = ok(
        api.put(run_path(run), {"assignments": {"c": 3}, "metadata": None, "favorite": True})
    )

    assert changed["assignments"] == {"c": 3}
    assert (changed["metadata"], changed["favorite"]) == (None, True)
    assert changed["values"]["f"]["value"] == 1
    assert ok(api.put(run_path(run), {"values": None}))["values"] == {}


def test_what_is_removed_has_no_source(api: Caller, project: str) -> None:
    run = create(
        api, project, assignments={"a": 1, "b": 1}, assignments_meta={"a": {"source": "User"}}
    )

    assert merge(api, run, assignments={"a": None})["assignments_meta"] == {}
    assert merge(api, run, assignments_meta={"b": {"source": "User"}})["assignments_meta"]


def test_many_small_merges_stay_within_the_limits(api: Caller, project: str) -> None:
    run = create(api, project, metadata={str(n): n for n in range(100)})

    assert "metadata: must have at most 100 keys" in refused(api, run, {"metadata": {"more": 1}})
    ok(api.put(run_path(run), {"metadata": {"other": 1}}))


def test_nothing_is_answered_when_that_is_wanted(api: Caller, project: str) -> None:
    run = create(api, project)

    answer = api.request("MERGE", run_path(run), json={"values": {"f": {"value": 1}}}, headers=SKIP)

    assert (answer.status_code, answer.content) == (204, b"")
    assert ok(api.get(run_path(run)))["values"]["f"]["value"] == 1
    checkpoint = api.post(
        f"{run_path(run)}/checkpoints", {"values": [{"name": "f", "value": 1}]}, headers=SKIP
    )
    assert (checkpoint.status_code, checkpoint.content) == (204, b"")
    refusal(api.request("MERGE", run_path(run), json={"colour": 1}, headers=SKIP))
    assert api.request("GET", run_path(run), headers=SKIP).status_code == 200


def test_what_is_logged_at_the_same_time_is_all_there(api: Caller, project: str) -> None:
    run = create(api, project)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: merge(api, run, metadata={f"k{n}": n}), range(24)))

    assert len(ok(api.get(run_path(run)))["metadata"]) == 24


def test_when_it_was_over_is_noted_once(api: Caller, project: str) -> None:
    run = create(api, project)
    failed = merge(api, run, state="failed")
    assert failed["finished"] is True
    time.sleep(1.1)

    active = merge(api, run, state="active")
    again = merge(api, run, state="completed")

    assert (active["state"], active["completed"]) == ("active", failed["completed"])
    assert (again["state"], again["completed"]) == ("completed", failed["completed"])
    assert again["updated"] > failed["updated"]


def test_a_run_moves_to_another_project(api: Caller, project: str) -> None:
    ok(api.post(project.rpartition("/")[0], {"id": "other", "name": "Other"}))
    run = create(api, project)

    assert merge(api, run, project="other")["project"] == "other"
    assert ok(api.get(project))["training_run_count"] == 0
    assert "project: there is no project" in refused(api, run, {"project": "nowhere"})
    assert "project: must be a string" in refused(api, run, {"project": None})


def test_a_run_is_deleted_and_brought_back(api: Caller, project: str) -> None:
    run = create(api, project)

    assert ok(api.delete(run_path(run)))["deleted"] is True
    assert ok(api.delete(run_path(run)))["deleted"] is True

    assert ok(api.get(run_path(run)))["deleted"] is True
    assert ok(api.get(project))["training_run_count"] == 0
    assert ok(api.put(run_path(run), {"deleted": False}))["deleted"] is False


def test_a_project_moves_with_its_runs(api: Caller, project: str) -> None:
    path = project.rpartition("/")[0]
    run = create(api, project)
    ok(api.post(path, {"id": "newer", "name": "Newer"}))
    assert ids_of(ok(api.get(path))) == ["newer", "gears"]

    merge(api, run, values={"f": {"value": 1}})

    assert ids_of(ok(api.get(path))) == ["gears", "newer"]


# Many at once


def test_many_runs_are_created_at_once(api: Caller, project: str) -> None:
    runs = [{"name": f"run {n}", "values": {"f": {"value": n}}} for n in range(50)]

    page = ok(api.post(f"{project}/training_runs/batch", {"runs": runs}))

    assert (page["object"], page["count"]) == ("pagination", 50)
    assert [row["name"] for row in page["data"]] == [run["name"] for run in runs]
    assert ids_of(ok(api.get(f"{project}/training_runs"))) == ids_of(page)[::-1]


def test_a_full_batch_is_stored_and_answered_in_ids(api: Caller, project: str) -> None:
    runs = [{"name": str(n), "assignments": {"n": n}, "state": "completed"} for n in range(10_000)]

    page = ok(
        api.post(f"{project}/training_runs/batch", {"runs": runs, "fields": "id"}, timeout=120)
    )

    assert page["count"] == 10_000
    assert set(page["data"][0]) == {"id"}
    assert ok(api.get(f"{project}/training_runs", limit=1))["count"] == 10_000


def test_a_batch_is_stored_as_a_whole_or_not_at_all(api: Caller, project: str) -> None:
    path = f"{project}/training_runs/batch"

    for runs, words in (
        ([{"name": "a"}, {"name": None}], "runs[1].name: required"),
        (
            [{"name": "b", "assignments_meta": {"x": {"source": "U"}}}],
            "runs[0].assignments_meta",
        ),
        ([{"name": "a"}, {"name": "b", "values": {"f": 1}}], "runs[1].values"),
        (
            [{"name": "a"}, {"name": "b", "assignments_meta": {"x": {"source": "U"}}}],
            "runs[1].assignments_meta",
        ),
    ):
        assert words in refusal(api.post(path, {"runs": runs}))
    assert "runs: required" in refusal(api.post(path, {}))
    assert "fields" in refusal(api.post(path, {"runs": [{"name": "a"}], "fields": "nonsense"}))
    assert "at most 10000" in refusal(api.post(path, {"runs": [{"name": "a"}] * 10_001}))
    assert ok(api.get(f"{project}/training_runs"))["count"] == 0
    assert ok(api.post(path, {"runs": []}))["count"] == 0


# Runs of an AIExperiment


def test_a_run_is_given_what_to_train_with(api: Caller, ai: str) -> None:
    run = start(api, ai, assignments={"seed": 7})

    suggestion = ok(api.get(f"{classical(ai)}/suggestions/{run['suggestion']}"))
    assert run["experiment"] == ai.rpartition("/")[2]
    assert run["assignments"] == {**suggestion["assignments"], "seed": 7}
    assert isinstance(run["assignments"]["n"], int)
    assert suggestion["state"] == "open"
    assert run["assignments_meta"] == {
        name: {"object": "assignments_meta", "source": "SigOpt"} for name in ("n", "x")
    }
    assert run["assignments_sources"]["SigOpt"] == {
        "object": "assignments_sources",
        "sort": 1,
        "default_show": True,
    }
    progress = ok(api.get(ai))["progress"]
    assert (progress["active_run_count"], progress["total_run_count"]) == (1, 1)
    assert (progress["finished_run_count"], progress["remaining_budget"]) == (0, 9)
    filters = json.dumps([{"field": "optimized_suggestion", "operator": "==", "value": True}])
    page = ok(api.get(f"/v1/clients/{api.client_id}/training_runs", filters=filters))
    assert ids_of(page) == [run["id"]]


def test_a_run_that_completes_is_observed(api: Caller, ai: str) -> None:
    run = start(api, ai)
    merge(api, run, values={"f": {"value": 0.5, "value_stddev": 0.1}, "ms": {"value": 2}})
    merge(api, run, values={"extra": {"value": 9}})

    over = merge(api, run, state="completed")

    observation = ok(api.get(f"{classical(ai)}/observations/{over['observation']}"))
    assert (observation["suggestion"], observation["failed"]) == (run["suggestion"], False)
    assert [(v["name"], v["value"], v["value_stddev"]) for v in observation["values"]] == [
        ("f", 0.5, 0.1),
        ("ms", 2, None),
    ]
    assert ok(api.get(f"{classical(ai)}/suggestions/{run['suggestion']}"))["state"] == "closed"
    progress = ok(api.get(ai))["progress"]
    assert (progress["finished_run_count"], progress["active_run_count"]) == (1, 0)
    # What is said later changes nothing of it.
    merge(api, run, values={"f": {"value": 9}}, state="failed")
    assert ok(api.get(f"{classical(ai)}/observations/{over['observation']}")) == observation
    assert ok(api.get(f"{classical(ai)}/observations"))["count"] == 1


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"f": {"value": 1}, "ms": {"value": 1}}, "failed"),
        ({}, "failed"),
        ({}, "completed"),
        ({"f": {"value": 1}}, "completed"),  # also a stored metric must be there
    ],
)
def test_a_run_that_fails_is_a_failed_observation(
    api: Caller, ai: str, values: dict[str, Any], state: str
) -> None:
    run = start(api, ai)

    over = ok(api.put(run_path(run), {"values": values, "state": state}))

    observation = ok(api.get(f"{classical(ai)}/observations/{over['observation']}"))
    assert (observation["failed"], observation["values"]) == (True, [])


def test_a_run_with_a_configuration_of_its_own(api: Caller, ai: str) -> None:
    whole = start(api, ai, assignments={"x": 0.25, "n": 3, "seed": 1})
    part = start(api, ai, assignments={"x": 0.25})
    wrong = start(api, ai, assignments={"x": 0.25, "n": 3.5})

    suggestion = ok(api.get(f"{classical(ai)}/suggestions/{whole['suggestion']}"))
    assert (suggestion["assignments"], suggestion["source"]) == ({"x": 0.25, "n": 3}, "user")
    assert whole["assignments"] == {"x": 0.25, "n": 3, "seed": 1}
    assert whole["assignments_meta"] == {}
    assert (part["suggestion"], wrong["suggestion"]) == (None, None)
    assert merge(api, part, state="completed")["observation"] is None
    assert merge(api, whole, values={"f": {"value": 1}, "ms": {"value": 1}}, state="completed")[
        "observation"
    ]


@pytest.mark.parametrize(
    ("body", "observed"),
    [
        ({"state": "completed"}, None),
        ({"state": "completed", "assignments": {"x": 0.5, "n": 2}}, None),
        (
            {
                "state": "completed",
                "assignments": {"x": 0.5, "n": 2, "seed": 1},
                "values": {"f": {"value": 1}, "ms": {"value": 2}},
            },
            False,
        ),
        (
            {
                "state": "completed",
                "assignments": {"x": 0.5},
                "values": {"f": {"value": 1}, "ms": {"value": 2}},
            },
            None,
        ),
        ({"state": "failed", "assignments": {"x": 0.5, "n": 2}}, True),
        ({"state": "failed"}, None),
    ],
)
def test_a_run_that_is_over_already(
    api: Caller, ai: str, body: dict[str, Any], observed: bool | None
) -> None:
    run = start(api, ai, **body)

    assert (run["suggestion"], run["finished"]) == (None, True)
    found = ok(api.get(f"{classical(ai)}/observations"))["data"]
    assert [row["failed"] for row in found] == ([] if observed is None else [observed])
    assert run["observation"] == (found[0]["id"] if found else None)


def test_queued_suggestions_go_to_runs(api: Caller, ai: str) -> None:
    queued = {"assignments": {"x": 0.125, "n": 4}}
    ok(api.post(f"{classical(ai)}/queued_suggestions", queued))

    assert start(api, ai)["assignments"] == queued["assignments"]


def test_deleting_a_run_hides_all_that_is_of_it(api: Caller, ai: str) -> None:
    run = start(api, ai)
    over = merge(api, run, values={"f": {"value": 1}, "ms": {"value": 1}}, state="completed")
    waiting = start(api, ai)

    for each in (over, waiting):
        ok(api.delete(run_path(each)))

    refusal(api.get(f"{classical(ai)}/suggestions/{run['suggestion']}"), 404)
    refusal(api.get(f"{classical(ai)}/observations/{over['observation']}"), 404)
    assert ok(api.get(f"{classical(ai)}/suggestions"))["count"] == 0
    assert ok(api.get(ai))["progress"]["total_run_count"] == 0
    assert ok(api.get(f"{ai}/best_training_runs"))["count"] == 0
    for each in (over, waiting):
        merge(api, each, deleted=False)
    assert ok(api.get(f"{classical(ai)}/suggestions"))["count"] == 2
    assert ok(api.get(f"{classical(ai)}/observations/{over['observation']}"))
    assert ok(api.get(ai))["progress"]["remaining_budget"] == 8
    assert ids_of(ok(api.get(f"{ai}/best_training_runs"))) == [run["id"]]


def test_two_equal_suggestions_can_both_come_back(api: Caller, ai: str) -> None:
    own = {"x": 0.25, "n": 3}
    first = start(api, ai, assignments=own)
    ok(api.delete(run_path(first)))
    second = start(api, ai, assignments=own)

    merge(api, first, deleted=False)

    page = ok(api.get(f"{classical(ai)}/suggestions", state="open"))
    assert sorted(ids_of(page)) == sorted([first["suggestion"], second["suggestion"]])


def test_the_best_runs_are_those_of_the_best_observations(api: Caller, ai: str) -> None:
    runs = [start(api, ai) for _ in range(3)]
    for run, value in zip(runs, (1, 3, 2), strict=True):
        merge(api, run, values={"f": {"value": value}, "ms": {"value": 1}}, state="completed")

    assert ids_of(ok(api.get(f"{ai}/best_training_runs"))) == [runs[1]["id"]]
    assert ids_of(ok(api.get(f"{ai}/best_training_runs", sort="created"))) == [runs[1]["id"]]
    refusal(api.get(f"{ai}/best_training_runs", sort="id"))


def test_a_deleted_experiment_takes_no_runs(api: Caller, ai: str) -> None:
    run = start(api, ai)
    ok(api.delete(ai))

    assert "deleted" in refusal(api.post(f"{ai}/training_runs", {"name": "n"}))
    # One that is under way may end.
    assert merge(api, run, state="completed")["observation"] is None


def test_an_experiment_is_deleted_with_its_runs(api: Caller, ai: str) -> None:
    run = start(api, ai)

    ok(api.delete(ai, include_runs=True))

    assert ok(api.get(run_path(run)))["deleted"] is True
    ok(api.put(ai, {"state": "active"}))
    assert ok(api.get(ai))["progress"]["total_run_count"] == 0


def test_a_run_stays_in_the_project_of_its_experiment(api: Caller, project: str, ai: str) -> None:
    ok(api.post(project.rpartition("/")[0], {"id": "other", "name": "Other"}))
    run = start(api, ai)

    assert "stays in its project" in refused(api, run, {"project": "other"})
    assert merge(api, run, project="gears")["project"] == "gears"


def test_logging_moves_the_experiment(api: Caller, ai: str) -> None:
    run = start(api, ai)
    before = ok(api.get(ai))["updated"]
    time.sleep(1.1)

    merge(api, run, values={"f": {"value": 1}})

    assert ok(api.get(ai))["updated"] > before


def test_many_workers_are_each_given_another(api: Caller, ai: str) -> None:
    def work(n: int) -> dict[str, Any]:
        run = start(api, ai, name=f"worker {n}")
        return merge(api, run, values={"f": {"value": n}, "ms": {"value": n}}, state="completed")

    with ThreadPoolExecutor(6) as pool:
        runs = list(pool.map(work, range(12)))

    assert len({(run["assignments"]["x"], run["assignments"]["n"]) for run in runs}) == 12
    assert len({run["observation"] for run in runs}) == 12
    assert ok(api.get(ai))["progress"]["remaining_budget"] == -2


# Checkpoints


def test_checkpoints_are_kept_and_counted(api: Caller, project: str) -> None:
    run = create(api, project)
    path = f"{run_path(run)}/checkpoints"

    made = ok(
        api.post(
            path,
            {
                "values": [{"name": "g", "value": 2}, {"name": "f", "value": 1, "value_stddev": 0}],
                "metadata": {"epoch": 1, "none": None},
            },
        )
    )

    assert made == {
        "object": "checkpoint",
        "id": made["id"],
        "training_run": run["id"],
        "created": made["created"],
        "values": [
            {"object": "metric_evaluation", "name": "f", "value": 1, "value_stddev": 0},
            {"object": "metric_evaluation", "name": "g", "value": 2, "value_stddev": None},
        ],
        "metadata": {"epoch": 1},
    }
    second = ok(api.post(path, {"values": [{"name": "f", "value": 2}]}))
    assert second["metadata"] is None
    assert ok(api.get(f"{path}/{made['id']}")) == made
    assert ids_of(ok(api.get(path))) == [second["id"], made["id"]]
    assert ok(api.get(run_path(run)))["checkpoint_count"] == 2
    refusal(api.get(f"{run_path(create(api, project))}/checkpoints/{made['id']}"), 404)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"values": None},
        {"values": {"f": {"value": 1}}},
        {"values": [{"value": 1}]},
        {"values": [{"name": "f"}]},
        {"values": [{"name": "f", "value": 1}] * 2},
        {"values": [{"name": "f", "value": 1, "value_stddev": -1}]},
        {"values": [{"name": "f", "value": 1}], "metadata": {str(n): n for n in range(6)}},
        {"values": [{"name": "f", "value": 1}], "step": 1},
    ],
)
def test_what_is_no_checkpoint(api: Caller, project: str, body: dict[str, Any]) -> None:
    refusal(api.post(f"{run_path(create(api, project))}/checkpoints", body))


def test_two_hundred_checkpoints_are_enough(api: Caller, project: str) -> None:
    path = f"{run_path(create(api, project))}/checkpoints"
    body = {"values": [{"name": "f", "value": 1}]}
    for _ in range(200):
        assert api.post(path, body, headers=SKIP).status_code == 204

    assert "at most 200" in refusal(api.post(path, body), 403)
    assert ok(api.get(path))["count"] == 200


def test_a_run_that_was_observed_takes_no_checkpoint(api: Caller, ai: str) -> None:
    run = start(api, ai)
    body = {"values": [{"name": "f", "value": 1}]}
    ok(api.post(f"{run_path(run)}/checkpoints", body))
    merge(api, run, state="completed")

    refusal(api.post(f"{run_path(run)}/checkpoints", body), 403)


# Tags


def test_tags_are_put_on_and_taken_off(api: Caller, other: Caller, project: str) -> None:
    def tag(caller: Caller, name: str) -> dict[str, Any]:
        path = f"/v1/clients/{caller.client_id}/tags"
        return ok(caller.post(path, {"name": name, "color": "#000000"}))

    run = create(api, project)
    path = f"{run_path(run)}/tags"
    first, second, foreign = tag(api, "a"), tag(api, "b"), tag(other, "a")

    assert ok(api.post(path, {"id": first["id"]})) == first
    ok(api.post(path, {"id": int(second["id"])}))
    ok(api.post(path, {"id": first["id"]}))

    assert ok(api.get(run_path(run)))["tags"] == [first["id"], second["id"]]
    refusal(api.post(path, {"id": foreign["id"]}), 422)
    refusal(api.post(path, {"id": "999999999"}), 422)
    refusal(api.post(path, {}))
    refusal(api.delete(f"{path}/{foreign['id']}"), 404)
    assert ok(api.delete(f"{path}/{first['id']}")) == {}
    refusal(api.delete(f"{path}/{first['id']}"), 404)
    assert ok(api.get(run_path(run)))["tags"] == [second["id"]]


# Who may do what


def test_who_may_touch_a_run(
    api: Caller, other: Caller, project: str, ai: str, shared: Database
) -> None:
    run, bound = create(api, project), start(api, ai)
    reader = make_token(shared, api, role="read")
    developer = api.as_token(api.development_token)
    guest = api.as_token(ok(api.post(f"{classical(ai)}/tokens"))["token"])

    assert ok(reader.get(run_path(run))) == run
    for method in ("PUT", "MERGE"):
        refusal(reader.request(method, run_path(run), json={}), 403)
        refusal(other.request(method, run_path(run), json={"colour": 1}), 404)
    refusal(reader.delete(run_path(run)), 403)
    refusal(other.delete(run_path(run)), 404)
    refusal(other.get(run_path(run)), 404)
    assert ok(guest.get(run_path(bound))) == bound
    refusal(guest.get(run_path(run)), 404)
    refusal(guest.request("MERGE", run_path(bound), json={}), 403)
    create(developer, project)
    refusal(developer.post(f"{ai}/training_runs", {"name": "n"}), 403)
    refusal(developer.post(f"{run_path(run)}/tags", {"id": "1"}), 403)


def test_the_body_of_a_merge_is_checked_like_any_other(
    http: httpx.Client, api: Caller, project: str
) -> None:
    path = run_path(create(api, project))

    for content in (b"[]", b"{", b'{"a": 1, "a": 2}', b'{"metadata": {"a": NaN}}'):
        refusal(api.request("MERGE", path, content=content))
    refusal(http.request("MERGE", path, json={}), 401)
    refusal(api.request("MERGE", path, json={}, params={"x": "1"}))


def test_runs_are_counted_for_their_organization(api: Caller, project: str, ai: str) -> None:
    create(api, project)
    start(api, ai)

    (organization,) = ok(api.get("/v1/organizations"))["data"]

    assert organization["total_runs_in_billing_cycle"] == 2
    assert organization["optimized_runs_in_billing_cycle"] == 1


def test_a_run_is_no_reason_for_a_suggestion(api: Caller, ai: str) -> None:
    refusal(api.post(f"{path_of({'id': ai.rpartition('/')[2]})}/suggestions"), 403)

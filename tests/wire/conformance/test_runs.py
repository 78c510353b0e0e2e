"""Runs: what they take, PUT and MERGE, their life in an AIExperiment (8.7, 8.8, 9.9)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.caller import Caller, ok, refusal
from tests.wire.conformance.bodies import ids, make_ai, make_run, path_of_run

VALUES = {"f": {"value": 1}, "ms": {"value": 2}}


@pytest.fixture(scope="module")
def ai(us: Caller, project: str) -> str:
    return make_ai(us, project, budget=1000)


def merge(us: Caller, path: str, **body: Any) -> dict[str, Any]:
    return ok(us.request("MERGE", path, json=body))


def classical(ai: str) -> str:
    return ai.replace("aiexperiments", "experiments")


# What a run takes (8.7, 8.8)

REFUSED: dict[str, dict[str, Any]] = {
    "a boolean assignment": {"assignments": {"a": True}},
    "a nested assignment": {"assignments": {"a": {"b": 1}}},
    "a list for an assignment": {"assignments": {"a": [1]}},
    "a long assignment": {"assignments": {"a": "v" * 501}},
    "a long name of an assignment": {"assignments": {"a" * 101: 1}},
    "101 assignments": {"assignments": {str(i): i for i in range(101)}},
    "assignments as a list": {"assignments": []},
    "boolean metadata": {"metadata": {"a": False}},
    "nested metadata": {"dev_metadata": {"a": {}}},
    "a value that is a number": {"values": {"f": 1}},
    "a value that is text": {"values": {"f": {"value": "1"}}},
    "a value that is true": {"values": {"f": {"value": True}}},
    "a value of another key": {"values": {"f": {"value": 1, "unit": "s"}}},
    "a deviation below zero": {"values": {"f": {"value": 1, "value_stddev": -1}}},
    "values as a list": {"values": [{"name": "f", "value": 1}]},
    "a dataset with content": {"datasets": {"d": {"size": 1}}},
    "a dataset that is text": {"datasets": {"d": "x"}},
    "a log that is text": {"logs": {"stdout": "x"}},
    "a log of numbers": {"logs": {"stdout": {"content": 1}}},
    "a log of another key": {"logs": {"stdout": {"content": "x", "lines": 1}}},
    "a model of another key": {"model": {"type": "t", "size": 1}},
    "a model that is text": {"model": "t"},
    "source code of another key": {"source_code": {"text": "x"}},
    "a source of nothing": {"assignments_meta": {"nothing": {"source": "User"}}},
    "a source that is long": {
        "assignments": {"a": 1},
        "assignments_meta": {"a": {"source": "s" * 31}},
    },
    "a source that is reserved": {
        "assignments": {"a": 1},
        "assignments_meta": {"a": {"source": "SigOpt"}},
    },
    "a source of another key": {
        "assignments": {"a": 1},
        "assignments_meta": {"a": {"source": "u", "sort": 1}},
    },
    "a long name of a source": {"assignments_sources": {"s" * 31: {"sort": 1}}},
    "a sort that is text": {"assignments_sources": {"s": {"sort": "1"}}},
    "a sort that is true": {"assignments_sources": {"s": {"sort": True}}},
    "a show that is a number": {"assignments_sources": {"s": {"default_show": 1}}},
    "other system metadata": {"sys_metadata": {"host": "h"}},
    "other importances": {"sys_metadata": {"feature_importances": {"kind": "x"}}},
    "a long type of importances": {"sys_metadata": {"feature_importances": {"type": "t" * 101}}},
    "51 scores": {
        "sys_metadata": {"feature_importances": {"scores": {str(i): 1 for i in range(51)}}}
    },
    "a score that is text": {"sys_metadata": {"feature_importances": {"scores": {"a": "1"}}}},
    "a state that is none": {"state": "done"},
    "a state of null": {"state": None},
    "a name of null": {"name": None},
    "an empty name": {"name": ""},
    "a favorite that is text": {"favorite": "yes"},
    "deleted as a number": {"deleted": 1},
    "an unknown key": {"colour": "red"},
    "an experiment": {"experiment": "1"},
}


@pytest.mark.parametrize("given", REFUSED.values(), ids=list(REFUSED))
def test_what_no_run_takes(us: Caller, project: str, given: dict[str, Any]) -> None:
    refusal(us.post(f"{project}/training_runs", {"name": "run", **given}))
    batch = {"runs": [{"name": "run"}, {"name": "run", **given}]}
    assert "runs[1]" in refusal(us.post(f"{project}/training_runs/batch", batch))
    path = path_of_run(make_run(us, project))
    for method in ("PUT", "MERGE"):
        refusal(us.request(method, path, json=given))


def test_a_run_needs_a_name_and_its_project_only_changes_later(us: Caller, project: str) -> None:
    refusal(us.post(f"{project}/training_runs", {}))
    refusal(us.post(f"{project}/training_runs", {"name": "run", "project": "gears"}))
    path = path_of_run(make_run(us, project))
    for wrong in (None, "nowhere", 7):
        refusal(us.put(path, {"project": wrong}))
    ok(us.post(project.removesuffix("/gears"), {"id": "other", "name": "Other"}))
    assert ok(us.put(path, {"project": "other"}))["project"] == "other"


def test_null_is_as_good_as_absent_in_a_new_run(us: Caller, project: str) -> None:
    names = "assignments assignments_meta assignments_sources values metadata dev_metadata"
    further = "sys_metadata datasets logs model source_code favorite deleted"
    nulls = dict.fromkeys(f"{names} {further}".split())

    run = make_run(us, project, **nulls)

    plain = make_run(us, project)
    changing = ("id", "created", "updated")
    assert {k: v for k, v in run.items() if k not in changing} == {
        k: v for k, v in plain.items() if k not in changing
    }


def test_null_puts_a_mark_off(us: Caller, project: str) -> None:
    path = path_of_run(make_run(us, project, favorite=True))

    assert merge(us, path, favorite=None)["favorite"] is False
    assert ok(us.put(path, {"favorite": True}))["favorite"] is True
    assert ok(us.put(path, {"favorite": None}))["favorite"] is False


def test_a_log_is_cut_at_1124_characters(us: Caller, project: str) -> None:
    path = path_of_run(make_run(us, project, logs={"stdout": {"content": "x" * 5000}}))
    assert len(ok(us.get(path))["logs"]["stdout"]["content"]) == 1124
    merged = merge(us, path, logs={"stderr": {"content": "y" * 1125}})
    assert len(merged["logs"]["stderr"]["content"]) == 1124


@pytest.mark.parametrize(
    "given",
    [
        {"values": {"f": {}}},
        {"values": {"f": {"value_stddev": 1}}},
        {"values": {"f": {"value": None}}},
        {"logs": {"stdout": {}}},
        {"assignments": {"a": 1}, "assignments_meta": {"a": {}}},
        {"assignments_sources": {"User": {"sort": 1}}},
        {"assignments_sources": {"User": {"default_show": True}}},
    ],
)
def test_what_stands_for_itself_must_be_whole(
    us: Caller, project: str, given: dict[str, Any]
) -> None:
    assert "required" in refusal(us.post(f"{project}/training_runs", {"name": "run", **given}))
    assert "required" in refusal(us.put(path_of_run(make_run(us, project)), given))


# PUT and MERGE

LOGGED: dict[str, Any] = {
    "assignments": {"a": 1, "b": "x"},
    "values": {"f": {"value": 1, "value_stddev": 0.5}, "g": {"value": 2}},
    "metadata": {"k": 1, "l": "2"},
    "logs": {"stdout": {"content": "x"}},
    "datasets": {"d": {}},
    "model": {"type": "t"},
    "source_code": {"content": "c", "hash": "h"},
}
MERGES: dict[str, tuple[dict[str, Any], str, Any]] = {
    "a key is added": ({"metadata": {"m": 3}}, "metadata", {"k": 1, "l": "2", "m": 3}),
    "a scalar is replaced": ({"metadata": {"k": "new"}}, "metadata", {"k": "new", "l": "2"}),
    "a null leaf deletes its key": ({"metadata": {"k": None}}, "metadata", {"l": "2"}),
    "null where nothing is": ({"metadata": {"z": None}}, "metadata", {"k": 1, "l": "2"}),
    "null at the top empties": ({"metadata": None}, "metadata", None),
    "null at the top empties objects": ({"assignments": None}, "assignments", {}),
    "an empty object changes nothing": ({"assignments": {}}, "assignments", {"a": 1, "b": "x"}),
    "a level is laid over a level": (
        {"source_code": {"hash": "new"}},
        "source_code",
        {"object": "source_code", "content": "c", "hash": "new"},
    ),
    "a null leaf deeper": (
        {"source_code": {"content": None}},
        "source_code",
        {"object": "source_code", "content": None, "hash": "h"},
    ),
    "a dataset goes": ({"datasets": {"d": None}}, "datasets", {}),
    "a log comes": (
        {"logs": {"stderr": {"content": "e"}}},
        "logs",
        {
            "stdout": {"object": "log", "content": "x"},
            "stderr": {"object": "log", "content": "e"},
        },
    ),
}


@pytest.mark.parametrize(("given", "key", "shown"), MERGES.values(), ids=list(MERGES))
def test_merging(us: Caller, project: str, given: dict[str, Any], key: str, shown: Any) -> None:
    path = path_of_run(make_run(us, project, **LOGGED))
    before = ok(us.get(path))

    after = merge(us, path, **given)

    assert after[key] == shown
    assert {**before, key: shown, "updated": after["updated"]} == after


def test_merging_one_part_of_a_value_leaves_the_other(us: Caller, project: str) -> None:
    path = path_of_run(make_run(us, project, **LOGGED))

    shown = merge(us, path, values={"f": {"value": 9}, "h": {"value": 3}, "g": None})["values"]

    assert {k: (v["value"], v["value_stddev"]) for k, v in shown.items()} == {
        "f": (9, 0.5),
        "h": (3, None),
    }


def test_putting_replaces_whole_keys_and_null_removes_them(us: Caller, project: str) -> None:
    path = path_of_run(make_run(us, project, **LOGGED))

    after = ok(
        us.put(
            path,
            {"metadata": {"m": 3, "n": None}, "values": {"h": {"value": 3}}, "datasets": None},
        )
    )

    assert after["metadata"] == {"m": 3}
    assert set(after["values"]) == {"h"}
    assert after["datasets"] == {}
    assert after["assignments"] == LOGGED["assignments"]
    assert ok(us.put(path, {"metadata": None}))["metadata"] is None


def test_a_source_may_come_with_its_assignment_and_goes_with_it(us: Caller, project: str) -> None:
    path = path_of_run(make_run(us, project))
    source = {"new": {"source": "User"}}

    refusal(us.request("MERGE", path, json={"assignments_meta": source}))
    shown = merge(us, path, assignments={"new": 1}, assignments_meta=source)
    assert shown["assignments_meta"]["new"]["source"] == "User"
    assert merge(us, path, assignments={"new": None})["assignments_meta"] == {}


# Checkpoints


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"values": None},
        {"values": {}},
        {"values": [{"value": 1}]},
        {"values": [{"name": "f"}]},
        {"values": [{"name": "f", "value": "1"}]},
        {"values": [{"name": "f", "value": 1, "step": 2}]},
        {"values": [{"name": "f", "value": 1}], "metadata": {str(i): i for i in range(6)}},
        {"values": [{"name": "f", "value": 1}], "colour": 1},
    ],
)
def test_what_is_no_checkpoint(us: Caller, project: str, body: dict[str, Any]) -> None:
    refusal(us.post(f"{path_of_run(make_run(us, project))}/checkpoints", body))


def test_checkpoints_are_listed_newest_first_and_counted(us: Caller, project: str) -> None:
    path = path_of_run(make_run(us, project))
    made = [
        ok(
            us.post(
                f"{path}/checkpoints",
                {"values": [{"name": "f", "value": i}], "metadata": {"a": "b", "n": None}},
            )
        )
        for i in range(3)
    ]

    assert made[0]["metadata"] == {"a": "b"}
    assert ids(ok(us.get(f"{path}/checkpoints"))) == [each["id"] for each in made[::-1]]
    assert ok(us.get(path))["checkpoint_count"] == 3
    refusal(us.get(f"{path}/checkpoints/999999999"), 404)


def test_a_run_that_was_observed_takes_no_checkpoint_and_one_that_was_not_does(
    us: Caller, ai: str, project: str
) -> None:
    observed = path_of_run(make_run(us, ai))
    alone = path_of_run(make_run(us, project, state="completed"))
    body = {"values": [{"name": "f", "value": 1}]}
    merge(us, observed, values=VALUES, state="completed")

    refusal(us.post(f"{observed}/checkpoints", body), 403)
    ok(us.post(f"{alone}/checkpoints", body))


# In an AIExperiment (9.9)


def test_a_run_is_given_a_suggestion_and_keeps_what_else_it_brings(us: Caller, ai: str) -> None:
    run = make_run(us, ai, assignments={"extra": "e"}, metadata=None)

    assert set(run["assignments"]) == {"x", "n", "extra"}
    assert (run["experiment"], run["state"]) == (ai.rpartition("/")[2], "active")
    assert (run["observation"], run["finished"], run["completed"]) == (None, False, None)
    assert {k: v["source"] for k, v in run["assignments_meta"].items()} == {
        "x": "SigOpt",
        "n": "SigOpt",
    }
    assert run["assignments_sources"]["SigOpt"]["sort"] == 1
    assert run["assignments_sources"]["SigOpt"]["default_show"] is True
    suggestion = ok(us.get(f"{classical(ai)}/suggestions/{run['suggestion']}"))
    assert suggestion["state"] == "open"
    assert suggestion["assignments"].items() <= run["assignments"].items()


@pytest.mark.parametrize(
    ("assignments", "is_bound"),
    [
        ({"x": 0.5, "n": 3}, True),
        ({"x": 5, "n": 3.0, "extra": 1}, True),
        ({"x": 0.5}, False),
        ({"n": 3.5, "x": 0.5}, False),
        ({"n": "a", "x": 0.5}, False),
    ],
)
def test_own_parameters_become_a_suggestion_if_they_are_one(
    us: Caller, ai: str, assignments: dict[str, Any], is_bound: bool
) -> None:
    run = make_run(us, ai, assignments=assignments)

    assert (run["suggestion"] is not None) is is_bound
    assert run["assignments"] == assignments
    assert run["assignments_meta"] == {}


def test_a_run_that_completes_with_all_metrics_is_observed_once(us: Caller, ai: str) -> None:
    path = path_of_run(make_run(us, ai))
    merge(us, path, values={"f": {"value": 1, "value_stddev": 0.5}})
    merge(us, path, values={"ms": {"value": 2}, "other": {"value": 3}})

    done = merge(us, path, state="completed")
    merge(us, path, values={"f": {"value": 99}})
    again = merge(us, path, state="failed")

    observation = ok(us.get(f"{classical(ai)}/observations/{done['observation']}"))
    assert [(v["name"], v["value"], v["value_stddev"]) for v in observation["values"]] == [
        ("f", 1, 0.5),
        ("ms", 2, None),
    ]
    assert observation["suggestion"] == done["suggestion"]
    assert observation["failed"] is False
    assert (done["finished"], done["completed"] is not None) == (True, True)
    assert (again["observation"], again["completed"]) == (done["observation"], done["completed"])
    suggestion = ok(us.get(f"{classical(ai)}/suggestions/{done['suggestion']}"))
    assert suggestion["state"] == "closed"


@pytest.mark.parametrize(
    ("values", "state"),
    [
        (VALUES, "failed"),
        ({"f": {"value": 1}}, "completed"),
        ({"ms": {"value": 1}}, "completed"),
        ({}, "completed"),
        ({"f": {"value": None}, "ms": {"value": 1}}, "completed"),
    ],
)
def test_a_run_that_fails_or_misses_a_metric_is_a_failed_observation(
    us: Caller, ai: str, values: dict[str, Any], state: str
) -> None:
    path = path_of_run(make_run(us, ai))

    done = merge(us, path, values=values, state=state)

    assert done["state"] == state
    observation = ok(us.get(f"{classical(ai)}/observations/{done['observation']}"))
    assert (observation["failed"], observation["values"]) == (True, [])


@pytest.mark.parametrize(
    ("told", "failed"),
    [
        ({"assignments": {"x": 0.5, "n": 3}, "values": VALUES, "state": "completed"}, False),
        ({"assignments": {"x": 0.5, "n": 3}, "state": "failed"}, True),
        ({"assignments": {"x": 0.5, "n": 3}, "state": "completed"}, None),
        ({"assignments": {"x": 0.5}, "values": VALUES, "state": "completed"}, None),
        ({"values": VALUES, "state": "completed"}, None),
        (
            {
                "assignments": {"x": 0.5, "n": 3},
                "values": {"f": {"value": 1}},
                "state": "completed",
            },
            None,
        ),
    ],
)
def test_a_run_that_is_over_as_it_is_made_is_observed_if_it_can_be(
    us: Caller, ai: str, told: dict[str, Any], failed: bool | None
) -> None:
    run = make_run(us, ai, **told)

    assert (run["completed"] is not None, run["finished"]) == (True, True)
    if failed is None:
        assert run["observation"] is None
    else:
        made = ok(us.get(f"{classical(ai)}/observations/{run['observation']}"))
        assert made["failed"] is failed


def test_a_run_of_a_project_completes_without_an_observation(us: Caller, project: str) -> None:
    path = path_of_run(make_run(us, project))

    done = ok(us.put(path, {"state": "failed"}))
    back = ok(us.put(path, {"state": "active"}))

    assert (done["observation"], done["finished"]) == (None, True)
    assert back["completed"] == done["completed"]


def test_deleting_a_run_hides_its_suggestion_and_observation_until_it_comes_back(
    us: Caller, project: str
) -> None:
    ai = make_ai(us, project, budget=3)
    path = path_of_run(make_run(us, ai))
    done = merge(us, path, values=VALUES, state="completed")
    make_run(us, ai)
    parts = [
        f"{classical(ai)}/suggestions/{done['suggestion']}",
        f"{classical(ai)}/observations/{done['observation']}",
    ]

    def progress() -> tuple[int, int, int, int]:
        shown = ok(us.get(ai))["progress"]
        names = ("finished_run_count", "active_run_count", "total_run_count", "remaining_budget")
        return tuple(shown[name] for name in names)

    assert progress() == (1, 1, 2, 1)
    gone = ok(us.delete(path))
    assert (gone["object"], gone["deleted"]) == ("training_run", True)
    assert ok(us.delete(path))["deleted"] is True
    assert progress() == (0, 1, 1, 2)
    for part in parts:
        refusal(us.get(part), 404)
    assert ok(us.get(f"{ai}/best_training_runs"))["count"] == 0
    assert ok(us.get(path))["observation"] == done["observation"]
    assert ok(us.put(path, {"deleted": False}))["deleted"] is False
    for part in parts:
        ok(us.get(part))
    assert progress() == (1, 1, 2, 1)
    assert ids(ok(us.get(f"{ai}/best_training_runs"))) == [done["id"]]


def test_the_remaining_budget_goes_below_zero(us: Caller, project: str) -> None:
    ai = make_ai(us, project, budget=1)
    for _ in range(3):
        make_run(us, ai)

    assert ok(us.get(ai))["progress"]["remaining_budget"] == -2


def test_a_batch_is_stored_in_its_order_or_not_at_all(us: Caller, project: str) -> None:
    before = ok(us.get(f"{project}/training_runs"))["count"]
    runs = [{"name": f"run {i}", "metadata": {"i": i}} for i in range(5)]

    page = ok(us.post(f"{project}/training_runs/batch", {"runs": runs}))
    refusal(us.post(f"{project}/training_runs/batch", {"runs": [*runs, {"name": ""}]}))
    refusal(us.post(f"{project}/training_runs/batch", {}))
    refusal(us.post(f"{project}/training_runs/batch", {"runs": runs, "colour": 1}))

    assert [row["name"] for row in page["data"]] == [run["name"] for run in runs]
    assert (page["object"], page["count"]) == ("pagination", 5)
    assert ok(us.get(f"{project}/training_runs"))["count"] == before + 5


def test_best_runs_are_sorted_by_change_or_creation(us: Caller, project: str) -> None:
    ai = make_ai(us, project, metrics=[{"name": "f"}, {"name": "g"}], budget=9)
    made = []
    for f, g in ((1, 2), (2, 1), (0, 0)):
        run = make_run(us, ai)
        merge(
            us, path_of_run(run), values={"f": {"value": f}, "g": {"value": g}}, state="completed"
        )
        made.append(run["id"])

    page = ok(us.get(f"{ai}/best_training_runs", sort="created", ascending="True"))

    assert ids(page) == made[:2]
    ok(us.get(f"{ai}/best_training_runs", sort="updated"))
    refusal(us.get(f"{ai}/best_training_runs", sort="id"))

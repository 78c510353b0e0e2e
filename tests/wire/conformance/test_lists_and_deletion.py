"""Lists, projects, tags, files, deletion and times of change (7.2, 7.4, 8.9, 9.10, 9.13)."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.api.caller import Caller, ok, refusal
from tests.builders import make_account
from tests.wire.conformance.bodies import (
    X,
    ids,
    make_ai,
    make_experiment,
    make_run,
    path_of_run,
)
from tradeoff.store.database import Database

GOOD = {"assignments": {"x": 0.5}, "values": [{"value": 1}]}


def number(path: str) -> str:
    return path.rpartition("/")[2]


# Lists of experiments (7.4)


@pytest.fixture(scope="module")
def fresh(http: httpx.Client, shared: Database) -> Caller:
    """A client that holds nothing but what `held` makes."""
    account = make_account(shared, "Lists")
    return Caller(http, account.token, account.client_id, account.development_token)


@pytest.fixture(scope="module")
def held(fresh: Caller) -> dict[str, str]:
    """Experiments by a letter: a and b active, d deleted, p of a project, i made of runs."""
    base = f"/v1/clients/{fresh.client_id}/projects"
    ok(fresh.post(base, {"id": "gears", "name": "Gears"}))
    made = {
        "a": make_experiment(fresh, name="Alpha 100%"),
        "b": make_experiment(fresh, name="beta_alpha"),
        "d": make_experiment(fresh, name="delta"),
        "p": make_experiment(fresh, name="pi", project="gears"),
        "i": make_ai(fresh, f"{base}/gears", name="iota alpha"),
    }
    ok(fresh.delete(made["d"]))
    return {letter: number(path) for letter, path in made.items()}


LISTS: dict[str, tuple[dict[str, Any], str]] = {
    "active by default": ({}, "pba"),
    "active": ({"state": "active"}, "pba"),
    "deleted": ({"state": "deleted"}, "d"),
    "all": ({"state": "all"}, "pdba"),
    "all and ascending": ({"state": "all", "ascending": "True"}, "abdp"),
    "with AIExperiments": ({"include_ai": "True"}, "ipba"),
    "without AIExperiments": ({"include_ai": "False"}, "pba"),
    "searched": ({"search": "ALPHA"}, "ba"),
    "searched with AIExperiments": ({"search": "alpha", "include_ai": "1"}, "iba"),
    "a percent sign is one": ({"search": "0%"}, "a"),
    "an underscore is one": ({"search": "_"}, "b"),
    "an empty search": ({"search": ""}, "pba"),
    "nobody's": ({"user": "999999999"}, ""),
    "from the future": ({"period_start": 9_999_999_999}, ""),
    "since ever": ({"period_start": 0}, "pba"),
    "until long ago": ({"period_end": 1000}, ""),
    "until the future": ({"period_end": 9_999_999_999}, "pba"),
    "production": ({"development": "False"}, "pba"),
    "development": ({"development": "True"}, ""),
}


@pytest.mark.parametrize(("query", "letters"), LISTS.values(), ids=list(LISTS))
def test_experiments_are_listed(
    fresh: Caller, held: dict[str, str], query: dict[str, Any], letters: str
) -> None:
    for path in ("/v1/experiments", f"/v1/clients/{fresh.client_id}/experiments"):
        page = ok(fresh.get(path, **query))
        assert ids(page) == [held[letter] for letter in letters]
        assert page["count"] == len(letters)


@pytest.mark.parametrize(
    "query",
    [
        {"state": "paused"},
        {"state": ""},
        {"sort": "name"},
        {"sort": "updated"},
        {"user": "me"},
        {"period_start": "today"},
        {"period_end": "-1"},
        {"period_start": 1000, "period_end": 999},
        {"development": "perhaps"},
        {"include_ai": "both"},
    ],
)
def test_lists_that_cannot_be_asked_for(fresh: Caller, query: dict[str, Any]) -> None:
    refusal(fresh.get("/v1/experiments", **query))


def test_a_period_takes_its_start_and_not_its_end(fresh: Caller, held: dict[str, str]) -> None:
    created = ok(fresh.get(f"/v1/experiments/{held['a']}"))["created"]

    assert held["a"] in ids(ok(fresh.get("/v1/experiments", period_start=created)))
    assert held["a"] not in ids(ok(fresh.get("/v1/experiments", period_end=created)))
    within = {"period_start": created, "period_end": created + 1}
    assert held["a"] in ids(ok(fresh.get("/v1/experiments", **within)))


def test_what_belongs_to_a_project_is_listed_there(fresh: Caller, held: dict[str, str]) -> None:
    path = f"/v1/clients/{fresh.client_id}/projects/gears"

    assert ids(ok(fresh.get(f"{path}/experiments"))) == [held["p"]]
    assert ids(ok(fresh.get(f"{path}/experiments", include_ai="true"))) == [held["i"], held["p"]]
    assert ids(ok(fresh.get(f"{path}/aiexperiments"))) == [held["i"]]
    assert ids(ok(fresh.get("/v1/aiexperiments", search="IOTA"))) == [held["i"]]
    assert ids(ok(fresh.get("/v1/aiexperiments", state="deleted"))) == []
    assert ids(ok(fresh.get("/v1/aiexperiments", user="999999999"))) == []
    for lost in ("experiments", "aiexperiments", "training_runs"):
        refusal(fresh.get(f"/v1/clients/{fresh.client_id}/projects/nowhere/{lost}"), 404)


def test_the_recent_ones_come_first_when_asked_for(us: Caller) -> None:
    first, second = make_experiment(us), make_experiment(us)
    assert ids(ok(us.get("/v1/experiments", limit=2))) == [number(second), number(first)]
    time.sleep(1.1)
    ok(us.put(first, {"name": "changed"}))

    assert ids(ok(us.get("/v1/experiments", sort="recent", limit=2))) == [
        number(first),
        number(second),
    ]


# Projects and tags (7.2, 8.9)


@pytest.mark.parametrize("slug", ["a", "a" * 32, "a-b_c.d", "0", "---", "..."])
def test_ids_that_projects_may_have(us: Caller, slug: str) -> None:
    path = f"/v1/clients/{us.client_id}/projects"

    assert ok(us.post(path, {"id": slug, "name": "n" * 100, "metadata": None}))["id"] == slug


@pytest.mark.parametrize(
    "body",
    [
        {"id": "", "name": "n"},
        {"id": "a" * 33, "name": "n"},
        {"id": "A", "name": "n"},
        {"id": "a b", "name": "n"},
        {"id": "a/b", "name": "n"},
        {"id": "ä", "name": "n"},
        {"id": 7, "name": "n"},
        {"id": None, "name": "n"},
        {"name": "n"},
        {"id": "fine"},
        {"id": "fine", "name": None},
        {"id": "fine", "name": ""},
        {"id": "fine", "name": "n" * 101},
        {"id": "fine", "name": "n", "metadata": {"a": []}},
        {"id": "fine", "name": "n", "colour": "red"},
        {"id": "fine", "name": "n", "deleted": False},
    ],
)
def test_what_is_no_project(us: Caller, body: dict[str, Any]) -> None:
    refusal(us.post(f"/v1/clients/{us.client_id}/projects", body))


def test_archived_projects_are_listed_together_with_the_others_on_request(us: Caller) -> None:
    path = f"/v1/clients/{us.client_id}/projects"
    for slug in ("kept", "archived"):
        ok(us.post(path, {"id": slug, "name": slug}))
    shown = ok(us.put(f"{path}/archived", {"deleted": True, "metadata": {"a": 1}}))
    assert (shown["deleted"], shown["metadata"]) == (True, {"a": 1})

    assert "archived" not in ids(ok(us.get(path)))
    assert {"kept", "archived"} <= set(ids(ok(us.get(path, deleted="True"))))
    assert ok(us.get(f"{path}/archived"))["deleted"] is True
    refusal(us.post(path, {"id": "archived", "name": "again"}), 409)
    for wrong in ({"name": None}, {"deleted": "no"}, {"id": "new"}, {"colour": 1}):
        refusal(us.put(f"{path}/archived", wrong))
    assert ok(us.put(f"{path}/archived", {"metadata": None}))["metadata"] is None


def test_two_clients_may_have_projects_and_tags_of_one_name(us: Caller, them: Caller) -> None:
    for caller in (us, them):
        base = f"/v1/clients/{caller.client_id}"
        ok(caller.post(f"{base}/projects", {"id": "same", "name": "Same"}))
        ok(caller.post(f"{base}/tags", {"name": "same", "color": "#123abc"}))


@pytest.mark.parametrize(
    "body",
    [
        {"name": "n"},
        {"color": "#000000"},
        {"name": "n", "color": None},
        {"name": "n", "color": "000000"},
        {"name": "n", "color": "#00000"},
        {"name": "n", "color": "#0000000"},
        {"name": "n", "color": "#00000g"},
        {"name": "n", "color": "red"},
        {"name": "n", "color": 0},
        {"name": "", "color": "#000000"},
        {"name": "n" * 101, "color": "#000000"},
        {"name": "n", "color": "#000000", "id": "1"},
    ],
)
def test_what_is_no_tag(us: Caller, body: dict[str, Any]) -> None:
    refusal(us.post(f"/v1/clients/{us.client_id}/tags", body))


def test_a_tag_is_put_on_once_and_taken_off_once(us: Caller, project: str) -> None:
    tag = ok(us.post(f"/v1/clients/{us.client_id}/tags", {"name": "on", "color": "#abcdef"}))
    run = path_of_run(make_run(us, project))

    assert ok(us.post(f"{run}/tags", {"id": tag["id"]})) == tag
    assert ok(us.get(run))["tags"] == [tag["id"]]
    assert ok(us.delete(f"{run}/tags/{tag['id']}")) == {}
    assert ok(us.get(run))["tags"] == []
    refusal(us.delete(f"{run}/tags/{tag['id']}"), 404)


# Files


@pytest.mark.parametrize(
    "changes",
    [
        {"content_length": 0},
        {"content_length": -1},
        {"content_length": 1.5},
        {"content_length": "4"},
        {"content_length": None},
        {"content_type": "png"},
        {"content_type": "hello/world"},
        {"content_type": "image/"},
        {"content_type": "image/<>"},
        {"content_type": None},
        {"content_md5": "abc"},
        {"content_md5": "YWJj"},
        {"content_md5": None},
        {"name": None},
        {"name": "n" * 101},
        {"filename": "f" * 101},
        {"colour": 1},
    ],
)
def test_what_is_no_file(us: Caller, project: str, changes: dict[str, Any]) -> None:
    run = path_of_run(make_run(us, project))
    good = {
        "content_length": 4,
        "content_type": "image/png",
        "content_md5": "jXd/OF09/siBXSD3SWAm3A==",
        "name": "n",
    }
    ok(us.post(f"{run}/files", good))

    refusal(us.post(f"{run}/files", {**good, **changes}))


# Deletion (9.10)


def test_a_deleted_experiment_is_fetched_changed_and_revived(us: Caller) -> None:
    path = make_experiment(us)
    made = ok(us.post(f"{path}/observations", GOOD))
    for _ in range(2):
        assert ok(us.delete(path)) == {}
    assert ok(us.get(path))["state"] == "deleted"
    assert ok(us.get(f"{path}/observations/{made['id']}"))["id"] == made["id"]
    assert ok(us.get(f"{path}/best_assignments"))["count"] == 1
    assert ok(us.put(path, {"name": "still"}))["state"] == "deleted"

    assert ok(us.put(path, {"state": "active"}))["state"] == "active"
    assert ok(us.get(path))["progress"]["observation_count"] == 1
    ok(us.post(f"{path}/suggestions"))


@pytest.mark.parametrize("with_runs", [True, False])
def test_runs_suggestions_and_observations_go_along_only_when_asked(
    us: Caller, project: str, with_runs: bool
) -> None:
    ai = make_ai(us, project)
    run = path_of_run(make_run(us, ai))
    values = {"f": {"value": 1}, "ms": {"value": 1}}
    ok(us.request("MERGE", run, json={"values": values, "state": "completed"}))

    assert ok(us.delete(ai, include_runs=with_runs)) == {}

    assert ok(us.get(run))["deleted"] is with_runs
    classical = ai.replace("aiexperiments", "experiments")
    left = 0 if with_runs else 1
    assert ok(us.get(f"{classical}/observations"))["count"] == left
    assert ok(us.get(f"{classical}/suggestions"))["count"] == left
    assert ok(us.get(ai))["progress"]["total_run_count"] == left


# Times of change (9.13)


def test_everything_that_happens_moves_the_time_of_the_experiment_and_its_project(
    us: Caller, project: str
) -> None:
    slug = number(project)
    path = make_experiment(us, project=slug, parameters=[X])
    ai = make_ai(us, project)
    run = path_of_run(make_run(us, ai))
    observation = f"{path}/observations/{ok(us.post(f'{path}/observations', GOOD))['id']}"
    acts: list[tuple[str, str, str, Any]] = [
        (path, "PUT", path, {"metadata": {"a": 1}}),
        (path, "POST", f"{path}/observations", GOOD),
        (path, "PUT", observation, {"metadata": {"a": 1}}),
        (path, "DELETE", observation, None),
        (ai, "MERGE", run, {"metadata": {"a": 1}}),
        (ai, "POST", f"{run}/checkpoints", {"values": [{"name": "f", "value": 1}]}),
    ]
    for experiment, method, address, body in acts:
        before = ok(us.get(experiment))["updated"]
        while int(time.time()) <= before:
            time.sleep(0.02)

        ok(us.request(method, address, json=body))

        after = ok(us.get(experiment))["updated"]
        assert after > before, address
        assert ok(us.get(project))["updated"] >= after, address

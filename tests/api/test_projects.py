from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.api.caller import Caller, experiment_body, ok, path_of, refusal, single_body
from tests.api.test_accounts import make_token
from tradeoff.store.database import Database


def projects_of(api: Caller) -> str:
    return f"/v1/clients/{api.client_id}/projects"


def create(api: Caller, slug: str = "gears", **changes: Any) -> dict[str, Any]:
    return ok(api.post(projects_of(api), {"id": slug, "name": slug.title(), **changes}))


def ids_of(page: dict[str, Any]) -> list[str]:
    return [row["id"] for row in page["data"]]


def next_second() -> None:
    """Times on the wire have seconds: let the next one begin."""
    time.sleep(1.05 - time.time() % 1)


def test_a_project_is_created_and_fetched(api: Caller) -> None:
    made = create(api, metadata={"site": "north", "line": 3, "none": None})

    assert made == {
        "object": "project",
        "id": "gears",
        "client": str(api.client_id),
        "name": "Gears",
        "user": None,
        "created": made["created"],
        "updated": made["created"],
        "metadata": {"site": "north", "line": 3},
        "experiment_count": 0,
        "training_run_count": 0,
        "deleted": False,
    }
    assert abs(made["created"] - time.time()) < 60
    assert ok(api.get(f"{projects_of(api)}/gears")) == made


def test_the_same_id_twice_is_a_conflict(api: Caller, other: Caller) -> None:
    create(api)
    create(other)  # another client may use it too

    assert "'gears'" in refusal(api.post(projects_of(api), {"id": "gears", "name": "b"}), 409)
    ok(api.put(f"{projects_of(api)}/gears", {"deleted": True}))
    refusal(api.post(projects_of(api), {"id": "gears", "name": "b"}), 409)


def test_of_many_at_once_one_creates_it(api: Caller) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(
                lambda n: api.post(projects_of(api), {"id": "p", "name": str(n)}).status_code,
                range(6),
            )
        )

    assert sorted(answers) == [200] + [409] * 5


@pytest.mark.parametrize("slug", ["a", "0", "a-b_c.d", "x" * 32, "9.9"])
def test_ids_that_a_project_may_have(api: Caller, slug: str) -> None:
    create(api, slug)

    assert ok(api.get(f"{projects_of(api)}/{slug}"))["id"] == slug


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"name": "a"}, "id: required"),
        ({"id": "a"}, "name: required"),
        ({"id": None, "name": "a"}, "id: required"),
        ({"id": "a", "name": None}, "name: required"),
        ({"id": "", "name": "a"}, "id: must have 1 to 32"),
        ({"id": "x" * 33, "name": "a"}, "id: must have 1 to 32"),
        ({"id": "Gears", "name": "a"}, "id: must have"),
        ({"id": "a b", "name": "a"}, "id: must have"),
        ({"id": "a/b", "name": "a"}, "id: must have"),
        ({"id": "a\n", "name": "a"}, "id: must have"),
        ({"id": "ä", "name": "a"}, "id: must have"),
        ({"id": 7, "name": "a"}, "id: must have"),
        ({"id": "a", "name": " "}, "name: must not be empty"),
        ({"id": "a", "name": "x" * 101}, "name: must have at most 100"),
        ({"id": "a", "name": 1}, "name: must be a string"),
        ({"id": "a", "name": "a", "metadata": []}, "metadata: must be an object"),
        ({"id": "a", "name": "a", "metadata": {"k": True}}, "metadata.k: must be"),
        ({"id": "a", "name": "a", "colour": 1}, "colour: unknown key"),
        ({"id": "a", "name": "a", "deleted": False}, "deleted: unknown key"),
    ],
)
def test_what_cannot_be_a_project(api: Caller, body: dict[str, Any], words: str) -> None:
    assert words in refusal(api.post(projects_of(api), body))


def test_only_what_is_given_changes(api: Caller) -> None:
    path = f"{projects_of(api)}/gears"
    made = create(api, metadata={"a": 1})

    assert ok(api.put(path, {})) == made
    assert ok(api.put(path, {"name": "New"}))["metadata"] == {"a": 1}
    cleared = ok(api.put(path, {"metadata": None}))
    assert (cleared["name"], cleared["metadata"]) == ("New", None)


@pytest.mark.parametrize(
    "body", [{"name": None}, {"name": ""}, {"deleted": None}, {"deleted": 1}, {"id": "b"}, {"x": 1}]
)
def test_changes_that_cannot_be(api: Caller, body: dict[str, Any]) -> None:
    create(api)

    refusal(api.put(f"{projects_of(api)}/gears", body))


def test_a_deleted_project_leaves_the_list_and_can_come_back(api: Caller) -> None:
    create(api, "a")
    create(api, "b")
    path = f"{projects_of(api)}/a"

    assert ok(api.put(path, {"deleted": True}))["deleted"] is True

    assert ids_of(ok(api.get(projects_of(api)))) == ["b"]
    assert sorted(ids_of(ok(api.get(projects_of(api), deleted=True)))) == ["a", "b"]
    assert ok(api.get(path))["deleted"] is True
    ok(api.put(path, {"deleted": False}))
    assert sorted(ids_of(ok(api.get(projects_of(api))))) == ["a", "b"]


def test_projects_are_listed_by_their_last_change(api: Caller) -> None:
    for slug in ("a", "b", "c"):
        create(api, slug)
    ok(api.put(f"{projects_of(api)}/a", {"name": "A"}))

    assert ids_of(ok(api.get(projects_of(api)))) == ["a", "c", "b"]
    assert ids_of(ok(api.get(projects_of(api), sort="created"))) == ["c", "b", "a"]
    assert ids_of(ok(api.get(projects_of(api), sort="created", ascending=True))) == ["a", "b", "c"]
    # An experiment moves its project, and so does what is reported to it.
    experiment = ok(api.post("/v1/experiments", single_body(project="b")))
    assert ids_of(ok(api.get(projects_of(api)))) == ["b", "a", "c"]
    ok(api.put(f"{projects_of(api)}/c", {"name": "C"}))
    api.observe(path_of(experiment), assignments={"x": 0.5}, value=1)
    assert ids_of(ok(api.get(projects_of(api)))) == ["b", "c", "a"]


def test_the_list_goes_page_by_page(api: Caller) -> None:
    for index in range(5):
        create(api, f"p{index}")
    seen, marker = [], None
    while True:
        page = ok(api.get(projects_of(api), limit=2, before=marker))
        seen += ids_of(page)
        assert page["count"] == 5
        marker = page["paging"]["before"]
        if marker is None:
            break

    assert seen == ["p4", "p3", "p2", "p1", "p0"]


@pytest.mark.parametrize("query", [{"sort": "id"}, {"sort": "name"}, {"user": "x"}, {"state": "a"}])
def test_lists_that_cannot_be(api: Caller, query: dict[str, str]) -> None:
    refusal(api.get(projects_of(api), **query))


def test_no_user_made_any(api: Caller) -> None:
    create(api)

    assert ok(api.get(projects_of(api), user=7))["count"] == 0


def test_an_experiment_joins_a_project_and_leaves_it(api: Caller) -> None:
    create(api, "a")
    create(api, "b")
    experiment = ok(api.post("/v1/experiments", experiment_body(project="a")))
    path = path_of(experiment)

    assert experiment["project"] == "a"
    assert ok(api.get(f"{projects_of(api)}/a"))["experiment_count"] == 1
    assert ids_of(ok(api.get(f"{projects_of(api)}/a/experiments"))) == [experiment["id"]]
    assert ok(api.put(path, {"project": "b"}))["project"] == "b"
    assert ids_of(ok(api.get(f"{projects_of(api)}/a/experiments"))) == []
    assert ok(api.put(path, {"name": "renamed"}))["project"] == "b"
    assert ok(api.put(path, {"project": None}))["project"] is None
    assert ok(api.get(f"{projects_of(api)}/b"))["experiment_count"] == 0
    assert ok(api.get(path))["project"] is None


def test_a_project_notices_what_leaves_it(api: Caller) -> None:
    create(api)
    experiment = ok(api.post("/v1/experiments", single_body(project="gears")))
    before = ok(api.get(f"{projects_of(api)}/gears"))["updated"]
    next_second()

    ok(api.put(path_of(experiment), {"project": None}))

    assert ok(api.get(f"{projects_of(api)}/gears"))["updated"] > before


def test_deleted_experiments_are_not_counted(api: Caller) -> None:
    create(api)
    experiment = ok(api.post("/v1/experiments", single_body(project="gears")))

    ok(api.delete(path_of(experiment)))

    assert ok(api.get(f"{projects_of(api)}/gears"))["experiment_count"] == 0
    listed = f"{projects_of(api)}/gears/experiments"
    assert ids_of(ok(api.get(listed))) == []
    assert ids_of(ok(api.get(listed, state="all"))) == [experiment["id"]]


@pytest.mark.parametrize("project", ["nowhere", "", "Ä", 7, [], {}])
def test_a_project_that_is_not_there_is_no_project(api: Caller, project: Any) -> None:
    experiment = api.single()

    for answer in (
        api.post("/v1/experiments", single_body(project=project)),
        api.put(path_of(experiment), {"project": project}),
    ):
        assert "project: " in refusal(answer)
    assert ok(api.get(path_of(experiment))) == experiment


def test_a_project_of_another_client_is_none(api: Caller, other: Caller) -> None:
    create(other, "theirs")

    answers = [
        api.post("/v1/experiments", single_body(project=slug)) for slug in ("theirs", "no-one")
    ]

    assert refusal(answers[0]).replace("theirs", "no-one") == refusal(answers[1])
    refusal(api.get(f"{projects_of(api)}/theirs"), 404)
    refusal(api.get(f"{projects_of(other)}/theirs"), 404)


def test_the_experiments_of_a_project_are_filtered_like_others(api: Caller) -> None:
    create(api)
    inside = [
        ok(api.post("/v1/experiments", single_body(name=name, project="gears")))["id"]
        for name in ("alpha", "beta")
    ]
    api.single(name="alpha")
    path = f"{projects_of(api)}/gears/experiments"

    assert ids_of(ok(api.get(path))) == inside[::-1]
    assert ids_of(ok(api.get(path, ascending=True, limit=1))) == inside[:1]
    assert ids_of(ok(api.get(path, search="ALPH"))) == inside[:1]
    refusal(api.get(path, sort="name"))
    refusal(api.get(f"{projects_of(api)}/none/experiments"), 404)


def test_readers_read_and_do_not_write(api: Caller, shared: Database) -> None:
    create(api)
    reader = make_token(shared, api, role="read")

    ok(reader.get(projects_of(api)))
    ok(reader.get(f"{projects_of(api)}/gears"))
    refusal(reader.post(projects_of(api), {"id": "b", "name": "b"}), 403)
    refusal(reader.put(f"{projects_of(api)}/gears", {"name": "b"}), 403)


def test_development_tokens_use_projects_too(api: Caller) -> None:
    developer = api.as_token(api.development_token)
    create(developer)

    experiment = ok(developer.post("/v1/experiments", single_body(project="gears")))

    path = f"{projects_of(api)}/gears/experiments"
    assert ids_of(ok(developer.get(path))) == [experiment["id"]]
    assert ids_of(ok(api.get(path))) == []

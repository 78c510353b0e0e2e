"""Methods, bodies, answers, field selection and the one redirect (contract section 1)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.caller import Caller, ok, refusal
from tests.wire.conformance.bodies import make_ai, make_experiment, make_run, path_of_run

SKIP = {"X-Response-Content": "skip"}
METHODS = {"GET", "POST", "PUT", "MERGE", "DELETE", "OPTIONS"}


def words(header: str) -> set[str]:
    return {word.strip() for word in header.split(",")}


@pytest.fixture(scope="module")
def path(us: Caller) -> str:
    return make_experiment(us)


@pytest.fixture(scope="module")
def ai(us: Caller, project: str) -> str:
    return make_ai(us, project)


# 1.1 and 1.3


@pytest.mark.parametrize(
    "address",
    [
        "/v1/experiments",
        "/v1/experiments/1",
        "/v1/experiments/1/observations/2",
        "/v1/training_runs/3",
        "/v1/tokens/self",
        "/v1/clients/1/projects/p/training_runs/batch",
    ],
)
def test_options_are_answered_on_every_route_and_without_a_token(
    http: httpx.Client, address: str
) -> None:
    answer = http.options(address)

    assert answer.status_code == 200
    assert answer.json() == {}
    assert words(answer.headers["access-control-allow-methods"]) == METHODS
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()
    assert answer.headers["access-control-allow-origin"] == "*"


def test_options_of_an_unknown_path_are_a_404(http: httpx.Client) -> None:
    refusal(http.options("/v1/nothing"), 404)


def test_pages_of_any_origin_may_read_answers_and_refusals(us: Caller) -> None:
    for answer in (us.get("/v1/experiments"), us.get("/v1/experiments/999999999")):
        assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in us.http.get("/health").headers


def test_a_wrong_method_is_told_which_are_right(us: Caller) -> None:
    answer = us.request("PATCH", "/v1/training_runs/1")

    refusal(answer, 405)
    assert words(answer.headers["allow"]) == {"GET", "PUT", "MERGE", "DELETE", "OPTIONS"}


def test_an_id_may_arrive_as_digits_or_as_an_integer(us: Caller, project: str) -> None:
    tag = ok(us.post(f"/v1/clients/{us.client_id}/tags", {"name": "t", "color": "#0b57d0"}))
    run = path_of_run(make_run(us, project))

    assert ok(us.post(f"{run}/tags", {"id": tag["id"]})) == tag
    assert ok(us.post(f"{run}/tags", {"id": int(tag["id"])})) == tag
    assert ok(us.get(run))["tags"] == [tag["id"]]


# 1.5


@pytest.mark.parametrize("word", ["True", "true", "TRUE", "1"])
def test_true_in_a_query_is_written_in_any_case_or_as_one(us: Caller, path: str, word: str) -> None:
    assert ok(us.get(f"{path}/observations", deleted=word))["count"] == 0


@pytest.mark.parametrize("word", ["False", "false", "FALSE", "0"])
def test_false_in_a_query_is_written_in_any_case_or_as_zero(
    us: Caller, path: str, word: str
) -> None:
    ok(us.get("/v1/experiments", include_ai=word, ascending=word))


@pytest.mark.parametrize(
    "content",
    [b'{"a": 1, "a": 2}', b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": "\\u0000"}', b"[]", b'"a"'],
)
def test_a_body_that_is_no_proper_object_is_400_even_before_the_token(
    http: httpx.Client, content: bytes
) -> None:
    for method in ("POST", "PUT", "MERGE"):
        path = "/v1/experiments" if method == "POST" else "/v1/training_runs/1"
        refusal(http.request(method, path, content=content), 400)


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x"])
def test_a_body_of_another_type_counts_as_none(us: Caller, path: str, content_type: str) -> None:
    content = b'{"metadata": {"a": 1}}'
    headers = {"Content-Type": content_type}

    made = ok(us.request("POST", f"{path}/suggestions", content=content, headers=headers))

    assert made["metadata"] is None


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_what_has_no_body_may_carry_anything(us: Caller, method: str) -> None:
    path = make_experiment(us)

    ok(us.request(method, path, content=b"{[", headers={"Content-Type": "application/json"}))


def test_an_empty_body_is_no_arguments(us: Caller, path: str) -> None:
    ok(us.request("POST", f"{path}/suggestions", content=b""))
    ok(us.request("PUT", path, content=b""))


# 1.6


def test_creation_answers_200_and_nothing_may_be_cached(us: Caller, path: str) -> None:
    answer = us.post(f"{path}/suggestions")

    ok(answer)
    assert not {"cache-control", "etag", "expires", "last-modified"} & set(answer.headers)


def test_what_is_to_be_skipped_is_done_and_answered_with_204(us: Caller, project: str) -> None:
    run = path_of_run(make_run(us, project))

    merged = us.request("MERGE", run, json={"metadata": {"a": 1}}, headers=SKIP)
    made = us.post(f"{run}/checkpoints", {"values": [{"name": "f", "value": 1}]}, headers=SKIP)

    assert [(each.status_code, each.content) for each in (merged, made)] == [(204, b""), (204, b"")]
    now = ok(us.get(run))
    assert (now["metadata"], now["checkpoint_count"]) == ({"a": 1}, 1)


def test_a_mistake_is_told_although_the_answer_was_to_be_skipped(us: Caller, project: str) -> None:
    run = path_of_run(make_run(us, project))

    refusal(us.request("MERGE", run, json={"state": "dead"}, headers=SKIP), 400)


def test_any_other_word_in_the_header_skips_nothing(us: Caller, project: str) -> None:
    run = path_of_run(make_run(us, project))

    ok(us.request("MERGE", run, json={}, headers={"X-Response-Content": "all"}))


# 1.7


def test_fields_select_keys_of_one_object_and_of_each_element(us: Caller, path: str) -> None:
    assert set(ok(us.get(path, fields="id,progress"))) == {"id", "progress"}
    assert set(ok(us.get("/v1/tokens/self", fields="client"))) == {"client"}
    page = ok(us.get("/v1/experiments", fields="name"))
    assert {"object", "count", "data", "paging"} == set(page)
    assert all(set(row) == {"name"} for row in page["data"])


@pytest.mark.parametrize("fields", ["", None])
def test_no_fields_are_all_of_them(us: Caller, path: str, fields: str | None) -> None:
    assert ok(us.get(path, fields=fields)) == ok(us.get(path))


@pytest.mark.parametrize("fields", ["colour", "id,colour", "progress.observation_count"])
def test_an_unknown_field_is_400(us: Caller, path: str, fields: str) -> None:
    assert "fields: there is no field" in refusal(us.get(path, fields=fields))
    assert "fields: there is no field" in refusal(us.get("/v1/experiments", fields=fields))


def test_a_batch_of_runs_takes_fields_in_its_body_and_strict_bodies_do_not(
    us: Caller, project: str, path: str
) -> None:
    batch = {"runs": [{"name": "r"}, {"name": "s"}], "fields": "id,state"}

    made = ok(us.post(f"{project}/training_runs/batch", batch))

    assert [set(row) for row in made["data"]] == [{"id", "state"}] * 2
    refusal(us.post(f"{project}/training_runs/batch", {**batch, "fields": "colour"}))
    refusal(us.post(f"{path}/observations", {"failed": True, "assignments": {}, "fields": "id"}))


def test_a_refused_selection_of_a_batch_stores_nothing(us: Caller, project: str) -> None:
    before = ok(us.get(f"{project}/training_runs"))["count"]

    refusal(us.post(f"{project}/training_runs/batch", {"runs": [{"name": "r"}], "fields": "x"}))

    assert ok(us.get(f"{project}/training_runs"))["count"] == before


# 1.8


def test_an_aiexperiment_is_found_at_its_own_address(us: Caller, ai: str) -> None:
    answer = us.get(ai.replace("aiexperiments", "experiments"))

    assert answer.status_code == 301
    assert answer.headers["location"] == ai
    assert set(answer.json()) == {"message", "status", "location"}
    assert (answer.json()["status"], answer.json()["location"]) == (301, ai)
    followed = us.request("GET", ai.replace("aiexperiments", "experiments"), follow_redirects=True)
    assert ok(followed)["object"] == "aiexperiment"


@pytest.mark.parametrize(
    "part",
    ["suggestions", "observations", "best_assignments", "stopping_criteria", "queued_suggestions"],
)
def test_every_other_address_works_for_aiexperiments_too(us: Caller, ai: str, part: str) -> None:
    ok(us.get(f"{ai.replace('aiexperiments', 'experiments')}/{part}"))


def test_an_aiexperiment_is_changed_and_deleted_at_the_other_address_too(
    us: Caller, project: str
) -> None:
    path = make_ai(us, project).replace("aiexperiments", "experiments")

    changed: dict[str, Any] = ok(us.put(path, {"name": "renamed", "budget": 7}))

    assert (changed["name"], changed["budget"]) == ("renamed", 7)
    assert "observation_budget" not in changed
    assert ok(us.delete(path, include_runs="False")) == {}
    assert ok(us.get(path.replace("experiments", "aiexperiments")))["state"] == "deleted"

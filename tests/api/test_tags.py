from __future__ import annotations

from typing import Any

import pytest

from tests.api.caller import Caller, ok, refusal
from tests.api.test_accounts import make_token
from tradeoff.store.database import Database


def tags_of(api: Caller) -> str:
    return f"/v1/clients/{api.client_id}/tags"


def test_a_tag_is_created_and_listed(api: Caller) -> None:
    made = ok(api.post(tags_of(api), {"name": " baseline ", "color": "#0b57d0"}))

    assert made == {
        "object": "tag",
        "id": made["id"],
        "client": str(api.client_id),
        "name": "baseline",
        "color": "#0B57D0",
    }
    second = ok(api.post(tags_of(api), {"name": "best", "color": "#000000"}))
    assert ok(api.get(tags_of(api)))["data"] == [second, made]
    assert ok(api.get(tags_of(api), ascending=True, limit=1))["data"] == [made]


def test_a_name_is_there_once_in_a_client(api: Caller, other: Caller) -> None:
    body = {"name": "baseline", "color": "#FFFFFF"}
    ok(api.post(tags_of(api), body))
    ok(other.post(tags_of(other), body))

    assert "'baseline'" in refusal(api.post(tags_of(api), {**body, "color": "#000000"}), 409)
    assert ok(api.get(tags_of(api)))["count"] == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"color": "#000000"}, "name: required"),
        ({"name": "a"}, "color: required"),
        ({"name": None, "color": "#000000"}, "name: required"),
        ({"name": "a", "color": None}, "color: required"),
        ({"name": "", "color": "#000000"}, "name: must not be empty"),
        ({"name": "x" * 101, "color": "#000000"}, "name: must have at most 100"),
        ({"name": "a", "color": "red"}, "color: must be #"),
        ({"name": "a", "color": "000000"}, "color: must be #"),
        ({"name": "a", "color": "#00000"}, "color: must be #"),
        ({"name": "a", "color": "#0000000"}, "color: must be #"),
        ({"name": "a", "color": "#00000G"}, "color: must be #"),
        ({"name": "a", "color": 0}, "color: must be #"),
        ({"name": "a", "color": "#000000", "id": 1}, "id: unknown key"),
    ],
)
def test_what_cannot_be_a_tag(api: Caller, body: dict[str, Any], words: str) -> None:
    assert words in refusal(api.post(tags_of(api), body))


def test_who_may_use_tags(api: Caller, other: Caller, shared: Database) -> None:
    body = {"name": "a", "color": "#000000"}
    developer = api.as_token(api.development_token)
    reader = make_token(shared, api, role="read")

    refusal(developer.get(tags_of(api)), 403)
    # Before the body is looked at.
    refusal(developer.post(tags_of(api), {"nonsense": 1}), 403)
    refusal(reader.post(tags_of(api), body), 403)
    assert ok(reader.get(tags_of(api)))["count"] == 0
    refusal(other.get(tags_of(api)), 404)

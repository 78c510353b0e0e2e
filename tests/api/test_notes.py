from __future__ import annotations

from typing import Any

import pytest

from tests.api.caller import Caller, ok, refusal


def project_of(api: Caller) -> str:
    path = f"/v1/clients/{api.client_id}/projects"
    ok(api.post(path, {"id": "p", "name": "P"}))
    return f"{path}/p"


def test_notes_are_kept_the_newest_first(api: Caller) -> None:
    path = project_of(api)
    assert ok(api.get(f"{path}/notes"))["count"] == 0

    first = ok(api.post(f"{path}/notes", {"contents": "first"}))
    ok(api.post(f"{path}/notes", {"contents": "second"}))

    assert first == {
        "object": "project_note",
        "client": str(api.client_id),
        "project": "p",
        "user": None,
        "created": first["created"],
        "contents": "first",
    }
    listed = ok(api.get(f"{path}/notes"))
    assert [each["contents"] for each in listed["data"]] == ["second", "first"]
    page = ok(api.get(f"{path}/notes", limit=1))
    rest = ok(api.get(f"{path}/notes", before=page["paging"]["before"]))
    assert [each["contents"] for each in rest["data"]] == ["first"]


@pytest.mark.parametrize(
    "body", [{}, {"contents": None}, {"contents": ""}, {"contents": 7}, {"contents": "a", "b": 1}]
)
def test_notes_that_cannot_be(api: Caller, body: dict[str, Any]) -> None:
    refusal(api.post(f"{project_of(api)}/notes", body))


def test_notes_are_nobody_elses(api: Caller, other: Caller) -> None:
    path = project_of(api)

    refusal(other.get(f"{path}/notes"), 404)
    refusal(other.post(f"{path}/notes", {"contents": "mine"}), 404)

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from tradeoff.api.dispatch import Dispatch


class Named:
    """An app that says its name, and what it was told."""

    def __init__(self, name: str, told: list[tuple[str, Any]]) -> None:
        self.name, self.told = name, told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.told.append((self.name, scope.get("path_params")))


PATHS = {
    "/v1/things": ("GET", "POST"),
    "/v1/things/{thing}": ("GET", "DELETE"),
    "/v1/things/batch": ("POST",),
    "/v1/things/{thing}/parts/{part}": ("PUT",),
    "/v1/things/batch/parts": ("GET",),
}


def ask(method: str, path: str, kind: str = "http") -> tuple[str, Any]:
    told: list[tuple[str, Any]] = []
    served = {
        path: {method: Named(f"{method} {path}", told) for method in (*methods, "")}
        for path, methods in PATHS.items()
    }
    dispatch = Dispatch(Named("elsewhere", told), served)

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    asyncio.run(dispatch({"type": kind, "method": method, "path": path}, receive, send))
    (answer,) = told
    return answer


@pytest.mark.parametrize(
    ("method", "path", "served", "names"),
    [
        ("GET", "/v1/things", "GET /v1/things", {}),
        ("GET", "/v1/things/7", "GET /v1/things/{thing}", {"thing": "7"}),
        ("POST", "/v1/things/batch", "POST /v1/things/batch", {}),
        # What a word has no method for may be meant for the placeholder.
        ("GET", "/v1/things/batch", "GET /v1/things/{thing}", {"thing": "batch"}),
        (
            "PUT",
            "/v1/things/batch/parts/a b",
            "PUT /v1/things/{thing}/parts/{part}",
            {"thing": "batch", "part": "a b"},
        ),
        ("PATCH", "/v1/things/7", " /v1/things/{thing}", {"thing": "7"}),
        ("OPTIONS", "/v1/things", " /v1/things", {}),
    ],
)
def test_a_request_gets_what_is_served_at_its_path(
    method: str, path: str, served: str, names: dict[str, str]
) -> None:
    assert ask(method, path) == (served, names)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/v1",
        "/v1/",
        "/v1/things/",
        "/v1//things",
        "/v1/things/7/parts",
        "/things",
        "/v1/x",
    ],
)
def test_other_paths_are_handed_on(path: str) -> None:
    assert ask("GET", path) == ("elsewhere", None)


def test_what_is_no_request_is_handed_on() -> None:
    assert ask("GET", "/v1/things", kind="lifespan") == ("elsewhere", None)

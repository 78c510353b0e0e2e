from __future__ import annotations

import base64

import pytest
from starlette.datastructures import Headers

from tradeoff.api import auth
from tradeoff.errors import BadInput


def headers(value: str) -> Headers:
    return Headers({"authorization": value})


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_no_header_is_no_token() -> None:
    assert auth.read_secret(Headers({})) is None


@pytest.mark.parametrize(
    "value", [basic("secret:"), basic("secret:").replace("Basic", "basic"), "Bearer secret"]
)
def test_basic_with_an_empty_password_and_bearer_carry_a_token(value: str) -> None:
    assert auth.read_secret(headers(value)) == "secret"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic",
        "Bearer",
        "Bearer ",
        "secret",
        "Digest abc",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff\xfe:").decode(),
        basic("secret"),
        basic("secret:password"),
        basic(":password"),
        basic(":"),
        "Bearer ü",
        "Basic " + "A" * 5_000,
    ],
)
def test_anything_else_is_a_bad_request(value: str) -> None:
    with pytest.raises(BadInput, match="Authorization"):
        auth.read_secret(headers(value))

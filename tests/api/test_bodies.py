from __future__ import annotations

import json
import time

import pytest

from tradeoff.api import bodies
from tradeoff.errors import BadInput


def test_nothing_is_the_empty_object() -> None:
    assert bodies.parse(b"") == {}
    assert bodies.parse(b" \n") == {}


def test_an_object_comes_back_as_it_is() -> None:
    body = {"a": [1, 2.5, "ü", None, True, {"b": "\n"}]}

    assert bodies.parse(json.dumps(body).encode()) == body


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"a": NaN}', "contains NaN"),
        (b'{"a": -Infinity}', "contains -Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": -1e999}', "too large"),
        (b'{"a": 1, "a": 2}', "'a' twice"),
        (b'{"b": {"a": 1, "a": 1}}', "'a' twice"),
        (b'{"a": "\\u0000"}', "NUL"),
        (b'{"\\u0000": 1}', "NUL"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b"\xff\xfe{\x00}\x00", "UTF-8"),
        ('{"a": "ü"}'.encode("latin-1"), "UTF-8"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (b'{"a": ' + b"[" * 20 + b"]" * 20 + b"}", "nested at most 20"),
        (b'{"a": ' + b"[" * 200_000, "nested at most 20"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "digits"),
        (b'{"a": [' + b"1," * 50_000 + b"1]}", "at most 50000 values"),
        (b"{'a': 1}", "not valid JSON"),
        (b'{"a": 1,}', "not valid JSON"),
        (b'{"a": 01}', "not valid JSON"),
        (b'{"a": "\n"}', "not valid JSON"),
        (b'{"a": 1} {"a": 2}', "not valid JSON"),
    ],
)
def test_what_two_readers_would_not_understand_alike_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        bodies.parse(body)


def test_the_deepest_allowed_body_is_read() -> None:
    body = b'{"a": ' + b"[" * 19 + b"]" * 19 + b"}"

    assert "a" in bodies.parse(body)


def test_many_keys_with_one_twice_at_the_end_are_refused_fast() -> None:
    keys = ",".join(f'"k{index}": 1' for index in range(40_000))
    begun = time.thread_time()

    with pytest.raises(BadInput, match="twice"):
        bodies.parse(f'{{{keys}, "k39999": 2}}'.encode())

    assert time.thread_time() - begun < 2


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("", True),
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/x-www-form-urlencoded", True),
        ("text/plain", False),
        ("multipart/form-data; boundary=x", False),
    ],
)
def test_what_curl_sends_counts_as_json(content_type: str, expected: bool) -> None:
    assert bodies.is_json(content_type) is expected


def test_commas_inside_of_texts_are_no_values() -> None:
    body = {"a": ["," * 400, '",' * 400, "\\," * 400] * 20, "b": 1}

    assert bodies.parse(json.dumps(body).encode(), max_members=70) == body


def test_a_flood_of_values_is_refused_before_it_is_parsed() -> None:
    begun = time.thread_time()

    with pytest.raises(BadInput, match="at most 1000000 values"):
        bodies.parse(b'{"a": [' + b"0," * 5_000_000 + b"0]}", max_members=1_000_000)

    assert time.thread_time() - begun < 1


@pytest.mark.parametrize(
    "body",
    [b'{"a":"' + b'\\"' * 3_000_000, b'"' * 5_000_001, b'"' + b"\\" * 5_000_001, b'"a' * 2_500_001],
)
def test_no_body_is_slow_to_refuse(body: bytes) -> None:
    begun = time.thread_time()

    with pytest.raises(BadInput):
        bodies.parse(body)

    assert time.thread_time() - begun < 5

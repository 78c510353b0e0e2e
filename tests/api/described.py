"""Answers held against the description that users read."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import httpx
import jsonschema_rs

from tradeoff.api.openapi import describe
from tradeoff.api.routes import ROUTES

#: Methods that the description cannot have, and the one whose answer is the same.
LIKE = {"MERGE": "put"}


def check(response: httpx.Response) -> None:
    """An answer of the API must be as described: its status, every key, every type.

    Answers of anything but the API's own routes are let through.
    """
    request = response.request
    template = _template(request.url.path)
    if template is None or response.status_code == 405 or response.status_code >= 500:
        return
    method = LIKE.get(request.method, request.method.lower())
    operation = _document()["paths"][template].get(method)
    assert operation is not None, f"{request.method} {template} is not described"
    if response.status_code == 204:
        assert request.headers["X-Response-Content"] == "skip"
        assert response.content == b""
        return
    described = operation["responses"].get(str(response.status_code))
    where = f"{request.method} {template} {response.status_code}"
    assert described is not None, f"{where} is not described: {response.text[:500]}"
    validator = _validator(json.dumps(described, sort_keys=True), _selects_fields(request))
    wrong = [
        f"{'.'.join(map(str, error.instance_path))}: {error.message[:300]}"
        for error in validator.iter_errors(response.json())
    ]
    assert not wrong, f"{where} is not as described: {wrong}"


def _selects_fields(request: httpx.Request) -> bool:
    """Whether only some keys were asked for."""
    if request.url.params.get("fields"):
        return True
    try:
        return request.method == "POST" and b'"fields"' in request.content
    except httpx.RequestNotRead:  # it was sent in pieces
        return False


@functools.cache
def _document() -> dict[str, Any]:
    return describe(ROUTES, version="0")


@functools.cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """Paths with fewer placeholders first: `/observations/batch` is no observation."""
    templates = sorted(_document()["paths"], key=lambda path: path.count("{"))
    return [
        (re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))), template)
        for template in templates
    ]


def _template(path: str) -> str | None:
    return next((name for pattern, name in _patterns() if pattern.fullmatch(path)), None)


@functools.cache
def _validator(described: str, partial: bool) -> jsonschema_rs.Validator:
    components = _strict(_document()["components"], partial=partial)
    response = json.loads(described)
    if "$ref" in response:
        response = components["responses"][response["$ref"].rpartition("/")[2]]
    schema = response["content"]["application/json"]["schema"]
    return jsonschema_rs.validator_for(
        {**_strict(schema, partial=partial), "components": components}
    )


def _strict(part: Any, *, partial: bool) -> Any:
    """A schema that takes no key that is not described; `partial`: and misses none."""
    if isinstance(part, list):
        return [_strict(each, partial=partial) for each in part]
    if not isinstance(part, dict):
        return part
    strict = {key: _strict(value, partial=partial) for key, value in part.items()}
    if isinstance(part.get("properties"), dict) and part.get("type") == "object":
        strict.setdefault("additionalProperties", False)
        if partial:
            strict.pop("required", None)
    return strict

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import httpx
import jsonschema_rs
import pytest
from pydantic import TypeAdapter

from tradeoff.api.openapi import describe
from tradeoff.api.reference import page
from tradeoff.api.routes import ROUTES
from tradeoff.api.wire.experiments import ExperimentCreate


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return describe(ROUTES, version="1.2.3")


def test_every_route_is_described(document: dict[str, Any]) -> None:
    described = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }

    assert described == {(route.method, route.path) for route in ROUTES if route.described}
    assert {route.method for route in ROUTES if not route.described} == {"MERGE"}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return own + [found for value in part.values() for found in references(value)]
        if isinstance(part, str) and part.startswith("#/components/"):
            return [part]  # where a discriminator leads
        return (
            [found for each in part for found in references(each)] if isinstance(part, list) else []
        )

    for reference in set(references(document)):
        _, _, kind, name = reference.removeprefix("#").split("/")
        assert name in document["components"][kind]


def test_names_are_for_people(document: dict[str, Any]) -> None:
    for name in document["components"]["schemas"]:
        assert re.fullmatch(r"[A-Za-z]+", name), name


def test_everything_that_users_read_is_written(document: dict[str, Any]) -> None:
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["summary"]
            for parameter in operation["parameters"]:
                assert parameter["description"], (operation["operationId"], parameter["name"])
    for name, schema in document["components"]["schemas"].items():
        assert schema.get("description"), name
        for key, field in schema.get("properties", {}).items():
            assert field.get("description"), (name, key)


def test_what_is_always_there_is_required_and_what_is_hidden_is_not(
    document: dict[str, Any],
) -> None:
    optional = {
        name: set(schema["properties"]) - set(schema.get("required", ()))
        for name, schema in document["components"]["schemas"].items()
        if "object" in schema.get("required", ())
    }

    assert {name: keys for name, keys in optional.items() if keys} == {
        "BestAssignments": {"task"},
        "Experiment": {"budget", "observation_budget", "tasks"},
        "File": {"download", "upload"},
        "Observation": {"task"},
        "Parameter": {"grid"},
        "QueuedSuggestion": {"task"},
        "Suggestion": {"task"},
    }


def test_short_forms_of_bodies_are_described(document: dict[str, Any]) -> None:
    body = {
        "name": "short",
        "type": None,
        "parameters": [
            {
                "name": "c",
                "type": "categorical",
                "categorical_values": ["a", {"name": "b"}],
                "conditions": {"k": "one"},
            },
            {
                "name": "x",
                "type": "double",
                "bounds": {"min": 0, "max": 1},
                "transformation": "none",
            },
        ],
        "metrics": ["f", {"name": "s", "strategy": "store"}],
        "conditionals": [{"name": "k", "values": ["one", "two"]}],
        "linear_constraints": None,
    }
    schema = {
        "$ref": "#/components/schemas/ExperimentCreate",
        "components": document["components"],
    }

    jsonschema_rs.validate(schema, body)
    TypeAdapter(ExperimentCreate).validate_python(body)


def test_examples_are_valid_bodies() -> None:
    for route in ROUTES:
        if route.body_model is None:
            continue
        extra = route.body_model.model_config.get("json_schema_extra")
        assert isinstance(extra, dict), route.name
        for example in extra["examples"]:  # type: ignore[union-attr]  # a list of bodies
            TypeAdapter(route.body_model).validate_python(example)


def test_examples_are_valid_answers(document: dict[str, Any]) -> None:
    shown = 0
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", ()) if "object" in schema["properties"] else ():
            reference = {"$ref": f"#/components/schemas/{name}"}
            jsonschema_rs.validate({**reference, "components": document["components"]}, example)
            assert set(example) == set(schema["properties"]) - {"task"}
            shown += 1
    assert shown >= 4


class Reader(HTMLParser):
    """Collects what a page loads, links to and defines."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.ids |= {found["id"] or ""} if "id" in found else set()
        self.links |= {found["href"] or ""} if tag == "a" else set()
        if tag in ("script", "link", "img", "iframe") or "src" in found:
            self.loads.append(tag)


def test_the_reference_needs_nothing_from_elsewhere(document: dict[str, Any]) -> None:
    reader = Reader()

    reader.feed(page(document))

    assert reader.loads == []
    for link in reader.links:
        assert link == "openapi.json" or link.removeprefix("#") in reader.ids, link
    assert {route.name for route in ROUTES if route.described} <= reader.ids


def test_what_is_shown_is_escaped(document: dict[str, Any]) -> None:
    document = describe(ROUTES, version="<script>alert(1)</script>")

    assert "<script" not in page(document)


def test_both_are_served(http: httpx.Client, document: dict[str, Any]) -> None:
    served = http.get("/openapi.json").json()
    docs = http.get("/docs")

    assert served["paths"] == document["paths"]
    assert docs.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in docs.headers["content-security-policy"]
    assert "curl -u" in docs.text

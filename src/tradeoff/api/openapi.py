"""The API described for machines, from the routes and the wire models alone."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from tradeoff.api.routing import Route
from tradeoff.api.wire.base import Answer, hidden

Document = dict[str, Any]

SUMMARY = "Optimization as a service: suggest, train, observe, and get the efficient frontier."
DESCRIPTION = """\
Create an experiment, ask for suggestions, train with their assignments, report observations; the
best assignments are the efficient frontier. The resources and bodies are those of SigOpt's API,
so its client works here with another address and token.

**Authentication.** HTTP Basic with the API token as user name and an empty password
(`curl -u TOKEN:`), or `Authorization: Bearer TOKEN`.

**Retries.** Send an `Idempotency-Key` of your own with a POST, PUT or DELETE: when the answer got
lost, the same request with the same key takes effect once and gets the first answer again, marked
with `Idempotency-Replayed: true`. Without a key, a report on a suggestion that equals one of the
last ten minutes is taken for a retry.

**Less to read.** `fields=id,state` in the query of a GET selects keys of the answer, or of each
element of a list. With the header `X-Response-Content: skip` what changes something answers 204 and
no body. Training runs are also changed by the method `MERGE`, which a description cannot name.

**Lists** come in pages: give `paging.before` back as `before` to get the next smaller rows, until
it is `null`; with `ascending`, give `paging.after` back as `after`.

**Leases.** A suggestion asked for with `lease_seconds` is waited for so long. With the header
`Worker-Id: NAME` any call below the experiment renews what that `worker_id` holds. A lapsed one
may be suggested to others; a late report on it is taken all the same.

**Errors** have the body `{"message": ..., "status": ...}`; the message names the field, what was
met and what would be right. Every answer has an `X-Request-Id`.

**Numbers** are finite; ids are strings of digits; times are Unix seconds. Absent and `null` are
the same when something is created. Keys that are not known are refused.
"""

PATH_PARAMETERS = {
    "client": "Number of the client.",
    "organization": "Number of the organization.",
    "experiment": "Number of the experiment.",
    "aiexperiment": "Number of the AIExperiment.",
    "suggestion": "Number of the suggestion.",
    "queued_suggestion": "Number of the queued suggestion.",
    "training_run": "Number of the training run.",
    "file": "Number of the file.",
    "run_checkpoint": "Number of the checkpoint.",
    "tag": "Number of the tag.",
    "observation": "Number of the observation.",
    "checkpoint": "Number of the checkpoint.",
    "project": "The `id` of the project, as it was chosen.",
    "token": "`self`, or the number of a token, or the first characters that lists show of it.",
    "user": "Number of the user.",
}
#: What can go wrong anywhere, and the word for it.
ERRORS = {
    400: "Something in the request cannot be; the message says what, and what would be right.",
    401: "No API token was sent.",
    403: "The token is not known, revoked, expired, or does not permit this.",
    404: "There is no such object, or not for you.",
    408: "The body did not arrive in time.",
    409: "A request with the same key or on the same rows is still at work; try again.",
    413: "The body is too large.",
    422: "It cannot be done now; or the `Idempotency-Key` was used for a different request.",
    429: "Too many requests, or more observations than there is room for; try again after "
    "`Retry-After` seconds.",
    503: "The database is away or busy; try again after `Retry-After` seconds.",
}
MOVED = {
    "description": "It is an AIExperiment, and at the address of those.",
    "headers": {"Location": {"description": "That address.", "schema": {"type": "string"}}},
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "message": {"type": "string"},
                    "status": {"type": "integer"},
                    "location": {"type": "string"},
                },
                "required": ["message", "status", "location"],
            }
        }
    },
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A name of your own for this request, for safe retries.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
}
WORKER_ID = {
    "name": "Worker-Id",
    "in": "header",
    "required": False,
    "description": "The `worker_id` that suggestions of this experiment were asked with: their "
    "leases begin anew.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[\\x21-\\x7e]+$"},
}


SKIP = {
    "name": "X-Response-Content",
    "in": "header",
    "required": False,
    "description": "`skip`: do it, and answer 204 without a body.",
    "schema": {"type": "string", "enum": ["skip"]},
}
SKIPPED = {"description": "Done, and nothing to read, as `X-Response-Content: skip` asked for."}
#: What many objects have, unless their model says it better.
COMMON = {
    "object": "What kind of object this is.",
    "id": "Its number, as digits.",
    "client": "Number of the client that it belongs to.",
    "user": "Number of the user who made it; `null` when a token of no user did.",
    "organization": "Number of the organization.",
    "experiment": "Number of the experiment that it belongs to.",
    "training_run": "Number of the training run that it belongs to.",
    "suggestion": "Number of the suggestion that was tried; `null` when none was.",
    "name": "What it is called.",
    "created": "When it was made, in Unix seconds.",
    "updated": "When it changed last, in Unix seconds.",
    "deleted": "Whether it was deleted.",
    "metadata": "Your own notes; `null` when there are none.",
    "assignments": "The value of each parameter, by name.",
    "values": "What was measured, ordered by the name of the metric.",
    "data": "The rows of this page.",
    "paging": "Where to go on.",
}


class Error(Answer):
    """Why a request failed."""

    message: str
    """What was wrong, what was met, what would be right."""
    status: int
    """The HTTP status, once more."""
    token_status: Literal["revoked", "expired", "invalid_permissions"] | None = hidden()
    """Present when the token is the reason."""
    reason: Literal["paused"] | None = hidden()
    """Present when the experiment is paused."""


def describe(routes: Sequence[Route], *, version: str) -> Document:
    """The OpenAPI document of `routes`."""
    routes = [route for route in routes if route.described]
    references, schemas = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operations = paths.setdefault(route.path, {})
        operations[route.method.lower()] = _operation(route, references, schemas)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Tradeoff",
            "summary": SUMMARY,
            "description": DESCRIPTION,
            "version": version,
        },
        "security": [{"token": []}, {"bearer": []}],
        "tags": _tags(routes),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
            "responses": {
                str(status): {
                    "description": text,
                    "content": {"application/json": {"schema": references[Error]}},
                }
                for status, text in ERRORS.items()
            },
            "schemas": schemas,
        },
    }
    return _shorten(document)


def _schemas(
    routes: Sequence[Route],
) -> tuple[dict[type[BaseModel], dict[str, str]], dict[str, Any]]:
    """A reference to each model, and the schemas that these point to."""
    bodies = {route.body_model: None for route in routes if route.body_model is not None}
    queries = {route.query_model: None for route in routes}
    answers = {route.answer_model: None for route in routes} | {Error: None}
    wanted: list[tuple[type[BaseModel], Any]] = [
        *((model, "validation") for model in [*bodies, *queries]),
        *((model, "serialization") for model in answers),
    ]
    references, definitions = models_json_schema(
        wanted, ref_template="#/components/schemas/{model}"
    )
    by_model = {model: schema for (model, _), schema in references.items()}
    for schema in definitions["$defs"].values():
        for key, described in schema.get("properties", {}).items():
            if key in COMMON:
                described.setdefault("description", COMMON[key])
    return by_model, definitions["$defs"]  # type: ignore[return-value]  # a reference has one text


def _operation(
    route: Route, references: dict[type[BaseModel], dict[str, str]], schemas: dict[str, Any]
) -> dict[str, Any]:
    summary, _, description = inspect.getdoc(route.handler).partition("\n")  # type: ignore[union-attr]  # every handler has one; a test sees to it
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [_tag(route)],
        "summary": summary.rstrip("."),
        "description": description.strip().replace("\n", " "),
        "parameters": [
            *(_path_parameter(name) for name in route.placeholders),
            *_query_parameters(schemas[_name(references[route.query_model])]),
            *([IDEMPOTENCY_KEY, SKIP] if route.writes else []),
            *([WORKER_ID] if "experiment" in route.placeholders else []),
        ],
        "responses": {
            "200": {
                "description": "Done.",
                "content": {"application/json": {"schema": references[route.answer_model]}},
            },
            **({"204": SKIPPED} if route.writes else {}),
            **({"301": MOVED} if route.moves else {}),
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in ERRORS},
        },
    }
    if route.body_model is not None:
        operation["requestBody"] = {
            "required": False,
            "content": {"application/json": {"schema": references[route.body_model]}},
        }
    return operation


def _name(reference: dict[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def _tag(route: Route) -> str:
    return route.name.partition(".")[0]


def _tags(routes: Sequence[Route]) -> list[dict[str, str]]:
    """The resources, each with the docstring of its module."""
    modules = {_tag(route): inspect.getmodule(route.handler) for route in routes}
    return [
        {"name": tag, "description": inspect.getdoc(module) or ""}
        for tag, module in modules.items()
    ]


def _path_parameter(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "pattern": "^[1-9][0-9]{0,18}$"}
    if name in ("token", "project"):
        schema = {"type": "string"}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": PATH_PARAMETERS[name],
        "schema": schema,
    }


def _query_parameters(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": described.get("description", ""),
            "schema": _without_null(described),
        }
        for name, described in schema.get("properties", {}).items()
    ]


def _without_null(described: dict[str, Any]) -> dict[str, Any]:
    """A query has no `null`: an absent key is absent."""
    kept = {
        key: value
        for key, value in described.items()
        if key not in ("description", "title", "anyOf") and value is not None
    }
    for choice in described.get("anyOf", ()):
        if choice != {"type": "null"}:
            kept |= choice
    return kept


def _shorten(document: Document) -> Document:
    """Give schemas names that people can read, and leave out those that nothing points to."""
    schemas = document["components"]["schemas"]
    renamed: Document = _rename(document)
    used = set(_references(renamed))
    renamed["components"]["schemas"] = {
        _short(name): _rename(schema) for name, schema in schemas.items() if _short(name) in used
    }
    return renamed


def _rename(part: Any) -> Any:
    if isinstance(part, dict):
        renamed = {key: _rename(value) for key, value in part.items()}
        if isinstance(part.get("$ref"), str) and "/schemas/" in part["$ref"]:
            renamed["$ref"] = f"#/components/schemas/{_short(_name(part))}"
        if isinstance(part.get("discriminator"), dict):
            mapping = part["discriminator"]["mapping"]
            renamed["discriminator"]["mapping"] = {
                word: f"#/components/schemas/{_short(_name({'$ref': reference}))}"
                for word, reference in mapping.items()
            }
        return renamed
    return [_rename(each) for each in part] if isinstance(part, list) else part


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield _name(part)
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for each in part:
            yield from _references(each)


def _short(name: str) -> str:
    plain = name.rpartition("__")[2].removesuffix("_").replace("Pagination_", "PageOf")
    return plain.removesuffix("-Output").replace("-Input", "Input")

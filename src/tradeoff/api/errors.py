"""The one place where errors become answers: `{"message", "status"}`, as SigOpt's client reads.

Pydantic's reports become the same body with 400, in words for the caller: the path of the field,
what was met, what would be right. Anything unforeseen is a 500 with a fixed text and the id of
the request; the traceback goes to the log alone.
"""

from __future__ import annotations

import json
import logging
import random
import re
from collections.abc import Callable, Iterator
from typing import Any, get_args

from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tradeoff import logs
from tradeoff.errors import BadInput, Moved, NotAllowed, Paused, TooManyRequests, TradeoffError
from tradeoff.spec.values import shown

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/json; charset=utf-8"
REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
#: A 503 is over soon; a 409 means that a twin of the request holds the same rows right now.
RETRY_AFTER_SECONDS = {409: 1, 503: 2}
MAX_SHOWN_KEY = 100
#: So many mistakes are told at once.
TOLD_AT_ONCE = 5
#: A validator's text that names the field it means, as `threshold: required`.
NAMED_FIELD = re.compile(r"[A-Za-z_][\w.]*(\[\d+\])?: ")


def install(app: FastAPI) -> None:
    """Make `app` answer every error in SigOpt's form."""
    app.add_exception_handler(TradeoffError, _answer_own)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_middleware(Boundary)


def render(status: int, message: str, **extra: str) -> bytes:
    """The body of an error."""
    return json.dumps({"message": message, "status": status, **extra}).encode()


def respond(status: int, message: str, **extra: str) -> Response:
    """The answer to a request that failed."""
    headers = {}
    if status in RETRY_AFTER_SECONDS:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS[status])
    if status in (408, 413):
        # The rest of the body is still on its way and nobody will read it.
        headers["Connection"] = "close"
    body = render(status, message, **extra)
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def answer(error: TradeoffError) -> Response:
    """The answer to a request that was refused."""
    if isinstance(error, Moved):
        response = respond(error.status, error.message, location=error.location)
        response.headers["Location"] = error.location
        return response
    if isinstance(error, TooManyRequests):
        extra = {"reason": "paused"} if isinstance(error, Paused) else {}
        response = respond(error.status, error.message, **extra)
        response.headers["Retry-After"] = str(error.retry_after_seconds)
        return response
    if isinstance(error, NotAllowed) and error.token_status:
        return respond(error.status, error.message, token_status=error.token_status)
    return respond(error.status, error.message)


async def _answer_own(request: Request, error: Exception) -> Response:
    assert isinstance(error, TradeoffError)
    return answer(error)


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return respond(404, "There is nothing at this address.")
    if error.status_code == 405:
        response = respond(405, f"{request.method} is not possible here.")
        response.headers.update(error.headers or {})
        return response
    return respond(error.status_code, str(error.detail))


class Boundary:
    """Gives each request an id, and answers what nobody foresaw."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, as ASGI has it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        has_begun = False

        async def send_with_id(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                # No browser shall see a page in what a user once stored.
                headers.setdefault("X-Content-Type-Options", "nosniff")
            await send(message)

        with logs.about(request_id=request_id):
            await self._answer(scope, receive, send_with_id, request_id, lambda: has_begun)

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        request_id: str,
        has_begun: Callable[[], bool],
    ) -> None:
        try:
            await self.app(scope, receive, send)
        except Exception:
            logger.exception("request failed unexpectedly")
            if has_begun():
                raise
            response = respond(
                500,
                "Something went wrong on our side. It was logged with the request id "
                f"{request_id}; please report it.",
            )
            await response(scope, receive, send)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    # To tell requests apart, not to keep a secret.
    return given if REQUEST_ID.fullmatch(given) else f"{random.getrandbits(64):016x}"


def bad_input(error: ValidationError, model: type[BaseModel]) -> BadInput:
    """What pydantic found wrong with `model`'s input, in plain words."""
    reports = error.errors()
    # A list whose only entry is wrong is reported as too short as well.
    wrong_inside = {
        report["loc"][:length] for report in reports for length in range(len(report["loc"]))
    }
    told = list(
        dict.fromkeys(
            _describe(report, model)
            for report in reports
            if report["type"] != "too_short" or report["loc"] not in wrong_inside
        )
    )
    more = len(told) - TOLD_AT_ONCE
    text = "; ".join(told[:TOLD_AT_ONCE])
    return BadInput(f"{text}; and {more} more" if more > 0 else text)


def _describe(report: Any, model: type[BaseModel]) -> str:
    path = _path(report["loc"], model)
    text = _text(report, model)
    if report["type"] != "extra_forbidden":
        for ours, theirs in getattr(model, "renamed", {}).items():
            text = text.replace(ours, theirs)
    if not path:
        return text
    if NAMED_FIELD.match(text):
        return f"{path}.{text}"
    return f"{path}: {text}"


def _path(location: tuple[int | str, ...], model: type[BaseModel]) -> str:
    path = ""
    models = [model]
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
            continue
        below = _models_below(models, part)
        if below is None and len(models) > 1:
            continue  # the tag by which one model of several was chosen; no key of the body
        # A key of the caller's own may be as long as a body.
        path += f".{part[:MAX_SHOWN_KEY]}"
        models = below or []
    return path.removeprefix(".")


def _text(report: Any, model: type[BaseModel]) -> str:
    kind, context = report["type"], report.get("ctx", {})
    if kind == "missing":
        return "required"
    if kind == "extra_forbidden":
        allowed = ", ".join(_keys_at(model, report["loc"][:-1]))
        return f"unknown key; allowed are {allowed}" if allowed else "unknown key"
    if kind == "value_error":
        return str(context["error"])
    met = f", not {shown(report['input'])}"
    if kind in ("literal_error", "enum"):
        return f"must be {context['expected']}{met}"
    if kind == "union_tag_invalid":
        return (
            f"{context['discriminator'].strip(chr(39))}: must be one of {context['expected_tags']}"
        )
    if kind == "union_tag_not_found":
        return f"{context['discriminator'].strip(chr(39))}: required"
    if kind in TYPE_WORDS:
        return f"must be {TYPE_WORDS[kind]}{met}"
    if kind in LIMIT_WORDS:
        return LIMIT_WORDS[kind].format(**context) + met
    if kind in LENGTH_WORDS:
        return LENGTH_WORDS[kind].format(**context)
    return f"{report['msg'][0].lower()}{report['msg'][1:]}{met}"


TYPE_WORDS = {
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dict_type": "an object",
    "list_type": "an array",
    "tuple_type": "an array",
    "string_type": "a string",
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
}
LIMIT_WORDS = {
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
}
LENGTH_WORDS = {
    "too_short": "must hold at least {min_length}, not {actual_length}",
    "too_long": "must hold at most {max_length}, not {actual_length}",
}


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that the object at `location` of `model` may have."""
    models = [model]
    for part in location:
        # An index or a union's tag leaves the models as they are.
        models = _models_below(models, part) or models
    return sorted(
        {
            field.alias or key
            for m in models
            for key, field in m.model_fields.items()
            if key != "object"
        }
    )


def _models_below(models: list[type[BaseModel]], key: int | str) -> list[type[BaseModel]] | None:
    """What `key` of one of `models` can hold; `None` when none of them has such a key."""
    fields = [m.model_fields[key] for m in models if key in m.model_fields]
    if not fields:
        return None
    return [found for field in fields for found in _models_in(field.annotation)]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)

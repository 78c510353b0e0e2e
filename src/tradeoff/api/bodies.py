"""Reading a request's body: bounded in size and time, and parsed by one strict reader.

Python's own reader takes NaN, keeps the last of two equal keys, and hands on text that Postgres
cannot store. Here all of that is a 400 that says what is wrong.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from typing import Any

import anyio.to_thread
from fastapi import Request

from tradeoff.errors import BadInput, TooLarge, TradeoffError

MAX_BYTES = 1024 * 1024
MAX_MEMBERS = 50_000
MAX_DEPTH = 20
#: Integers of more digits than this are no number that anybody measured.
MAX_DIGITS = 400
#: By then the whole body must have come.
RECEIVE_SECONDS = 30.0
#: Any text of a JSON document, also one that never ends. Every quote begins a match and nothing
#: is tried twice (possessive), so no body makes the search slower than its length.
TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
#: A body over this size is parsed in a thread, so that nobody else waits for it.
QUICK_BYTES = 64 * 1024
#: What curl sends unless told otherwise counts as JSON too, and so does nothing at all.
JSON_TYPES = ("", "application/json", "application/x-www-form-urlencoded")


class TooSlow(TradeoffError):
    """The request body did not arrive in time."""

    status = 408


async def read(request: Request, limit_bytes: int) -> bytes:
    """The body as it came.

    Raises:
        TooLarge: as soon as it is over the limit, without reading the rest.
        TooSlow: when it does not arrive in time.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced[:12]) > limit_bytes:
        raise _too_large(limit_bytes)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(RECEIVE_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit_bytes:
                    raise _too_large(limit_bytes)
                chunks.append(chunk)
    except TimeoutError as error:
        raise TooSlow from error
    return b"".join(chunks)


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"The request body must have at most {limit_bytes} bytes here.")


async def parse_aside(body: bytes, *, max_members: int) -> dict[str, Any]:
    """As `parse`, and a large body does not hold up other requests meanwhile.

    Raises:
        BadInput: as `parse` does.
    """
    if len(body) <= QUICK_BYTES:
        return parse(body, max_members=max_members)
    return await anyio.to_thread.run_sync(lambda: parse(body, max_members=max_members))


def is_json(content_type: str) -> bool:
    """Whether a body of this content type is parsed; any other is ignored, as SigOpt did."""
    return content_type.partition(";")[0].strip().lower() in JSON_TYPES


def parse(body: bytes, *, max_members: int = MAX_MEMBERS) -> dict[str, Any]:
    """The JSON object in `body`; nothing at all is the empty object.

    Raises:
        BadInput: when it is no JSON object, or one that no two readers understand alike.
    """
    if not body.strip():
        return {}
    if len(body) > max_members and TEXT.sub(b"", body).count(b",") >= max_members:
        # Found before the parser makes an object of each of them.
        raise _too_many(max_members)
    try:
        parsed = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadInput("The request body is not UTF-8 text.") from error
    except RecursionError as error:
        raise _too_deep() from error
    except json.JSONDecodeError as error:
        raise BadInput(
            f"The request body is not valid JSON: {error.msg.lower()} "
            f"at line {error.lineno}, column {error.colno}."
        ) from error
    if not isinstance(parsed, dict):
        raise BadInput("The request body must be a JSON object, in braces.")
    _check_values(parsed, max_members)
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise BadInput(f"The request body has the key {key[:100]!r} twice in one object.")
            seen.add(key)
    return found


def _refuse_constant(word: str) -> None:
    raise BadInput(f"The request body contains {word}, which is not a JSON number.")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise BadInput(f"The request body contains the number {text[:50]}, which is too large.")
    return number


def _reasonable(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise BadInput(f"The request body contains an integer of {len(text)} digits.")
    return int(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_constant=_refuse_constant,
    parse_float=_finite,
    parse_int=_reasonable,
)


def _check_values(parsed: dict[str, Any], max_members: int) -> None:
    """Walk the whole without recursion: count, measure the depth, look at every text."""
    members = 0
    level: list[Any] = [parsed]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        below: list[Any] = []
        for container in level:
            members += len(container)
            if members > max_members:
                raise _too_many(max_members)
            entries = container
            if isinstance(container, dict):
                for key in container:
                    _check_text(key)
                entries = container.values()
            for entry in entries:
                if isinstance(entry, str):
                    _check_text(entry)
                elif isinstance(entry, dict | list):
                    below.append(entry)
        level = below


def _too_many(max_members: int) -> BadInput:
    return BadInput(f"The request body must hold at most {max_members} values.")


def _too_deep() -> BadInput:
    return BadInput(f"The request body must be nested at most {MAX_DEPTH} deep.")


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise BadInput("The request body contains a NUL character in a text.")
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadInput(
            "The request body contains half of a surrogate pair, which is not a character."
        ) from error

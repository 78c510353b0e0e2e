"""HTTP/1.1 over a raw socket: cheap enough that the generator is no part of what is measured.

A request is what `tradeoff.Client` sends, header by header; `tests/benchmarks` compares the two.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
RETRY_AFTER = re.compile(rb"\r\nretry-after: *([\d.]+)", re.IGNORECASE)


class Broken(Exception):
    """The connection ended before the answer had come, or what came is no HTTP that we read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: of HTTP.
        body: as it came.
        retry_after: what the server asks to wait, in seconds; `None` when it says nothing.
    """

    status: int
    body: bytes
    retry_after: float | None = None

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go, and on whose behalf."""

    host: str
    port: int
    token: str

    def headers(self) -> list[tuple[str, str]]:
        """What every request of the client carries before its own, in its order."""
        return [
            ("Host", f"{self.host}:{self.port}"),
            ("Accept", "*/*"),
            ("Accept-Encoding", "gzip, deflate"),
            ("Connection", "keep-alive"),
            ("User-Agent", "tradeoff-python"),
            ("Content-Type", "application/json"),
        ]

    def authorization(self) -> str:
        """The last header of every request."""
        return "Basic " + base64.b64encode(f"{self.token}:".encode()).decode()


class Writer:
    """Makes the bytes of requests; what they have in common is made once."""

    def __init__(self, target: Target) -> None:
        self._head = "".join(f"{name}: {value}\r\n" for name, value in target.headers())
        self._tail = f"Authorization: {target.authorization()}\r\n\r\n"

    def get(self, path: str) -> bytes:
        """A request that reads."""
        return f"GET {path} HTTP/1.1\r\n{self._head}{self._tail}".encode()

    def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        """A request that changes something, under a key of its own: it may be sent again."""
        content = json.dumps(body)
        return (
            f"POST {path} HTTP/1.1\r\n{self._head}Idempotency-Key: {uuid.uuid4().hex}\r\n"
            f"Content-Length: {len(content)}\r\n{self._tail}{content}"
        ).encode()


class Connection(asyncio.Protocol):
    """One connection, kept alive, with one request on its way at a time."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._answer: asyncio.Future[Answer] | None = None
        #: How often it was opened: once, unless the server closes it.
        self.opened = 0

    async def open(self) -> None:
        """Connect, unless it is connected.

        Raises:
            Broken: when nobody listens.
        """
        if self._transport is not None and not self._transport.is_closing():
            return
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self, self._target.host, self._target.port)
        except OSError as error:
            raise Broken(f"cannot connect: {error}") from error
        self.opened += 1

    async def send(self, request: bytes, *, timeout_seconds: float = 60.0) -> Answer:
        """Send a request and wait for its answer.

        Raises:
            Broken: when the connection ends first, or no answer comes in time.
        """
        await self.open()
        assert self._transport is not None
        self._received = b""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._answer
        except TimeoutError:
            # What comes now would be taken for the next request's answer.
            self._transport.abort()
            raise Broken(f"no answer within {timeout_seconds:g} s") from None

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Broken(f"the connection ended: {error or 'closed'}"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._answer is None or self._answer.done():
            return
        try:
            answer = parse(self._received)
        except Broken as error:
            self._answer.set_exception(error)
            return
        if answer is not None:
            self._answer.set_result(answer)


def parse(received: bytes) -> Answer | None:
    """Read an answer; `None` while it is not all there.

    Raises:
        Broken: when it states no length.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = received[: end + 2]
    length = LENGTH.search(head)
    if length is None:
        raise Broken(f"an answer without a length: {head[:200]!r}")
    body = received[end + 4 :]
    if len(body) < int(length[1]):
        return None
    wait = RETRY_AFTER.search(head)
    return Answer(int(head[9:12]), body, float(wait[1]) if wait else None)

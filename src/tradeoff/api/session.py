"""What a request passes on its way to its act: it is read, has its turn, and may wait.

The acts themselves are in `acts`. An act runs in one thread: a request never waits for a second
thread while it holds one of the few connections.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, TypeVar

import anyio
from fastapi import Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from tradeoff.api import acts, auth, bodies, errors
from tradeoff.api.acts import Act, Alone, Call, Reply
from tradeoff.api.guesses import Guesses
from tradeoff.api.lanes import Lanes
from tradeoff.api.rates import Rates
from tradeoff.api.routing import Route
from tradeoff.api.wire.suggestions import check_worker_id
from tradeoff.errors import BadInput, NotAllowed, NotFound, Paused, Unavailable
from tradeoff.store.database import Database
from tradeoff.store.listening import Listener, Watch

Result = TypeVar("Result")

IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
#: So long a request waits for its turn at the database, where nobody seems to get on.
TURN_SECONDS = 10.0
#: Nobody reads the answer to this; nginx's number for it, in our own records only.
CLIENT_GONE = 499


class Door:
    """Runs acts on one database.

    Attributes:
        database: where everything is.
        listener: knows when new suggestions are ready.
        wait_seconds: how long the asking for a suggestion may wait.
        paused_seconds: how long it may wait for an experiment that is paused.
        requests_at_once: how many requests may be here; those that wait hold no thread and no
            connection, only a little memory.
        rates: how often one may ask.
        guesses: how often one may be wrong.
    """

    def __init__(
        self,
        database: Database,
        listener: Listener,
        *,
        wait_seconds: float,
        paused_seconds: float,
        acts_at_once: int,
        requests_at_once: int,
        rates: Rates,
        guesses: Guesses,
    ) -> None:
        self.database = database
        self.listener = listener
        self.wait_seconds = wait_seconds
        self.paused_seconds = paused_seconds
        self.requests_at_once = requests_at_once
        self.rates = rates
        self.guesses = guesses
        self._present = 0
        self._closing = False
        # As many threads as connections: whoever waits does so here, in order, and not on the
        # pool, which would turn them away.
        self._turns = asyncio.Semaphore(acts_at_once)
        self._threads = ThreadPoolExecutor(acts_at_once, thread_name_prefix="act")
        self._lanes = Lanes(self._run_together, wait_seconds=TURN_SECONDS)

    def close(self) -> None:
        """Let nobody wait any more for something better: this process is about to end."""
        self._closing = True
        self.listener.wake_all()

    def shut(self) -> None:
        """Give the threads back, after the last request."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def answer(self, route: Route, request: Request) -> Response:
        """Run a route for a request.

        Raises:
            Unavailable: when too many requests are here already.
            TooManyRequests: when this token, or its client, asks too often, or is wrong too often.
        """
        if self._present >= self.requests_at_once:
            raise Unavailable("Too many requests at this moment; try again shortly.")
        if self.rates.are_set:
            self.rates.admit(auth.find_secret(request.headers))
        self._present += 1
        try:
            return await self._answer(route, request)
        except (NotAllowed, NotFound) as error:
            address = request.client.host if request.client else None
            secret = auth.find_secret(request.headers)
            self.guesses.count(error, address=address, secret=secret)
            raise
        finally:
            self._present -= 1

    async def _answer(self, route: Route, request: Request) -> Response:
        try:
            call = await _read(route, request)
            if route.waits:
                reply = await self._run_patiently(route, call, request)
            else:
                reply = await self._run(Act(route, call))
        except ClientDisconnect:
            return Response(status_code=CLIENT_GONE)
        if reply is None:
            return Response(status_code=CLIENT_GONE)
        headers = {"Idempotency-Replayed": "true"} if reply.replayed else None
        return Response(
            reply.body, status_code=reply.status, headers=headers, media_type=errors.MEDIA_TYPE
        )

    async def _run(self, act: Act) -> Reply | None:
        if act.route.shared and act.call.secret:
            try:
                return await self._lanes.go((act.route, act.call.secret), act)
            except Alone:
                pass
        return await self.run_aside(
            functools.partial(acts.run, self.database, act, rates=self.rates)
        )

    async def _run_together(self, several: Sequence[Act]) -> Sequence[Reply | Exception | None]:
        return await self.run_aside(
            functools.partial(acts.run_together, self.database, several, rates=self.rates)
        )

    async def run_aside(self, act: Callable[[], Result]) -> Result:
        """Run something that uses the database in one of the threads, when it has its turn.

        Raises:
            Unavailable: when the turn does not come.
        """
        try:
            # A deadline has its price, and nearly always it is nobody's turn.
            async with asyncio.timeout(TURN_SECONDS) if self._turns.locked() else nullcontext():
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable("The service is busy; try again shortly.") from None
        try:
            # The thread works for this request: what it logs says so, and its steps are below it.
            work = contextvars.copy_context()
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, work.run, act)
        finally:
            self._turns.release()

    async def _run_patiently(self, route: Route, call: Call, request: Request) -> Reply | None:
        """Try, wait to be woken, try again; `None` when the client went away meanwhile.

        The bell is there before the first look, so that nothing comes unnoticed in between. No
        thread and no connection is held while waiting. For an experiment that is paused the wait is
        longer, and the other one begins when it goes on.

        Raises:
            Paused: when it still is at the end.
        """
        loop = asyncio.get_running_loop()
        paused_until = loop.time() + self.paused_seconds
        deadline = loop.time() + self.wait_seconds
        with self.listener.watch(call.experiment_id or 0) as watch:
            while True:
                left = deadline - loop.time()
                is_last = left <= 0 or self._closing
                try:
                    reply = await self._run(Act(route, call, accept_stale=is_last))
                    is_paused = False
                except Paused:
                    left = paused_until - loop.time()
                    # Whoever waits for hours leaves half of the room to others.
                    crowded = 2 * self._present > self.requests_at_once
                    if left <= 0 or crowded or self._closing:
                        raise
                    reply, is_paused = None, True
                if reply is not None or (is_last and not is_paused):
                    return reply
                if not await _stays(request, watch, left):
                    return None
                if is_paused:
                    deadline = loop.time() + self.wait_seconds
                    call = replace(call, since=time.monotonic())


async def _stays(request: Request, watch: Watch, seconds: float) -> bool:
    """Wait for the bell or the end of the time; whether the client is still there then."""
    gone = False
    async with anyio.create_task_group() as tasks:

        async def notice_leaving() -> None:
            nonlocal gone
            while (await request.receive())["type"] != "http.disconnect":
                pass
            gone = True
            tasks.cancel_scope.cancel()

        tasks.start_soon(notice_leaving)
        await watch.wait(seconds)
        tasks.cancel_scope.cancel()
    return not gone


async def _read(route: Route, request: Request) -> Call:
    """Everything that can be known about a request without the database.

    Raises:
        BadInput: when the body, the key or the Authorization header is malformed.
    """
    takes_body = request.method in ("POST", "PUT", "PATCH", "MERGE")
    raw = await bodies.read(request, route.max_bytes) if takes_body else b""
    body: dict[str, Any] = {}
    headers = _first_of_each(request.scope["headers"])
    if takes_body and bodies.is_json(headers.get("content-type", "")):
        body = await bodies.parse_aside(raw, max_members=route.max_members)
    query: bytes = request.scope["query_string"]
    target = f"{request.method} {request.scope['path']}?".encode() + query + b"\n"
    return Call(
        secret=auth.read_secret(headers),
        names=request.path_params,
        query=request.query_params.multi_items() if query else (),
        body=body,
        origin=_origin(request) if "origin" in route.arguments else "",
        key=_idempotency_key(headers) if route.writes else None,
        worker_id=_worker_id(headers),
        skips=route.writes and headers.get("x-response-content", "").lower() == "skip",
        digest=hashlib.sha256(target + raw).digest(),
        address=request.client.host if request.client else None,
    )


def _first_of_each(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """What each header says first, by its name: all are asked for one by one."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(headers)}


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def _idempotency_key(headers: Mapping[str, str]) -> str | None:
    key = headers.get("idempotency-key")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        raise BadInput("Idempotency-Key: must have 1 to 255 printable ASCII characters")
    return key


def _worker_id(headers: Mapping[str, str]) -> str | None:
    name = headers.get("worker-id")
    if name is None:
        return None
    try:
        return check_worker_id(name)
    except ValueError as error:
        raise BadInput(f"Worker-Id: {error}") from error

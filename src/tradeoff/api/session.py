"""One way to run an act, from the request to the committed answer.

The order is the promise. Malformed JSON is refused before anything is asked of the database.
Then, in one transaction: the token, and what the `Idempotency-Key` was answered before; the rows
that the path names, and whether they may be touched; the fields of the body; the act itself; the
answer, serialized, and kept under the key; and only then the commit and the reply. An answer that
cannot be serialized therefore stores nothing, and a key, its effect and its answer are there
together or not at all.

All of it runs in one thread: a request never waits for a second thread while it holds one of the
few connections.
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
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import anyio
from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from tradeoff.api import auth, bodies, errors, rows
from tradeoff.api.guesses import Guesses
from tradeoff.api.rates import Rates
from tradeoff.api.routing import Route
from tradeoff.api.wire.base import Answer
from tradeoff.api.wire.pagination import Pagination
from tradeoff.api.wire.suggestions import check_worker_id
from tradeoff.errors import (
    BadInput,
    Conflict,
    NotAllowed,
    NotFound,
    Paused,
    TradeoffError,
    Unavailable,
)
from tradeoff.service import access, administration, audit, leases, quotas
from tradeoff.store import idempotency
from tradeoff.store.database import Database, Session, Twin
from tradeoff.store.listening import Listener, Watch

Result = TypeVar("Result")

IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
#: So long a request waits for its turn at the database, where nobody seems to get on.
TURN_SECONDS = 10.0
#: Nobody reads the answer to this; nginx's number for it, in our own records only.
CLIENT_GONE = 499


@dataclass(frozen=True, slots=True)
class Call:
    """A request, read and well-formed, and nothing more known about it.

    Attributes:
        secret: the API token, if there was one.
        names: what stood in the path's placeholders.
        query: key and value of each part of the query string.
        body: the parsed body.
        origin: scheme and host, as the caller knows us; of routes that need it.
        key: the `Idempotency-Key`, of requests that change something.
        worker_id: the `Worker-Id`: whose leases begin anew.
        skips: nothing is to be answered but that it is done.
        digest: SHA-256 of method, address and body.
        address: from where it came; `None` when that is not known.
        since: when it came, or what it asks of was resumed; of the monotonic clock.
    """

    secret: str | None
    names: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    body: dict[str, Any]
    origin: str
    key: str | None
    worker_id: str | None
    skips: bool
    digest: bytes
    address: str | None = None
    since: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer."""

    body: bytes
    status: int = 200
    replayed: bool = False


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
                reply = await self._run(route, call)
        except ClientDisconnect:
            return Response(status_code=CLIENT_GONE)
        if reply is None:
            return Response(status_code=CLIENT_GONE)
        headers = {"Idempotency-Replayed": "true"} if reply.replayed else None
        return Response(
            reply.body, status_code=reply.status, headers=headers, media_type=errors.MEDIA_TYPE
        )

    async def _run(self, route: Route, call: Call, *, accept_stale: bool = True) -> Reply | None:
        return await self.run_aside(
            functools.partial(
                run, self.database, route, call, accept_stale=accept_stale, rates=self.rates
            )
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
        with self.listener.watch(_experiment_id(call) or 0) as watch:
            while True:
                left = deadline - loop.time()
                is_last = left <= 0 or self._closing
                try:
                    reply = await self._run(route, call, accept_stale=is_last)
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


def run(
    database: Database, route: Route, call: Call, *, accept_stale: bool, rates: Rates
) -> Reply | None:
    """One act in one transaction.

    Args:
        database: to work on.
        route: what is asked for.
        call: the request.
        accept_stale: for a route that waits: it must answer now.
        rates: are told whose the token is.

    Returns:
        The answer, committed; `None` when a route that waits has nothing to give yet.
    """
    try:
        return _act(database, route, call, accept_stale=accept_stale, rates=rates)
    except (Twin, TradeoffError) as error:
        # What a twin has done may be the very reason why this one cannot do it again.
        if call.key is None or (isinstance(error, TradeoffError) and error.status >= 500):
            raise
        reply = _recall(database, call)
        if reply is None and isinstance(error, Twin):
            raise Conflict("Another request with this Idempotency-Key is at work.") from None
        if reply is None:
            raise
        return reply


def _act(
    database: Database, route: Route, call: Call, *, accept_stale: bool, rates: Rates
) -> Reply | None:
    with database.transaction() as session:
        caller = access.recognise(
            session, call.secret, key=call.key, experiment_id=_experiment_id(call)
        )
        principal = caller.principal
        audit.act_as(session, audit.Actor("api", principal.token_id, call.address))
        quotas.remember(session, principal)
        if call.secret is not None:
            rates.learn(call.secret, principal)
        if caller.kept is not None:
            return _replay(caller.kept, call)
        arguments = _arguments(session, principal, route, call)
        arguments["keyless"] = call.key is None
        arguments["waited_seconds"] = time.monotonic() - call.since
        if route.waits:
            arguments["accept_stale"] = accept_stale
        wanted = {name: arguments[name] for name in route.arguments}
        answer = route.handler(**wanted)
        if call.worker_id is not None and "experiment" in arguments and principal.role != "read":
            leases.renew_all(session, arguments["experiment"], call.worker_id)
        if answer is None:
            return None
        reply = Reply(_serialize(answer, route, _fields(arguments)))
        if call.skips:
            reply = Reply(b"", status=204)
        if call.key is not None:
            kept_body = reply.body
            if (public := answer.without_secrets()) is not answer and not call.skips:
                kept_body = _serialize(public, route, _fields(arguments))
            idempotency.keep(
                session, principal.token_id, call.key, call.digest, reply.status, kept_body
            )
    return reply


def _experiment_id(call: Call) -> int | None:
    """The experiment that the path names."""
    name = call.names.get("experiment") or call.names.get("aiexperiment", "")
    return int(name) if rows.is_id(name) else None


def _recall(database: Database, call: Call) -> Reply | None:
    """What a twin of this request was answered, if it is there by now."""
    with database.transaction() as session:
        kept = access.recognise(session, call.secret, key=call.key).kept
    return None if kept is None else _replay(kept, call)


def _replay(kept: idempotency.Kept, call: Call) -> Reply:
    kept.check(call.digest)
    return Reply(kept.body, kept.status, replayed=True)


def _arguments(
    session: Session, principal: access.Principal, route: Route, call: Call
) -> dict[str, Any]:
    """What the handler may ask for, in the order in which it is checked."""
    arguments: dict[str, Any] = {
        "session": session,
        "principal": principal,
        "secret": call.secret,
        "origin": call.origin,
        **_find_rows(session, principal, route, call),
    }
    arguments["query"] = _validate(route.query_model, _by_key(call.query))
    if route.body_model is not None:
        arguments["body"] = _validate(route.body_model, call.body)
    return arguments


def _find_rows(
    session: Session, principal: access.Principal, route: Route, call: Call
) -> dict[str, Any]:
    """The rows that the path names, all of them permitted."""
    if route.administers and not route.placeholders:
        administration.require_admin(principal)
    elif route.writes and not route.placeholders:
        access.require_whole_client(principal)
        access.require_write(principal)
    found = rows.find(
        session,
        principal,
        route.placeholders,
        call.names,
        write=route.writes,
        finders=rows.ADMINISTERED if route.administers else rows.FINDERS,
    )
    if route.production_only:
        access.require_production(principal)
    if route.classical_only:
        access.require_classical(found["experiment"])
    return found


def _by_key(query: Sequence[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in query:
        if key in found:
            raise BadInput(f"{key[:100]}: is given twice in the address")
        if "\x00" in key or "\x00" in value:
            raise BadInput("The address contains a NUL character.")
        found[key] = value
    return found


def _validate(model: type[BaseModel], data: dict[str, Any]) -> BaseModel:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise errors.bad_input(error, model) from None


def _fields(arguments: Mapping[str, Any]) -> str | None:
    """Which fields of the answer are wanted, as the query says or the body."""
    for part in ("query", "body"):
        fields: str | None = getattr(arguments.get(part), "fields", None)
        if fields:
            return fields
    return None


def _serialize(answer: Answer, route: Route, fields: str | None) -> bytes:
    chosen = {name.strip() for name in (fields or "").split(",") if name.strip()}
    if not chosen:
        return answer.model_dump_json().encode()
    for name in sorted(chosen):
        if name not in route.element_model.model_fields:
            known = ", ".join(route.element_model.model_fields)
            raise BadInput(f"fields: there is no field {name[:100]!r}; there are {known}")
    include: Any = {"data": {"__all__": chosen}} if isinstance(answer, Pagination) else chosen
    if isinstance(answer, Pagination):
        include = {**dict.fromkeys(type(answer).model_fields, True), **include}
    return answer.model_dump_json(include=include).encode()

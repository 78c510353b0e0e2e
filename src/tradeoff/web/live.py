"""Telling pages that there is something new: server-sent events of a few bytes each.

A page that looks at an experiment keeps one connection open. Meanwhile it holds no thread and no
connection of the database: Postgres' notification of a refresh wakes it, and every two seconds it
looks anyway, since not everything is notified of. All pages of a process look with one query. What
is sent only says that something changed; the page asks for it with its own session.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from fastapi import Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from tradeoff.errors import TradeoffError
from tradeoff.store import activity
from tradeoff.store.database import Database
from tradeoff.store.listening import Listener
from tradeoff.web.headers import HEADERS
from tradeoff.web.serving import Endpoint, RunAside

logger = logging.getLogger(__name__)

#: After this a page must come again, and show that its session still works.
STREAM_SECONDS = 600.0
LOOK_SECONDS = 2.0
#: What was read so recently is new enough; a herd of reports is one piece of news.
FRESH_SECONDS = 0.5
#: A sign of life, so that proxies keep the connection.
BEAT_SECONDS = 15.0
MAX_STREAMS = 500


class Stamps:
    """What was last seen of each experiment that somebody looks at."""

    def __init__(self, database: Database, run_aside: RunAside) -> None:
        self._database = database
        self._run_aside = run_aside
        self._watched: Counter[int] = Counter()
        self._stamps: dict[int, str] = {}
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    @contextmanager
    def watching(self, experiment_id: int) -> Iterator[None]:
        """Read this experiment along with the others."""
        self._watched[experiment_id] += 1
        try:
            yield
        finally:
            self._watched[experiment_id] -= 1
            if not self._watched[experiment_id]:
                del self._watched[experiment_id]

    async def read(self, experiment_id: int) -> str:
        """A text that changes when the experiment does; the last known one if need be."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if now - self._read_at >= FRESH_SECONDS or experiment_id not in self._stamps:
                try:
                    self._stamps = await self._run_aside(
                        functools.partial(_read, self._database, tuple(self._watched))
                    )
                    self._read_at = asyncio.get_running_loop().time()
                except TradeoffError as error:
                    logger.warning("pages are not told of news", extra={"reason": error.message})
            return self._stamps.get(experiment_id, "")


def _read(database: Database, experiment_ids: tuple[int, ...]) -> dict[int, str]:
    with database.transaction() as session:
        return activity.list_stamps(session, experiment_ids)


class Live:
    """The streams of one process, as an ASGI app.

    Args:
        admission: answers with success for whoever may see the experiment.
        stamps: of the experiments.
        listener: rings when an experiment has news.
    """

    def __init__(self, admission: Endpoint, stamps: Stamps, listener: Listener) -> None:
        self._admission = admission
        self._stamps = stamps
        self._listener = listener
        self._streams = 0
        self._closing = False

    def close(self) -> None:
        """End every stream: this process is about to end. Whoever waits must be woken."""
        self._closing = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, as ASGI has it."""
        request = Request(scope, receive, send)
        answer = await self._admission.answer(request)
        if answer.status_code != 204:
            await answer(scope, receive, send)
        elif self._streams >= MAX_STREAMS or self._closing:
            await Response(status_code=503, headers=HEADERS)(scope, receive, send)
        else:
            self._streams += 1
            try:
                await self._stream(int(request.path_params["experiment"]), receive, send)
            finally:
                self._streams -= 1

    async def _stream(self, experiment_id: int, receive: Receive, send: Send) -> None:
        headers = {**HEADERS, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": pairs})
        async with anyio.create_task_group() as tasks:

            async def notice_leaving() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                tasks.cancel_scope.cancel()

            tasks.start_soon(notice_leaving)
            await self._tell(experiment_id, send)
            tasks.cancel_scope.cancel()

    async def _tell(self, experiment_id: int, send: Send) -> None:
        loop = asyncio.get_running_loop()
        deadline, told_at, known = loop.time() + STREAM_SECONDS, loop.time(), None
        with self._listener.watch(experiment_id) as watch, self._stamps.watching(experiment_id):
            while loop.time() < deadline and not self._closing:
                stamp = await self._stamps.read(experiment_id)
                if stamp != known or loop.time() - told_at >= BEAT_SECONDS:
                    text = f"data: {stamp}\n\n" if stamp != known else ":\n\n"
                    await send(
                        {"type": "http.response.body", "body": text.encode(), "more_body": True}
                    )
                    known, told_at = stamp, loop.time()
                if await watch.wait(LOOK_SECONDS) and not self._closing:
                    await asyncio.sleep(FRESH_SECONDS)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

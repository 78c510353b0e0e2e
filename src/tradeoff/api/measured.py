"""Counts and times every request, by the route's path and never by the address."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tradeoff import measures

#: Anything can be sent as an address, or as a method; each label value is kept for ever.
OTHER = "other"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "MERGE"})


class Noticed:
    """Sends an answer on and notices its status: 500 until there is one."""

    def __init__(self, send: Send) -> None:
        self.status = 500
        self._send = send

    async def __call__(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


class Measured:
    """What every request passes on its way in."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, as ASGI has it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        noticed = Noticed(send)
        with measures.ACTIVE.track_inprogress():
            try:
                await self.app(scope, receive, noticed)
            finally:
                seconds = time.perf_counter() - begun
                measures.note_request(method_of(scope), path_of(scope), noticed.status, seconds)


def method_of(scope: Scope) -> str:
    """The method, if it is one of those that anybody needs."""
    method = str(scope["method"])
    return method if method in METHODS else OTHER


def path_of(scope: Scope) -> str:
    """The route's path, placeholders and all, once a route has taken the request."""
    return str(getattr(scope.get("route"), "path", OTHER))

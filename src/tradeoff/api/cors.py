"""Methods that no route has: `OPTIONS`, with which browsers ask before they send, and the rest.

Pages of any origin may call the API. That gives nothing away: nothing but the `Authorization`
header opens it, and no browser sends that by itself, as it does a cookie.
"""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tradeoff.api import errors

PREFIX = "/v1/"
METHODS = "GET, POST, PUT, MERGE, DELETE, OPTIONS"
REQUEST_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, Worker-Id, X-Request-Id, X-Response-Content"
)
ANSWER_HEADERS = "Idempotency-Replayed, Location, Retry-After, X-Request-Id"
SHARED = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", ANSWER_HEADERS.encode()),
)
#: So long a browser need not ask again; none remembers it for longer than two hours.
REMEMBERED_SECONDS = 7_200


class OtherMethods:
    """What is at a path for all methods but its own, as an ASGI app.

    Args:
        methods: the path's own.
    """

    def __init__(self, methods: list[str]) -> None:
        self._allow = ", ".join([*methods, "OPTIONS"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, as ASGI has it."""
        if scope["method"] == "OPTIONS":
            response = Response("{}", media_type=errors.MEDIA_TYPE)
            response.headers["Access-Control-Allow-Methods"] = METHODS
            response.headers["Access-Control-Allow-Headers"] = REQUEST_HEADERS
            response.headers["Access-Control-Max-Age"] = str(REMEMBERED_SECONDS)
        else:
            response = errors.respond(405, f"{scope['method']} is not possible here.")
        response.headers["Allow"] = self._allow
        await response(scope, receive, send)


class Shared:
    """Lets pages of any origin read the answers of the API."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, as ASGI has it."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self.app(scope, receive, send)
            return

        async def send_shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *SHARED]
            await send(message)

        await self.app(scope, receive, send_shared)

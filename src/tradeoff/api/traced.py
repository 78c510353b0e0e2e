"""A span for every request, where traces are recorded."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tradeoff import logs, traces
from tradeoff.api import measured


class Traced:
    """What every request passes on its way in, unless traces are off."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, as ASGI has it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        noticed = measured.Noticed(send)
        method = measured.method_of(scope)
        headers = {"traceparent": Headers(scope=scope).get("traceparent", "")}
        opened = traces.request(headers, **{"http.request.method": method})
        with opened as span, logs.about(trace_id=traces.current_id() or ""):
            try:
                await self.app(scope, receive, noticed)
            finally:
                path = measured.path_of(scope)
                span.update_name(f"{method} {path}")
                span.set_attribute("http.route", path)
                span.set_attribute("http.response.status_code", noticed.status)

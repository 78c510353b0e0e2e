"""What Prometheus is told: how many requests, how fast, how they ended."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: From a served suggestion to the longest wait for one.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Measures:
    """Counters of one app; two apps in one process do not share them."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "path")
        self.requests = Counter(
            "tradeoff_requests", "Requests answered", (*labels, "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "tradeoff_request_seconds",
            "Time to answer",
            labels,
            buckets=BUCKETS,
            registry=self._registry,
        )
        self.active = Gauge("tradeoff_requests_active", "Being answered", registry=self._registry)

    def expose(self) -> bytes:
        """All of it in Prometheus' format."""
        return generate_latest(self._registry)


class Measured:
    """Counts and times every request, by the route's path and never by the address."""

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self.app = app
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, as ASGI has it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 500

        async def noticed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._measures.active.track_inprogress():
            try:
                await self.app(scope, receive, noticed)
            finally:
                path = getattr(scope.get("route"), "path", "other")
                # Anything can be sent as a method; each label value is kept for ever.
                method = scope["method"] if path != "other" else "other"
                self._measures.requests.labels(method, path, status).inc()
                self._measures.seconds.labels(method, path).observe(time.perf_counter() - begun)

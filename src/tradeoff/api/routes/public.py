"""What needs no token: health, measurements, the reference, and a welcome."""

from __future__ import annotations

import asyncio
import json

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from tradeoff import measures
from tradeoff.api import errors, openapi, reference
from tradeoff.errors import TradeoffError, Unavailable
from tradeoff.store import migrations, queue
from tradeoff.store.database import Database

#: A health check that waits longer than its asker says nothing.
READY_SECONDS = 5.0


def build_router(database: Database, document: openapi.Document, home: str) -> APIRouter:
    """The public routes; `home` is where a browser is sent that names no page."""
    router = APIRouter(include_in_schema=False)
    head = migrations.head()

    @router.api_route("/health", methods=["GET", "HEAD"])
    @router.api_route("/health/live", methods=["GET", "HEAD"])
    async def live() -> Response:
        """This process answers; nothing else is asked, so nothing else can make it fail."""
        return _json({})

    @router.api_route("/health/ready", methods=["GET", "HEAD"])
    async def ready() -> Response:
        """The database answers and has the tables that this program needs."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                found = await anyio.to_thread.run_sync(
                    _look, database, head, abandon_on_cancel=True
                )
        except TimeoutError:
            return errors.respond(503, "The database does not answer in time.")
        except TradeoffError as error:
            return errors.respond(503, error.message)
        return _json(found)

    @router.get("/metrics")
    def metrics() -> Response:
        """Measurements for Prometheus."""
        return Response(measures.expose(), media_type=measures.MEDIA_TYPE)

    @router.get("/openapi.json")
    def description() -> Response:
        """The API, described for machines."""
        return _json(document)

    @router.get("/docs")
    def docs() -> HTMLResponse:
        """The API, described for people."""
        return HTMLResponse(reference.page(document), headers=reference.HEADERS)

    @router.get("/")
    def welcome(request: Request) -> Response:
        """Where to go."""
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(home)
        return _json(
            {
                "message": "This is Tradeoff. The API is below /v1.",
                "documentation": "/docs",
                "openapi": "/openapi.json",
                "health": "/health/ready",
            }
        )

    return router


def _look(database: Database, head: str) -> dict[str, object]:
    with database.transaction() as session:
        if migrations.read_revision(session) != head:
            raise Unavailable("The database is at another version; run `tradeoff migrate`.")
        state = queue.read_state(session)
    return {
        "database": "ok",
        "workers": state.workers,
        "queue": {
            "waiting": state.waiting,
            "running": state.running,
            "oldest_seconds": state.oldest_seconds,
        },
    }


def _json(content: object) -> Response:
    return Response(json.dumps(content), media_type=errors.MEDIA_TYPE)

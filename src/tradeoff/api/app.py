"""Putting the API together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import Response

import tradeoff
from tradeoff.api import errors, measures, openapi
from tradeoff.api.routes import ROUTES, public
from tradeoff.api.routing import Route
from tradeoff.api.session import Door
from tradeoff.config import Settings
from tradeoff.service.upkeep import Upkeep
from tradeoff.store.database import Database
from tradeoff.store.listening import Listener

#: Connections of the pool that health checks and upkeep find free at any time.
SPARE_CONNECTIONS = 2


def build_api(
    database: Database, settings: Settings, *, routes: Sequence[Route] = ROUTES
) -> FastAPI:
    """The API as an app of its own.

    While it runs, a thread listens for ready suggestions and another does the upkeep; at the end
    the database's connections are closed.

    Args:
        database: with every migration applied.
        settings: how long to wait for suggestions, and how many connections there are.
        routes: what is served below `/v1`.
    """
    listener = Listener(database.url)
    upkeep = Upkeep(database)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        listener.start()
        upkeep.start()
        try:
            yield
        finally:
            upkeep.stop()
            listener.stop()
            database.dispose()

    app = FastAPI(
        title="Tradeoff",
        version=tradeoff.__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        # The framework's document knows nothing of bodies that are read by us; its page needs
        # the internet.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    door = Door(
        database,
        listener,
        wait_seconds=settings.suggestion_wait_seconds,
        acts_at_once=max(1, settings.database_pool_size - SPARE_CONNECTIONS),
    )
    for route in routes:
        app.add_api_route(
            route.path, _endpoint(door, route), methods=[route.method], name=route.name
        )
    document = openapi.describe(routes, version=tradeoff.__version__)
    gauges = measures.Measures()
    app.include_router(public.build_router(database, gauges, document))
    app.openapi = lambda: document  # type: ignore[method-assign]  # the documented way
    app.add_middleware(measures.Measured, measures=gauges)
    errors.install(app)
    return app


def _endpoint(door: Door, route: Route) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await door.answer(route, request)

    return endpoint

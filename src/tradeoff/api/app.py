"""Putting the API together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Receive, Scope, Send

import tradeoff
from tradeoff import traces
from tradeoff.api import contents, cors, errors, measured, openapi, traced
from tradeoff.api.dispatch import Dispatch
from tradeoff.api.guesses import Guesses
from tradeoff.api.rates import Rates
from tradeoff.api.routes import ROUTES, public
from tradeoff.api.routing import Route
from tradeoff.api.session import Door
from tradeoff.config import Settings
from tradeoff.errors import TradeoffError
from tradeoff.service import quotas, retention
from tradeoff.service.upkeep import Upkeep
from tradeoff.store.database import Database
from tradeoff.store.listening import Listener

#: Connections of the pool that health checks and upkeep find free at any time.
SPARE_CONNECTIONS = 2


def build_api(
    database: Database,
    settings: Settings,
    *,
    routes: Sequence[Route] = ROUTES,
    home: str = "/docs",
) -> FastAPI:
    """The API as an app of its own.

    While it runs, a thread listens for ready suggestions and another does the upkeep; at the end
    the database's connections are closed.

    Args:
        database: with every migration applied.
        settings: how long to wait for suggestions, and how many connections there are.
        routes: what is served below `/v1`.
        home: where a browser is sent that names no page.
    """
    listener = Listener(database.url)
    quotas.set_defaults(database, quotas.granted(settings))
    upkeep = Upkeep(database, retention.chosen(settings))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        listener.start()
        upkeep.start()
        try:
            yield
        finally:
            upkeep.stop()
            listener.stop()
            door.shut()
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
        # Its own spans would hold addresses as they were sent; see `traced`.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    door = Door(
        database,
        listener,
        wait_seconds=settings.suggestion_wait_seconds,
        paused_seconds=settings.paused_wait_seconds,
        acts_at_once=max(1, settings.database_pool_size - SPARE_CONNECTIONS),
        requests_at_once=settings.requests_at_once,
        rates=Rates(settings.token_requests_per_second, settings.client_requests_per_second),
        guesses=Guesses(settings.wrong_tokens_per_minute, settings.unknown_ids_per_ten_minutes),
    )
    app.state.close = door.close
    app.state.door = door
    document = openapi.describe(routes, version=tradeoff.__version__)
    app.include_router(public.build_router(database, document, home))
    app.include_router(contents.build_router(door))
    app.openapi = lambda: document  # type: ignore[method-assign]  # the documented way
    app.add_middleware(Dispatch, served=_serve(door, routes))
    app.add_middleware(measured.Measured)
    if traces.are_on():
        app.add_middleware(traced.Traced)
    errors.install(app)
    app.add_middleware(cors.Shared)
    return app


class _Endpoint:
    """A route as an ASGI app: FastAPI's own way would look for dependencies in each request."""

    def __init__(self, door: Door, route: Route) -> None:
        self._door = door
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, as ASGI has it."""
        # By this path the request is measured.
        scope["route"] = self._route
        try:
            response = await self._door.answer(self._route, Request(scope, receive, send))
        except TradeoffError as error:
            response = errors.answer(error)
        await response(scope, receive, send)


def _serve(door: Door, routes: Sequence[Route]) -> dict[str, dict[str, ASGIApp]]:
    """What answers, by path and method; see `Dispatch`."""
    served: dict[str, dict[str, ASGIApp]] = {}
    for route in routes:
        served.setdefault(route.path, {})[route.method] = _Endpoint(door, route)
    return {path: {**own, "": cors.OtherMethods(list(own))} for path, own in served.items()}

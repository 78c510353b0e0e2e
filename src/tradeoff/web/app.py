"""Putting the dashboard into the web process."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette import routing

from tradeoff.store.database import Database
from tradeoff.store.listening import Listener
from tradeoff.web.assets import Assets
from tradeoff.web.live import Live, Stamps
from tradeoff.web.routes import EVENTS, PAGES
from tradeoff.web.serving import Endpoint, RunAside
from tradeoff.web.templating import Templates

#: Where a browser begins.
HOME = "/experiments"


def install(app: FastAPI, database: Database, listener: Listener, run_aside: RunAside) -> Live:
    """Let `app` show the dashboard.

    Args:
        app: the web process, with the API in it.
        database: where everything is.
        listener: knows when experiments change.
        run_aside: runs something that uses the database in a thread, when it has its turn.

    Returns:
        The streams, which must be closed before the process ends.
    """
    assets = Assets()
    templates = Templates(assets)
    app.router.routes.extend(
        routing.Route(
            page.path,
            Endpoint(page, database, templates, run_aside),
            methods=[page.method],
            name=f"web.{page.handler.__name__}",
        )
        for page in PAGES
    )

    live = Live(
        Endpoint(EVENTS, database, templates, run_aside), Stamps(database, run_aside), listener
    )
    app.router.routes.append(routing.Route(EVENTS.path, live, methods=["GET"], name="web.events"))

    @app.get("/static/{version}/{name}", include_in_schema=False)
    def static(request: Request, version: str, name: str) -> Response:
        """A file of the dashboard."""
        return assets.answer(request, name)

    @app.get("/favicon.ico", include_in_schema=False)
    def favicon(request: Request) -> Response:
        """The icon, which browsers ask for here whatever the page says."""
        return assets.answer(request, "favicon.svg")

    return live

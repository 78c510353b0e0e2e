"""Putting the rooms together in the web process: connection, API, dashboard."""

from __future__ import annotations

import contextlib
import gc
import signal
import socket
import sys

import uvicorn
from fastapi import FastAPI

from tradeoff import config, ending, errors, installation, measures, stack, traces
from tradeoff.api import app as api
from tradeoff.store import database
from tradeoff.web import app as web

#: Longer than any idle pause of a client's connection (`reliability.md`, section 2).
KEEP_ALIVE_SECONDS = 75
#: Requests at work when the process is asked to end may take this long.
DRAIN_SECONDS = 20
#: How long a thread may compute before another one gets its turn. An act asks the database several
#: times, and at Python's 5 ms waits so long after each answer while other acts compute, holding its
#: experiment's row: 22 requests a second on one experiment, and 138 so (on a busy machine).
SWITCH_SECONDS = 0.0002


def create_app(settings: config.Settings) -> FastAPI:
    """Compose the web process: connection, API, dashboard.

    Args:
        settings: with `database_url` set; the connection is made at the first request.

    Raises:
        StartError: without a database's address.
    """
    if settings.database_url is None:
        raise errors.StartError("Set TRADEOFF_DATABASE_URL, or start everything: `tradeoff up`.")
    opened = database.connect(settings.database_url, pool_size=settings.database_pool_size)
    app = api.build_api(opened, settings, home=web.HOME)
    door = app.state.door
    live = web.install(app, opened, door.listener, door.run_aside)

    def close() -> None:
        live.close()
        door.close()

    app.state.close = close
    return app


def serve(settings: config.Settings, *, host: str, port: int, share_port: bool = False) -> None:
    """Run the web process until it is told to end (SIGINT, SIGTERM).

    Args:
        settings: what the operator set.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        share_port: others may listen there too; the system deals new connections out.

    Raises:
        StartError: if the port is taken, or the database is not usable.
    """
    listening = None if not share_port else [stack.listen_together(host, port)]
    if listening is None:
        port = stack.check_port(host, port)
    ending.check()
    # uvicorn repeats the signal that ended it; the default would skip what follows the server.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    traces.configure("tradeoff-api", otlp=settings.sends_traces, file=settings.traces)
    if settings.metrics_port is not None:
        measures.serve(settings.metrics_host, settings.metrics_port)
    with installation.open_database(settings) as opened:
        opened.check_durability()
        app = create_app(settings.model_copy(update={"database_url": opened.url}))
        served = uvicorn.Config(
            app,
            host=host,
            port=port,
            # Our own set-up is in place, and takes tokens out.
            log_config=None,
            access_log=settings.access_log,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            server_header=False,
        )
        # What is there by now stays: the collector need not look through it again and again.
        gc.collect()
        gc.freeze()
        sys.setswitchinterval(SWITCH_SECONDS)
        server = _Server(served, app)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=listening)
    if not server.started:
        raise errors.StartError(f"Cannot serve on {host} port {port}; the log says why.")


class _Server(uvicorn.Server):
    """uvicorn, of which no request waits for something better once it was told to end."""

    def __init__(self, served: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(served)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the requests at work, and take no more."""
        self._app.state.close()
        await super().shutdown(sockets)

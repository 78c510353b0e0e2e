"""An app behind a real socket."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn

if TYPE_CHECKING:
    from fastapi import FastAPI


@contextmanager
def serve(app: FastAPI) -> Iterator[str]:
    """The address of `app` on a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 120
    while not server.started:
        assert thread.is_alive(), "the server ended before it answered"
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=20)


@contextmanager
def serve_beside(database_url: str, data_dir: Path, **settings: Any) -> Iterator[httpx.Client]:
    """A client of one more API process on a database, with settings of its own."""
    from tradeoff.api.app import build_api
    from tradeoff.config import Settings
    from tradeoff.store.database import connect

    chosen = Settings(database_url=database_url, data_dir=data_dir, **settings)
    app = build_api(connect(database_url, pool_size=4), chosen)
    with serve(app) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client

"""What the machine can do at all: one INSERT per request, and one per transaction.

    python -m benchmarks.service.ceiling PORT      the database's address on standard input

The endpoint is the least that FastAPI and psycopg2 allow: no token, no key, no validation, no
lines in a log. uvicorn has the options that `tradeoff api` gives it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extras
import psycopg2.pool
import uvicorn
from fastapi import FastAPI

from tradeoff.server import KEEP_ALIVE_SECONDS
from tradeoff.store import programs
from tradeoff.supervisor import watch_parent

#: As many as the API has by default.
CONNECTIONS = 10
TABLE = "create table if not exists reports (id bigserial primary key, body jsonb not null)"
INSERT = "insert into reports (body) values (%s) returning id"


def build(database_url: str) -> FastAPI:
    """The app."""
    pool = psycopg2.pool.ThreadedConnectionPool(CONNECTIONS, CONNECTIONS, database_url)
    # The pool raises where we want to wait.
    free = threading.BoundedSemaphore(CONNECTIONS)
    with psycopg2.connect(database_url) as connection:
        connection.cursor().execute(TABLE)
    app = FastAPI()

    @app.post("/v1/experiments/{experiment}/observations")
    def create(experiment: int, body: dict[str, Any]) -> dict[str, Any]:
        with free:
            connection = pool.getconn()
            try:
                with connection.cursor() as cursor:
                    cursor.execute(INSERT, (psycopg2.extras.Json(body),))
                    (number,) = cursor.fetchone() or (0,)
                connection.commit()
            finally:
                pool.putconn(connection)
        return {"id": str(number), "experiment": str(experiment), **body}

    @app.get("/health/live")
    def live() -> dict[str, str]:
        return {"status": "ok"}

    return app


def run_pgbench(database_url: str, *, clients: int, seconds: int) -> float | None:
    """Transactions of one INSERT each, a second; `None` where there is no pgbench."""
    program = find_pgbench()
    if program is None:
        return None
    with psycopg2.connect(database_url) as connection:
        connection.cursor().execute(TABLE)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write('insert into reports (body) values (\'{"quality": 0.5, "cost": 0.5}\');\n')
        script.flush()
        options = ["-n", "-c", str(clients), "-j", "2", "-T", str(seconds), "-f", script.name]
        done = subprocess.run(
            [program, *options, database_url],
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 120,
        )
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    assert found, done.stdout
    return float(found[1])


def find_pgbench() -> str | None:
    """The program, beside one of those that the embedded Postgres uses."""
    paths = (folder / "pgbench" for folder in programs.list_folders())
    return next((str(path) for path in paths if Path(path).is_file()), None)


def main() -> None:
    """Serve until the parent ends."""
    database_url = sys.stdin.readline().strip()
    watch_parent()
    uvicorn.run(
        build(database_url),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        server_header=False,
        access_log=False,
    )


if __name__ == "__main__":
    main()

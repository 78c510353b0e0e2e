"""The connection to Postgres, and the one place where work is committed.

A lost, full or overloaded database becomes `Unavailable` (503 and "try again") here, so that no
other room knows the driver's errors.
"""

from __future__ import annotations

import logging
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import psycopg2.errors
import psycopg2.extensions
from sqlalchemy import Engine, create_engine, event, exc, text
from sqlalchemy.engine import make_url

from tradeoff.errors import Conflict, StartError, Unavailable
from tradeoff.store import driver, prepared
from tradeoff.store.sessions import Session
from tradeoff.store.tables import QUEUE_SCHEMA, UNIQUE_KEY

__all__ = [
    "Database",
    "Session",
    "Twin",
    "connect",
    "driver_url",
    "name_sessions",
    "plain_url",
]

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_SECONDS = 3
#: How long a request waits for a free connection of the pool.
POOL_TIMEOUT_SECONDS = 2
#: How long a statement waits for a row that somebody else holds. Below the time limit of a
#: statement, or that one would always strike first and a conflict look like an outage.
LOCK_TIMEOUT_SECONDS = 4


class Twin(Exception):
    """The same request took effect while this one was at work; nothing of this one is kept."""


def driver_url(url: str) -> str:
    """`url` with our driver in it: SQLAlchemy 2.1 would read plain `postgresql://` as psycopg 3."""
    parsed = make_url(url)
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise StartError(
            f"TRADEOFF_DATABASE_URL must begin with postgresql://, not {parsed.drivername}://"
        )
    return parsed.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)


def plain_url(url: str) -> str:
    """`url` as libpq reads it, without a driver's name."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


class Database:
    """A pool of connections.

    Attributes:
        url: libpq's form of the address, password included: never to be logged.
        engine: SQLAlchemy's engine, for the rooms below `store`.
        info: what every session knows from its beginning.
    """

    def __init__(self, url: str, engine: Engine) -> None:
        self.url = url
        self.engine = engine
        self.info: dict[str, Any] = {}

    @contextmanager
    def transaction(self, *, shared: bool = False) -> Iterator[Session]:
        """A session that commits at the end, and rolls back when anything is raised.

        Args:
            shared: several acts share it: none of them waits long for a row, and what others wait
                for comes last.

        Raises:
            Unavailable: when the database is away, overloaded or full.
            Conflict: when another request holds the same rows for too long.
            Twin: when another one took effect under its key; see `idempotency`.
        """
        try:
            with Session(self.engine, self.info, shared=shared) as session:
                yield session
                session.commit()
        except exc.TimeoutError as error:
            raise Unavailable("The service is busy; try again shortly.") from error
        except exc.DBAPIError as error:
            raise _translate(error, error.orig, lost=error.connection_invalidated) from error
        except psycopg2.Error as error:  # of a `prepared.Query`
            # A connection that ends within an answer is a plain `DatabaseError` to the driver.
            lost = self.engine.dialect.is_disconnect(error, None, None)  # type: ignore[arg-type]  # it is one
            raise _translate(error, error, lost=lost) from error

    def check_durability(self) -> None:
        """Refuse a Postgres that can lose what it acknowledged.

        Raises:
            StartError: with `fsync` or `synchronous_commit` off.
        """
        with self.transaction() as session:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                if session.execute(text(f"show {setting}")).scalar_one() == "off":
                    raise StartError(
                        f"Postgres runs with {setting}=off and can lose observations in a crash; "
                        f"set {setting}=on in its configuration"
                    )

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def name_sessions(part: str) -> str:
    """Return the name by which `pg_stat_activity` shows the sessions of a part of this process."""
    return f"{part} {os.getpid()}"


def connect(url: str, *, pool_size: int = 10, statement_timeout_seconds: float = 5.0) -> Database:
    """A pool on the Postgres at `url`; no connection is made yet.

    Args:
        url: `postgresql://…`, as libpq and every hosting provider write it.
        pool_size: connections held at most.
        statement_timeout_seconds: after which Postgres gives a statement up.

    Raises:
        StartError: when `url` is not a Postgres address.
    """
    try:
        address = driver_url(url)
    except exc.ArgumentError as error:
        raise StartError("TRADEOFF_DATABASE_URL is not a database address") from error
    options = {
        "search_path": f"public,{QUEUE_SCHEMA}",
        "statement_timeout": f"{statement_timeout_seconds:.3f}s",
        "lock_timeout": f"{LOCK_TIMEOUT_SECONDS}s",
        "idle_in_transaction_session_timeout": "60s",
        "timezone": "UTC",
        # What `prepared` keeps is found by the same index whatever its parameters are.
        "plan_cache_mode": "force_generic_plan",
    }
    engine = create_engine(
        address,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        # What users measure does not belong into error messages and logs.
        hide_parameters=True,
        connect_args={
            "connection_factory": driver.Connection,
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "application_name": name_sessions("tradeoff"),
        },
    )
    event.listen(engine, "checkout", _refuse_lost)
    event.listen(engine, "do_execute", prepared.execute)
    return Database(plain_url(url), engine)


def _refuse_lost(connection: psycopg2.extensions.connection, *_pool: object) -> None:
    """Let the pool make a new connection in place of one that ended while nobody used it.

    A restarted Postgres must not cost each pooled connection an error, and asking each time would
    cost each request a round trip. Postgres says goodbye, and otherwise says nothing unasked: only
    where there is something to read the connection is tried.
    """
    try:
        watched = select.poll()
        watched.register(connection.fileno(), select.POLLIN)
        if not watched.poll(0):
            return
        with connection.cursor() as cursor:
            cursor.execute("select 1")
        connection.rollback()
    except psycopg2.Error as error:
        raise exc.DisconnectionError from error


def _translate(error: Exception, cause: BaseException | None, *, lost: bool = False) -> Exception:
    """What a driver's error means to the caller; the error itself when it is our own fault."""
    if (
        isinstance(cause, psycopg2.errors.UniqueViolation)
        and cause.diag.constraint_name == UNIQUE_KEY
    ):
        return Twin()
    if isinstance(cause, psycopg2.errors.LockNotAvailable | psycopg2.errors.DeadlockDetected):
        return Conflict("Another request is changing the same thing; try again.")
    if isinstance(cause, psycopg2.errors.DiskFull):
        logger.error("the database's disk is full")
        return Unavailable("The service cannot store anything at the moment; try again later.")
    if lost or isinstance(
        cause,
        psycopg2.OperationalError
        | psycopg2.InterfaceError
        # A database that is a replica for the time of a failover.
        | psycopg2.errors.ReadOnlySqlTransaction,
    ):
        logger.warning("the database is away", extra={"reason": type(cause).__name__})
        return Unavailable("The database is away; try again shortly.")
    return error

"""Bring a database's schema up to date, and tell which version it has."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg2.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, create_engine, exc, pool, text

from tradeoff.errors import StartError
from tradeoff.store.database import CONNECT_TIMEOUT_SECONDS, Session, driver_url, name_sessions

logger = logging.getLogger(__name__)

#: Any two `tradeoff migrate` take turns by it; the number itself means nothing.
ADVISORY_LOCK = 7_236_151
#: How often somebody asks whether it is his turn.
TURN_SECONDS = 0.1
#: Whoever comes after a step that waits for a table waits as well, so it must not wait for long.
LOCK_TIMEOUT_SECONDS = 2
PAUSE_SECONDS = 1.0
TRIES = 60


def upgrade(url: str) -> None:
    """Bring the schema at `url` to `head()`; does nothing when it is there already.

    Several processes may call this at once: one works, the others wait for it. The service may run
    meanwhile: a step that meets a long transaction gives way to those who queue behind it, and
    tries again.

    Raises:
        StartError: when the database does not answer, is newer than this program, or is so busy
            that a step found no gap.
    """
    with _connection(url) as connection:
        _await_turn(connection)
        try:
            refuse_newer(MigrationContext.configure(connection).get_current_revision())
            connection.commit()
            _step_until_done(connection)
        finally:
            connection.rollback()
            connection.execute(text("select pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
            connection.commit()


def _await_turn(connection: Connection) -> None:
    """Take the lock of all `tradeoff migrate`.

    Asked for again and again: who waits inside a statement holds a snapshot, and an index that
    another one builds concurrently would wait for the end of that, both of them for ever.
    """
    take = text("select pg_try_advisory_lock(:key)")
    while not connection.scalar(take, {"key": ADVISORY_LOCK}):
        connection.commit()
        time.sleep(TURN_SECONDS)
    connection.commit()


def _step_until_done(connection: Connection) -> None:
    """Do what is to be done; steps that are done stay done when a later one has to wait."""
    connection.execute(text(f"set lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'"))
    connection.commit()
    config = _config()
    config.attributes["connection"] = connection
    for tries_left in reversed(range(TRIES)):
        try:
            command.upgrade(config, "head")
            connection.commit()
        except exc.DBAPIError as error:
            connection.rollback()
            if not isinstance(error.orig, LockNotAvailable | DeadlockDetected):
                raise
            if not tries_left:
                raise StartError(
                    "The database is too busy to be migrated: a transaction holds its tables. "
                    "Nothing is half-done; run `tradeoff migrate` again when there is less to do"
                ) from error
            logger.info("a migration gives way, and tries again")
            time.sleep(PAUSE_SECONDS)
        else:
            return


def current(url: str) -> str | None:
    """The revision of the database at `url`; `None` before the first migration.

    Raises:
        StartError: when the database does not answer.
    """
    with _connection(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def read_revision(session: Session) -> str | None:
    """The revision of the database that `session` works on; `None` before the first migration."""
    return MigrationContext.configure(session.connection()).get_current_revision()


def head() -> str:
    """The revision that this program needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def check(url: str) -> None:
    """Refuse to work on a schema that is not `head()`.

    Raises:
        StartError: when it is older or newer, saying what to do.
    """
    revision = current(url)
    refuse_newer(revision)
    if revision != head():
        raise StartError(
            f"The database is at version {revision or 'none'} and this program needs {head()}; "
            "run `tradeoff migrate` first"
        )


def refuse_newer(revision: str | None) -> None:
    """Stop when `revision` is none that this program knows.

    Raises:
        StartError: then.
    """
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise StartError(
            f"The database is at version {revision}, which is newer than this program knows; "
            "install the release of Tradeoff that made it, or a later one"
        )


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    engine = create_engine(
        driver_url(url),
        poolclass=pool.NullPool,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "application_name": name_sessions("tradeoff-migrations"),
        },
    )
    try:
        connection = engine.connect()
    except exc.OperationalError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        raise StartError(f"The database does not answer: {reason}") from error
    with connection:
        yield connection


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_location()).replace("%", "%%"))
    return config


def _location() -> Path:
    """The migrations: inside the installed package, else at the top of the repository."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "migrations"
    return packaged if packaged.is_dir() else package.parents[1] / "migrations"

"""Bring a database's schema up to date, and tell which version it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, exc, pool, text

from tradeoff.errors import StartError
from tradeoff.store.database import CONNECT_TIMEOUT_SECONDS, Session, driver_url

#: Any two `tradeoff migrate` take turns by it; the number itself means nothing.
ADVISORY_LOCK = 7_236_151


def upgrade(url: str) -> None:
    """Bring the schema at `url` to `head()`; does nothing when it is there already.

    Several processes may call this at once: one works, the others wait for it.

    Raises:
        StartError: when the database does not answer, or is newer than this program.
    """
    with _connection(url) as connection:
        connection.execute(text("select pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
        connection.commit()
        try:
            refuse_newer(MigrationContext.configure(connection).get_current_revision())
            connection.commit()
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("select pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
            connection.commit()


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
        connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS},
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

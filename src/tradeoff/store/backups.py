"""Copy the database into a file, and bring it back from one, with Postgres' own programs.

A dump is a snapshot: what was acknowledged before it began is in it, whatever goes on meanwhile.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import psycopg2.extensions
from sqlalchemy.engine import make_url

from tradeoff import errors
from tradeoff.store import migrations, programs
from tradeoff.store.tables import QUEUE_SCHEMA

#: A copy of everything takes its time.
LIMIT_SECONDS = 24 * 3600.0
#: Where our tables are, and what the former ones are called until the new ones are there.
SCHEMAS = ("public", QUEUE_SCHEMA)
ASIDE = "{}_before_restore"
#: A dump without its one line of this is none of ours.
VERSION = re.compile(r"^COPY public\.alembic_version .*\n(\w+)$", re.MULTILINE)


def dump(url: str, file: Path, *, pg_bin: Path | None = None) -> None:
    """Write everything that the database at `url` holds into a file; it may be at work meanwhile.

    The file is there once it is whole, and for its owner alone.

    Raises:
        StartError: when it is there already, cannot be written, or the database cannot be read.
    """
    if file.exists():
        raise errors.StartError(f"{file} is there already; choose another name, or remove it.")
    if migrations.current(url) is None:
        raise errors.StartError("The database holds nothing yet.")
    draft = file.with_name(f"{file.name}.{os.getpid()}.partial")
    try:
        _run(
            "pg_dump",
            url,
            pg_bin,
            "--format=custom",
            "--no-owner",
            "--no-acl",
            f"--file={draft.absolute()}",
        )
        read_version(draft, pg_bin=pg_bin)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def read_version(file: Path, *, pg_bin: Path | None = None) -> str:
    """The version of the schema that a dump holds.

    Raises:
        StartError: when it is no dump of ours.
    """
    if not file.is_file():
        raise errors.StartError(f"There is no file {file}.")
    table = ("--data-only", "--schema=public", "--table=alembic_version", "--file=-")
    done = programs.run_as(
        programs.Account(),
        [str(_find("pg_restore", 0, pg_bin)), *table, str(file.absolute())],
        timeout_seconds=600,
    )
    found = VERSION.search(done.stdout.decode(errors="replace"))
    if done.returncode or found is None:
        raise errors.StartError(f"{file} is no backup of Tradeoff's, or is not whole.")
    return found[1]


def restore(url: str, file: Path, *, replace: bool = False, pg_bin: Path | None = None) -> str:
    """Bring the database at `url` to what a file holds, and to the schema of this program.

    Nothing is changed when it cannot be done as a whole.

    Args:
        url: of a database that nobody is at work on.
        file: what `dump` wrote.
        replace: what the database holds is given up.
        pg_bin: the folder of Postgres' programs; `None` searches.

    Returns:
        The version that the file had.

    Raises:
        StartError: when the database holds something or somebody is at work on it, or the file is
            of a newer release.
    """
    version = read_version(file, pg_bin=pg_bin)
    migrations.refuse_newer(version)
    with _alone(url) as connection:
        if _holds_something(connection) and not replace:
            raise errors.StartError(
                "The database is not empty. With --replace what it holds is given up."
            )
        with _moved_aside(connection):
            options = ("--no-owner", "--no-acl", "--exit-on-error", "--single-transaction")
            _run("pg_restore", url, pg_bin, *options, str(file.absolute()))
    migrations.upgrade(url)
    return version


@contextmanager
def _alone(url: str) -> Iterator[psycopg2.extensions.connection]:
    """A connection to a database that no process of ours is at work on."""
    try:
        connection = psycopg2.connect(url, application_name="restore")
    except psycopg2.OperationalError as error:
        raise errors.StartError(f"The database does not answer: {error}") from error
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "select count(*) from pg_stat_activity where datname = current_database() "
                "and application_name like 'tradeoff%'"
            )
            (busy,) = cursor.fetchone() or (0,)
        if busy:
            raise errors.StartError(
                f"Somebody is at work on this database ({busy} connections): stop every API "
                "process and worker first."
            )
        yield connection
    finally:
        connection.close()


def _holds_something(connection: psycopg2.extensions.connection) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "select exists (select from pg_tables where schemaname = any(%s))", (list(SCHEMAS),)
        )
        (found,) = cursor.fetchone() or (False,)
    return bool(found)


@contextmanager
def _moved_aside(connection: psycopg2.extensions.connection) -> Iterator[None]:
    """Room for other tables; the former ones are dropped at the end, or are back if that failed."""
    there = _list_schemas(connection)
    _execute(
        connection,
        *(f"alter schema {name} rename to {ASIDE.format(name)}" for name in there),
        "create schema public",
    )
    try:
        yield
    except BaseException:
        _execute(
            connection,
            *(f"drop schema if exists {name} cascade" for name in SCHEMAS),
            *(f"alter schema {ASIDE.format(name)} rename to {name}" for name in there),
        )
        raise
    _execute(connection, *(f"drop schema {ASIDE.format(name)} cascade" for name in there))


def _list_schemas(connection: psycopg2.extensions.connection) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("select nspname from pg_namespace where nspname = any(%s)", (list(SCHEMAS),))
        return [name for (name,) in cursor.fetchall()]


def _execute(connection: psycopg2.extensions.connection, *statements: str) -> None:
    """All of them or none; what they name is ours."""
    with connection.cursor() as cursor:
        cursor.execute("; ".join(statements))


def _run(name: str, url: str, pg_bin: Path | None, *arguments: str) -> None:
    """Run a program on a database; its password is in no list of processes."""
    parsed = make_url(url)
    shown = parsed.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    secrets = {"PGPASSWORD": str(parsed.password)} if parsed.password else {}
    done = programs.run_as(
        programs.Account(),
        [str(_find(name, _server_major(url), pg_bin)), f"--dbname={shown}", *arguments],
        timeout_seconds=LIMIT_SECONDS,
        environment=secrets,
    )
    if done.returncode:
        told = done.stdout.decode(errors="replace").strip()[-1000:]
        raise errors.StartError(f"{name} failed: {told}")


def _server_major(url: str) -> int:
    try:
        connection = psycopg2.connect(url)
    except psycopg2.OperationalError as error:
        raise errors.StartError(f"The database does not answer: {error}") from error
    major = connection.server_version // 10_000
    connection.close()
    return major


def _find(name: str, major: int, pg_bin: Path | None) -> Path:
    """A program that understands a server of this version.

    Raises:
        StartError: when there is none.
    """
    for folder in [pg_bin] if pg_bin is not None else programs.list_folders():
        if (folder / name).is_file() and (programs.read_major(folder) or 0) >= major:
            return folder / name
    raise errors.StartError(
        f"No {name} of Postgres {major} or later on this machine. Point TRADEOFF_PG_BIN at the "
        "folder where it is."
    )

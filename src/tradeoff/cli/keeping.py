"""Keep a copy of everything, and bring it back."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tradeoff.cli.frame import DataDir, read_settings

#: In place of a file: standard output or input.
STREAM = Path("-")


def backup(
    file: Annotated[Path, typer.Argument(help="Where to write it; must not be there yet, or -.")],
    data_dir: DataDir = None,
) -> None:
    """Write everything that is stored into one file, also while the service runs.

    What was acknowledged before it began is in it. Tokens are in it as hashes only. With - it goes
    to standard output, once it is whole.

    Examples:
        tradeoff backup tradeoff.dump

        docker compose exec -T api tradeoff backup - > tradeoff.dump
    """
    from tradeoff import installation
    from tradeoff.store import backups, migrations

    settings = read_settings(data_dir)
    with installation.open_address(settings) as url, _on_disk(file) as written:
        backups.dump(url, written, pg_bin=settings.pg_bin)
        told = f"{file}: {written.stat().st_size} bytes, of version {migrations.current(url)}"
        if file == STREAM:
            with written.open("rb") as source:
                shutil.copyfileobj(source, sys.stdout.buffer)
        print(told, file=sys.stderr if file == STREAM else sys.stdout)


def restore(
    file: Annotated[Path, typer.Argument(help="What `tradeoff backup` wrote, or -.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Give up what the database holds now.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Bring everything back from a file, into an empty database that nobody is at work on.

    It is brought to the schema of this program; a file of a newer release is refused. When
    something goes wrong the database is as it was. With - it comes from standard input.

    Examples:
        tradeoff restore tradeoff.dump --data-dir ./elsewhere

        tradeoff restore tradeoff.dump --replace
    """
    from tradeoff import installation
    from tradeoff.store import backups, migrations

    settings = read_settings(data_dir)
    with installation.open_address(settings) as url, _on_disk(file) as read:
        if file == STREAM:
            with read.open("wb") as target:
                shutil.copyfileobj(sys.stdin.buffer, target)
        version = backups.restore(url, read, replace=replace, pg_bin=settings.pg_bin)
        print(f"{file}: of version {version}, now {migrations.head()}")


@contextmanager
def _on_disk(file: Path) -> Iterator[Path]:
    """The file itself, or one of the time of this block: Postgres' programs go to and fro in it."""
    if file != STREAM:
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="tradeoff-") as folder:
        yield Path(folder) / "stream.dump"

"""Keep a copy of everything, and bring it back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tradeoff.cli.frame import DataDir, read_settings


def backup(
    file: Annotated[Path, typer.Argument(help="Where to write it; must not be there yet.")],
    data_dir: DataDir = None,
) -> None:
    """Write everything that is stored into one file, also while the service runs.

    What was acknowledged before it began is in it. Tokens are in it as hashes only.

    Example:
        tradeoff backup tradeoff.dump
    """
    from tradeoff import installation
    from tradeoff.store import backups, migrations

    settings = read_settings(data_dir)
    with installation.open_address(settings) as url:
        backups.dump(url, file, pg_bin=settings.pg_bin)
        print(f"{file}: {file.stat().st_size} bytes, of version {migrations.current(url)}")


def restore(
    file: Annotated[Path, typer.Argument(help="What `tradeoff backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Give up what the database holds now.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Bring everything back from a file, into an empty database that nobody is at work on.

    It is brought to the schema of this program; a file of a newer release is refused. When
    something goes wrong the database is as it was.

    Examples:
        tradeoff restore tradeoff.dump --data-dir ./elsewhere

        tradeoff restore tradeoff.dump --replace
    """
    from tradeoff import installation
    from tradeoff.store import backups, migrations

    settings = read_settings(data_dir)
    with installation.open_address(settings) as url:
        version = backups.restore(url, file, replace=replace, pg_bin=settings.pg_bin)
        print(f"{file}: of version {version}, now {migrations.head()}")

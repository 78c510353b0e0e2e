"""What the commands share: options, settings, the way to the API, and how they print."""

from __future__ import annotations

import json as jsons
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tradeoff import Client, errors

if TYPE_CHECKING:
    from tradeoff import config

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Embedded database, token, logs. Default: TRADEOFF_DATA_DIR, else ~/.tradeoff.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON, as when the output is piped.")]
Url = Annotated[
    str | None,
    typer.Option(
        help="Default: TRADEOFF_API_URL, else the local `tradeoff up`.", show_default=False
    ),
]

screen = Console(highlight=False, soft_wrap=True)


def read_settings(
    data_dir: Path | None, *, logging_level: int = logging.WARNING
) -> config.Settings:
    """Read the settings and set up logging.

    Raises:
        StartError: if a variable of the environment cannot be understood.
    """
    import pydantic

    from tradeoff import config, logs

    try:
        settings = config.Settings()
    except pydantic.ValidationError as error:
        told = "; ".join(
            f"TRADEOFF_{str(e['loc'][0]).upper()}: {e['msg']}, not {e['input']!r}"
            for e in error.errors()
        )
        raise errors.StartError(told) from None
    logs.configure(settings.log_format, level=logging_level)
    chosen = (data_dir or settings.data_dir).expanduser().absolute()
    return settings.model_copy(update={"data_dir": chosen})


@contextmanager
def open_client(url: str | None, data_dir: Path | None) -> Iterator[Client]:
    """Connect to the API; without an address to that of a local `tradeoff up`."""
    from tradeoff import installation
    from tradeoff.client import errors as client_errors

    settings = read_settings(data_dir)
    url = url or settings.api_url or installation.find_address(settings.data_dir)
    token = settings.api_token or installation.read_token(settings.data_dir)
    try:
        with Client(token, api_url=url, retry_seconds=3.0) as client:
            yield client
    except client_errors.TradeoffClientError as error:
        fail(str(error))


def public(thing: object, *names: str) -> dict[str, Any]:
    """Take some attributes of a row."""
    return {name: getattr(thing, name) for name in names}


def wants_json(json: bool) -> bool:
    """Whether a program reads the output."""
    return json or not sys.stdout.isatty()


def print_json(found: object) -> None:
    """Print JSON that people can read too."""
    print(jsons.dumps(found, indent=2, default=str))


def print_table(found: Sequence[Mapping[str, Any]], columns: Sequence[str], *, json: bool) -> None:
    """Print rows as a table, or as JSON where a program reads them."""
    if wants_json(json):
        print_json(found)
        return
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in found:
        table.add_row(*(escape(_cell(row.get(column))) for column in columns))
    screen.print(table)
    if not found:
        screen.print("none yet")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if hasattr(value, "strftime"):
        return str(value.strftime("%Y-%m-%d %H:%M"))
    return str(value)


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def fail(message: str) -> NoReturn:
    """Say what is wrong, and end with exit code 1."""
    print(message, file=sys.stderr)
    sys.exit(1)

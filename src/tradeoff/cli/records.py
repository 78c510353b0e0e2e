"""The audit log, for whoever runs the service: straight in the database."""

from __future__ import annotations

import datetime
from typing import Annotated

import typer

from tradeoff import errors
from tradeoff.cli.frame import DataDir, Json, print_table, public, read_settings

COLUMNS = ("id", "created", "origin", "token_id", "address", "client_id")


def audit(
    client: Annotated[
        int | None, typer.Option(help="Only what concerned this client.", show_default=False)
    ] = None,
    action: Annotated[
        str | None, typer.Option(help="Only this, such as token.revoke.", show_default=False)
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Not before this, such as 2026-01-31, in UTC.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many.")] = 100,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show who changed what, the newest first; of every organization.

    Examples:
        tradeoff audit --since 2026-01-31

        tradeoff audit --client 3 --action experiment.update --json
    """
    from tradeoff import installation
    from tradeoff.store import audit as stored
    from tradeoff.store import paging, tables

    select = stored.listing(
        None, client_id=client, action=action, since=None if since is None else _moment(since)
    )
    with (
        installation.open_database(read_settings(data_dir)) as database,
        database.transaction() as session,
    ):
        entries = paging.fetch(
            session, select, id_column=tables.AuditEntry.id.expression, limit=limit
        ).rows
        found = [
            public(each, *COLUMNS, "action", "kind", "object_id", "details") for each in entries
        ]
    print_table(found, (*COLUMNS, "action", "kind", "object_id"), json=json)


def _moment(text: str) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise errors.BadInput(
            f"--since: must be a day or a moment, such as 2026-01-31, not {text!r}"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)

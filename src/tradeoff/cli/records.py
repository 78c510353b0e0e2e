"""The queue and the audit log, for whoever runs the service: straight in the database."""

from __future__ import annotations

import datetime
from typing import Annotated

import typer

from tradeoff import errors
from tradeoff.cli.frame import (
    DataDir,
    Json,
    print_json,
    print_table,
    public,
    read_settings,
    wants_json,
)

COLUMNS = ("id", "created", "origin", "token_id", "address", "client_id")


queues = typer.Typer(help="What is computed, by whom, and what failed.")


@queues.command("show")
def show_queue(data_dir: DataDir = None, json: Json = False) -> None:
    """Show the queue, the workers, and the experiments whose model fails, of all clients.

    Example:
        tradeoff queue show --json
    """
    from tradeoff import installation
    from tradeoff.service import operations

    with (
        installation.open_database(read_settings(data_dir)) as database,
        database.transaction() as session,
    ):
        found = operations.read(session, None)
        failing = [
            {
                **public(each.experiment, "id", "client_id", "rung", "rung_until"),
                "failures": each.experiment.refresh_failures,
                "reason": each.reason,
            }
            for each in found.troubles
        ]
    queue = public(found.queue, "waiting", "running", "oldest_seconds", "workers")
    workers = [public(each, "id", "last_seen", "jobs", "device") for each in found.workers]
    waits = None
    if found.waits is not None:
        waits = public(found.waits, "count", "median_seconds", "slow_seconds")
    if wants_json(json):
        print_json({"queue": queue, "workers": workers, "waits": waits, "failing": failing})
        return
    print_table([queue], tuple(queue), json=False)
    print_table(workers, ("id", "last_seen", "jobs", "device"), json=False)
    if waits is not None:
        print_table([waits], tuple(waits), json=False)
    print_table(
        failing, ("id", "client_id", "rung", "rung_until", "failures", "reason"), json=False
    )


@queues.command("retry")
def retry(
    experiment: Annotated[int, typer.Argument(help="Id of an experiment whose model failed.")],
    data_dir: DataDir = None,
) -> None:
    """Attempt everything again at once, instead of an hour after the last failure.

    Example:
        tradeoff queue retry 12
    """
    from tradeoff import installation
    from tradeoff.service import operations
    from tradeoff.store import experiments

    with (
        installation.open_database(read_settings(data_dir)) as database,
        database.transaction() as session,
    ):
        operations.retry(session, experiments.get(session, experiment))
    print(f"experiment {experiment} is tried again")


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

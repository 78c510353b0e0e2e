"""Clients and tokens, for whoever runs the service: straight in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradeoff import errors
from tradeoff.cli.frame import DataDir, Json, print_json, print_table, public, read_settings

if TYPE_CHECKING:
    from tradeoff.store.database import Database

clients = typer.Typer(help="Teams: what belongs to one does not exist for another.")
tokens = typer.Typer(help="API tokens: create, list, rotate, revoke.")


@clients.command("create")
def create_client(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    data_dir: DataDir = None,
    json: Annotated[bool, typer.Option("--json", help="JSON, which it is anyway.")] = False,
) -> None:
    """Create a client and print it as JSON, with its two tokens: they are shown this once.

    Example:
        tradeoff client create robotics > robotics.json
    """
    from tradeoff import installation
    from tradeoff.service import accounts

    with (
        installation.open_database(read_settings(data_dir)) as database,
        database.transaction() as session,
    ):
        client, secrets = accounts.create_client(session, name=name)
        made = {**public(client, "id", "name"), "tokens": secrets}
    print_json(made)


@clients.command("list")
def list_clients(data_dir: DataDir = None, json: Json = False) -> None:
    """List the clients."""
    from tradeoff import installation
    from tradeoff.store import accounts

    with (
        installation.open_database(read_settings(data_dir)) as database,
        database.transaction() as session,
    ):
        found = [public(c, "id", "name", "created") for c in accounts.list_clients(session)]
    print_table(found, ("id", "name", "created"), json=json)


@clients.command("erase")
def erase_client(
    client: Annotated[int, typer.Argument(help="Its id, of a deleted one as well.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Take away everything that a client has, for good: nothing brings it back but a backup.

    What remains is that it was done, in the audit log.

    Example:
        tradeoff client erase 7
    """
    from tradeoff import installation
    from tradeoff.service import erasure
    from tradeoff.store import tables

    with installation.open_database(read_settings(data_dir)) as database:
        with database.transaction() as session:
            row = session.get(tables.Client, client)
            if row is None:
                raise errors.NotFound(f"There is no client {client}.")
            if not yes:
                typer.confirm(
                    f"Erase everything that client {client} ({row.name}) has?", abort=True
                )
            erasure.erase(session, None, row)
        erasure.finish(database, client)
    print(f"erased {client}")


@clients.command("quotas")
def show_quotas(
    client: Annotated[str, typer.Argument(help="Its name or id.")],
    set_to: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=NUMBER",
            help="experiments, observations, file_bytes or requests_per_second; without a number "
            "it is what TRADEOFF_CLIENT_... grants everybody.",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show what a client may have at most and what it has, after changing what is `--set`.

    Examples:
        tradeoff client quotas robotics

        tradeoff client quotas robotics --set experiments=1000 --set requests_per_second=50
    """
    from tradeoff import installation
    from tradeoff.service import quotas

    changes = dict(_quota(each) for each in set_to or ())
    settings = read_settings(data_dir)
    with installation.open_database(settings) as database:
        quotas.set_defaults(database, quotas.granted(settings))
        found = _quotas_of(database, client, changes)
    print_table(found, ("quota", "limit", "used"), json=json)


def _quotas_of(
    database: Database, client: str, changes: dict[str, float | None]
) -> list[dict[str, Any]]:
    from tradeoff.service import quotas
    from tradeoff.store import accounts
    from tradeoff.store.quotas import measure

    with database.transaction() as session:
        row = accounts.get_client(session, _find_client(session, client))
        if changes:
            quotas.change(session, row, changes)
        limits, used = quotas.read(session, row), measure(session, row.id)
    return [
        {"quota": name, "limit": getattr(limits, name), "used": getattr(used, name, None)}
        for name in quotas.NAMES
    ]


def _quota(text: str) -> tuple[str, float | None]:
    from tradeoff.service import quotas

    name, equals, number = text.partition("=")
    wanted = ", ".join(quotas.NAMES)
    if name not in quotas.NAMES or not equals:
        raise errors.BadInput(f"--set: must be NAME=NUMBER with one of {wanted}, not {text!r}")
    if not number:
        return name, None
    try:
        return name, quotas.check(name, float(number))
    except ValueError:
        raise errors.BadInput(f"--set: {name} must be a number, not {number!r}") from None


@tokens.command("create")
def create_token(
    client: Annotated[str, typer.Option(help="Name or id of the client.")],
    role: Annotated[str, typer.Option(help="read, write or admin.")] = "write",
    experiment: Annotated[
        int | None, typer.Option(help="Bind the token to this experiment.", show_default=False)
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="To tell tokens apart.", show_default=False)
    ] = None,
    development: Annotated[
        bool, typer.Option("--development", help="For trying out: suggestions are random.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Create a token and print its secret, alone and this once.

    Examples:
        tradeoff token create --client robotics

        export TRADEOFF_API_TOKEN=$(tradeoff token create --client robotics --role read)
    """
    from tradeoff import installation
    from tradeoff.service import accounts

    with (
        installation.open_database(read_settings(data_dir)) as database,
        database.transaction() as session,
    ):
        _, secret = accounts.create_token(
            session,
            client_id=_find_client(session, client),
            role=role,
            name=name,
            experiment_id=experiment,
            development=development,
        )
    print(secret)


@tokens.command("list")
def list_tokens(
    client: Annotated[
        str | None, typer.Option(help="Name or id of one client.", show_default=False)
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List tokens by their first characters; secrets are not kept."""
    from tradeoff import installation
    from tradeoff.store import accounts

    shown = ("id", "client_id", "prefix", "name", "role", "development", "experiment_id")
    dates = ("created", "expires", "revoked")
    with (
        installation.open_database(read_settings(data_dir)) as database,
        database.transaction() as session,
    ):
        client_id = None if client is None else _find_client(session, client)
        found = [public(t, *shown, *dates) for t in accounts.list_tokens(session, client_id)]
    print_table(found, ("id", "client_id", "prefix", "name", "role", "revoked"), json=json)


@tokens.command("rotate")
def rotate_token(
    token: Annotated[int, typer.Argument(help="Its id, as `token list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Put a new token in the place of one, and print its secret, alone and this once.

    The old one goes on for 24 hours.
    """
    from tradeoff import installation
    from tradeoff.service import tokens as acts
    from tradeoff.store import accounts

    with (
        installation.open_database(read_settings(data_dir)) as database,
        database.transaction() as session,
    ):
        _, secret = acts.rotate(session, None, accounts.get_token(session, token))
    print(secret)


@tokens.command("revoke")
def revoke_token(
    token: Annotated[int, typer.Argument(help="Its id, as `token list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Revoke a token, at once and in every process."""
    from tradeoff import installation
    from tradeoff.service import accounts

    with (
        installation.open_database(read_settings(data_dir)) as database,
        database.transaction() as session,
    ):
        accounts.revoke_token(session, token)
    print(f"revoked {token}")


def _find_client(session: Any, name_or_id: str) -> int:
    """Return the id of a client.

    Raises:
        NotFound: if there is none, or several of that name.
    """
    from tradeoff.store import accounts

    everyone = accounts.list_clients(session)
    if name_or_id.isdigit():
        return accounts.get_client(session, int(name_or_id)).id
    found = [client.id for client in everyone if client.name == name_or_id]
    if len(found) == 1:
        return found[0]
    if found:
        raise errors.NotFound(f"Several clients are called {name_or_id!r}; give an id: {found}.")
    names = ", ".join(sorted({client.name for client in everyone})) or "none yet"
    raise errors.NotFound(f"There is no client called {name_or_id!r}. There are: {names}.")

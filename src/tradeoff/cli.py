"""The command line: `tradeoff up`, `token create`, `doctor` and the rest.

Each command imports the rooms it needs when it runs, so that `tradeoff --help` answers at once.
What is meant for programs (a secret, JSON) stands alone on standard output.
"""

from __future__ import annotations

import json as jsons
import logging
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tradeoff import Client, __version__, errors
from tradeoff.client import resend as resending

if TYPE_CHECKING:
    from tradeoff import config

OVERVIEW = """\
Optimization as a service for competing objectives: suggest, train, observe, and get the
efficient frontier.

[bold]Start here[/bold]

    tradeoff demo                        see it work, in about five minutes
    tradeoff up                          everything on this machine; Ctrl-C stops it
    tradeoff dashboard                   in another terminal: a link that signs you in
    tradeoff experiments                 what is there
    tradeoff frontier 1                  the best compromises found so far

[bold]On many machines[/bold] (each with TRADEOFF_DATABASE_URL set to one Postgres)

    tradeoff migrate                     once, and after each upgrade
    tradeoff api --host 0.0.0.0          behind a proxy that speaks TLS
    tradeoff worker                      on each machine that computes
    tradeoff client create robotics      a team, with its first tokens

[bold]When something is wrong[/bold]

    tradeoff doctor                      what is wrong here, and what to do
    tradeoff resend                      deliver the reports that a training script could not
"""

app = typer.Typer(
    name="tradeoff",
    help=OVERVIEW,
    no_args_is_help=True,
    rich_markup_mode="rich",
    # The pretty ones print the values of variables, tokens among them.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
clients = typer.Typer(help="Teams: what belongs to one does not exist for another.")
tokens = typer.Typer(help="API tokens: create, list, revoke.")
databases = typer.Typer(help="The embedded Postgres.")
for group in (clients, tokens, databases):
    group.info.no_args_is_help = True
app.add_typer(clients, name="client")
app.add_typer(tokens, name="token")
app.add_typer(databases, name="db")

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Embedded database, token, logs. Default: TRADEOFF_DATA_DIR, else ~/.tradeoff.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON, as when the output is piped.")]
Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for every one.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for a free one.")]
Supervised = Annotated[bool, typer.Option("--supervised", hidden=True)]
Url = Annotated[
    str | None,
    typer.Option(
        help="Default: TRADEOFF_API_URL, else the local `tradeoff up`.", show_default=False
    ),
]

screen = Console(highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line; an error of ours is a message and exit code 1."""
    # As an exception, so that what a command has started is ended with it; 128 + 15.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    try:
        app(prog_name="tradeoff")
    except errors.TradeoffError as error:
        _fail(error.message)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output (head, less) has enough; Python would complain at exit.
        sys.stderr.close()
        sys.exit(0)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"tradeoff {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Take what comes before the command."""


# --- Processes -----------------------------------------------------------------------------------


@app.command()
def up(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    data_dir: DataDir = None,
    workers: Annotated[int, typer.Option(min=0, max=64, help="Worker processes.")] = 1,
    api_processes: Annotated[
        int, typer.Option(min=1, max=64, help="API processes, which share the port.")
    ] = 1,
) -> None:
    """Run everything on this machine: Postgres, API, workers. Ctrl-C stops all of it.

    The first time it creates a client and an API token, kept in DIR/token.

    Examples:
        tradeoff up

        tradeoff up --port 9000 --data-dir ./lab --workers 2
    """
    from tradeoff import server

    settings = _settings(data_dir, logging_level=logging.WARNING)
    server.up(
        settings, host=host, port=port, workers=workers, api_processes=api_processes, say=_say
    )


@app.command()
def api(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    data_dir: DataDir = None,
    share_port: Annotated[
        bool, typer.Option(help="Listen together with others of this option; not on Windows.")
    ] = False,
    supervised: Supervised = False,
) -> None:
    """Run one API process alone.

    Example:
        TRADEOFF_DATABASE_URL=postgresql://me@db/tradeoff tradeoff api --host 0.0.0.0
    """
    from tradeoff import config

    config.limit_algebra()
    from tradeoff import server

    settings = _settings(data_dir, logging_level=logging.INFO)
    _watch_parent(supervised)
    server.serve(settings, host=host, port=port, share_port=share_port)


@app.command()
def worker(data_dir: DataDir = None, supervised: Supervised = False) -> None:
    """Run one worker process alone: it computes suggestions in the background.

    Example:
        TRADEOFF_DATABASE_URL=postgresql://me@db/tradeoff TRADEOFF_DEVICE=cuda:1 tradeoff worker
    """
    settings = _settings(data_dir, logging_level=logging.INFO)
    _watch_parent(supervised)
    missing = [name for name in ("torch", "gpytorch", "botorch") if not find_spec(name)]
    if missing:
        raise errors.StartError(
            f"A worker needs {', '.join(missing)}: pip install 'tradeoff[worker]'. Without workers "
            "the API answers with space-filling suggestions."
        )
    from tradeoff import installation
    from tradeoff.worker import run

    with installation.open_database(settings) as opened:
        run.run_worker(opened, settings)


@app.command()
def migrate(data_dir: DataDir = None) -> None:
    """Bring the database up to date; refuses one that is newer than this program."""
    from tradeoff import installation
    from tradeoff.store import migrations

    with installation.open_address(_settings(data_dir)) as url:
        before = migrations.current(url)
        migrations.upgrade(url)
        print(f"{before or 'empty'} -> {migrations.head()}")


@app.command()
def demo(
    observations: Annotated[
        int, typer.Option(min=2, max=1000, help="Networks that each search may try.")
    ] = 40,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Of the images' split and the first weights.")
    ] = 0,
    data_dir: DataDir = None,
    port: Port = 0,
    random: Annotated[
        bool, typer.Option(help="Search at random as well, to compare; takes half of the time.")
    ] = True,
) -> None:
    """Tune a small network for accuracy and speed, live, to a printed frontier.

    Starts what `tradeoff up` starts, creates an experiment through the API, and trains Keras
    networks on scikit-learn's handwritten digits as it suggests. Networks with too many weights are
    reported as failed, and the model learns to avoid them. Random search tries as many, in turn.

    Takes about four minutes on two cores. Everything is kept in DIR/demo; Ctrl-C stops all of it.

    Examples:
        tradeoff demo

        tradeoff demo --observations 12 --no-random
    """
    try:
        from tradeoff.demo import run as show
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tradeoff"):
            raise
        raise errors.StartError(
            f"The demo needs {error.name}. Install it with: pip install 'tradeoff[all]'"
        ) from error
    show.run(
        _settings(data_dir, logging_level=logging.WARNING),
        observations=observations,
        seed=seed,
        port=port,
        random=random,
    )


@app.command()
def doctor(
    data_dir: DataDir = None,
    json: Annotated[bool, typer.Option("--json", help="JSON.")] = False,
) -> None:
    """Check Postgres, queue, workers, device, disk and versions; say what to do.

    Exit code 1 when something is wrong.
    """
    from tradeoff import doctor as examiner

    marks = {"ok": "[green]ok   [/]", "note": "[yellow]note [/]", "wrong": "[red]wrong[/]"}
    found = []
    for finding in examiner.examine(_settings(data_dir, logging_level=logging.ERROR)):
        found.append(finding)
        if not json:
            screen.print(
                f"{marks[finding.state]}  {escape(finding.about):18} {escape(finding.found)}"
            )
            if finding.advice:
                screen.print(f"{'':26}[bold]->[/] {escape(finding.advice)}")
    if json:
        _print_json([_public(finding, "about", "state", "found", "advice") for finding in found])
    if any(finding.state == "wrong" for finding in found):
        raise typer.Exit(1)


@databases.command("stop")
def stop_database(data_dir: DataDir = None) -> None:
    """Stop an embedded Postgres that was left running."""
    from tradeoff import installation
    from tradeoff.store import embedded

    settings = _settings(data_dir)
    if (url := installation.find_address(settings.data_dir)) is not None:
        raise errors.StartError(
            f"`tradeoff up` is using it ({url}). Stop that instead: Ctrl-C, or SIGTERM."
        )
    stopped = embedded.stop(settings.data_dir)
    print("stopped" if stopped else "was not running")


@databases.command("url")
def show_database(data_dir: DataDir = None) -> None:
    """Print the address of the running database, for psql and pg_dump.

    Example:
        psql "$(tradeoff db url)"
    """
    from tradeoff.store import embedded

    settings = _settings(data_dir)
    if settings.database_url is not None:
        print(settings.database_url)
    elif (server := embedded.find_running(settings.data_dir)) is not None:
        print(server.url)
    else:
        raise errors.StartError("The embedded Postgres is not running; `tradeoff up` starts it.")


# --- Clients and tokens --------------------------------------------------------------------------


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
        installation.open_database(_settings(data_dir)) as database,
        database.transaction() as session,
    ):
        client, secrets = accounts.create_client(session, name=name)
        made = {**_public(client, "id", "name"), "tokens": secrets}
    _print_json(made)


@clients.command("list")
def list_clients(data_dir: DataDir = None, json: Json = False) -> None:
    """List the clients."""
    from tradeoff import installation
    from tradeoff.store import accounts

    with (
        installation.open_database(_settings(data_dir)) as database,
        database.transaction() as session,
    ):
        found = [_public(c, "id", "name", "created") for c in accounts.list_clients(session)]
    _print_table(found, ("id", "name", "created"), json=json)


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
        installation.open_database(_settings(data_dir)) as database,
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
        installation.open_database(_settings(data_dir)) as database,
        database.transaction() as session,
    ):
        client_id = None if client is None else _find_client(session, client)
        found = [_public(t, *shown, *dates) for t in accounts.list_tokens(session, client_id)]
    _print_table(found, ("id", "client_id", "prefix", "name", "role", "revoked"), json=json)


@tokens.command("revoke")
def revoke_token(
    token: Annotated[int, typer.Argument(help="Its id, as `token list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Revoke a token, at once and in every process."""
    from tradeoff import installation
    from tradeoff.service import accounts

    with (
        installation.open_database(_settings(data_dir)) as database,
        database.transaction() as session,
    ):
        accounts.revoke_token(session, token)
    print(f"revoked {token}")


# --- Looking, through the API --------------------------------------------------------------------


@app.command()
def experiments(url: Url = None, data_dir: DataDir = None, json: Json = False) -> None:
    """List experiments, the newest first."""
    found = []
    with _client(url, data_dir) as client:
        for experiment in client.experiments().fetch(limit=100).data:
            body = experiment.to_json()
            progress = body.get("progress") or {}
            metrics = ", ".join(m["name"] or "value" for m in body.get("metrics") or [])
            found.append(
                {
                    "id": body["id"],
                    "name": body["name"],
                    "metrics": metrics,
                    "observations": progress.get("observation_count"),
                    "budget": body.get("observation_budget"),
                    "state": body.get("state"),
                }
            )
    _print_table(found, ("id", "name", "metrics", "observations", "budget", "state"), json=json)


@app.command()
def dashboard(
    url: Url = None,
    data_dir: DataDir = None,
) -> None:
    """Print a link to the dashboard that signs you in: it works once, for 15 minutes.

    Needs the database: the local `tradeoff up`'s, or TRADEOFF_DATABASE_URL.

    Example:
        xdg-open "$(tradeoff dashboard)"
    """
    from tradeoff import installation

    settings = _settings(data_dir)
    address = url or settings.api_url or installation.find_address(settings.data_dir)
    token = settings.api_token or installation.read_token(settings.data_dir)
    if address is None or token is None:
        raise errors.StartError(
            "No `tradeoff up` runs here. Start it, or set TRADEOFF_API_URL, TRADEOFF_API_TOKEN and "
            "TRADEOFF_DATABASE_URL."
        )
    with installation.open_database(settings) as database:
        print(installation.make_sign_in_link(database, address.rstrip("/"), token))


@app.command()
def frontier(
    experiment: Annotated[int, typer.Argument(help="Id of the experiment.")],
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show the efficient frontier: configurations that no other one beats in every metric."""
    with _client(url, data_dir) as client:
        best = [b.to_json() for b in client.experiments(experiment).best_assignments().fetch().data]
    found = []
    for point in best:
        values = {v["name"] or "value": v["value"] for v in point.get("values") or []}
        found.append({"observation": point.get("id"), **values, **point["assignments"]})
    columns = list(dict.fromkeys(name for row in found for name in row))
    _print_table(found, columns, json=json)


@app.command(help=resending.HELP)
def resend(
    url: Annotated[
        str | None,
        typer.Option(
            "--api-url",
            help="Send all of them to this server. Default: each to its own.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be sent.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Say it in JSON.")] = False,
) -> None:
    """Deliver what the client kept; its module knows how."""
    raise typer.Exit(resending.run(url, dry_run=dry_run, as_json=json))


# --- Shared by the commands ----------------------------------------------------------------------


def _settings(data_dir: Path | None, *, logging_level: int = logging.WARNING) -> config.Settings:
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


def _watch_parent(supervised: bool) -> None:
    from tradeoff import supervisor

    if supervised:
        supervisor.watch_parent()


@contextmanager
def _client(url: str | None, data_dir: Path | None) -> Iterator[Client]:
    """Connect to the API; without an address to that of a local `tradeoff up`."""
    from tradeoff import installation
    from tradeoff.client import errors as client_errors

    settings = _settings(data_dir)
    url = url or settings.api_url or installation.find_address(settings.data_dir)
    token = settings.api_token or installation.read_token(settings.data_dir)
    try:
        with Client(token, api_url=url, retry_seconds=3.0) as client:
            yield client
    except client_errors.TradeoffClientError as error:
        _fail(str(error))


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


def _public(thing: object, *names: str) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in names}


def _wants_json(json: bool) -> bool:
    return json or not sys.stdout.isatty()


def _print_json(found: object) -> None:
    print(jsons.dumps(found, indent=2, default=str))


def _print_table(found: Sequence[Mapping[str, Any]], columns: Sequence[str], *, json: bool) -> None:
    if _wants_json(json):
        _print_json(found)
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


def _say(text: str) -> None:
    print(text, flush=True)


def _fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(1)

"""The way in, and every command that is not about people or moving data."""

from __future__ import annotations

import logging
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from tradeoff import __version__, ending, errors
from tradeoff.cli import keeping, moving, people, records
from tradeoff.cli.frame import (
    DataDir,
    Json,
    Url,
    fail,
    open_client,
    print_json,
    print_table,
    public,
    read_settings,
    say,
    screen,
)
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
    tradeoff import FILE                 bring what was tried before: Optuna, W&B, Ax, SigOpt, CSV

[bold]On many machines[/bold] (each with TRADEOFF_DATABASE_URL set to one Postgres)

    tradeoff migrate                     once, and after each upgrade
    tradeoff api --host 0.0.0.0          behind a proxy that speaks TLS
    tradeoff worker                      on each machine that computes
    tradeoff client create robotics      a team, with its first tokens
    tradeoff audit                       who changed what
    tradeoff backup FILE                 everything stored; `tradeoff restore` brings it back

[bold]When something is wrong[/bold]

    tradeoff doctor                      what is wrong here, and what to do
    tradeoff queue show                  what is computed, and what failed
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
databases = typer.Typer(help="The embedded Postgres.")
for group in (people.clients, people.tokens, records.queues, databases):
    group.info.no_args_is_help = True
app.add_typer(people.clients, name="client")
app.add_typer(people.tokens, name="token")
app.add_typer(records.queues, name="queue")
app.add_typer(databases, name="db")
app.command("import")(moving.import_file)
app.command("export")(moving.export)
app.command()(records.audit)
app.command()(keeping.backup)
app.command()(keeping.restore)

Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for every one.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for a free one.")]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=65535,
        help="Port of this process's own measurements. Default: TRADEOFF_METRICS_PORT, else none.",
        show_default=False,
    ),
]
Supervised = Annotated[bool, typer.Option("--supervised", hidden=True)]


def main() -> None:
    """Run the command line; an error of ours is a message and exit code 1."""
    ending.listen()
    try:
        app(prog_name="tradeoff")
    except errors.TradeoffError as error:
        fail(error.message)
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
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65000,
            help="Port of the first process's measurements; each further process has the next one.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run everything on this machine: Postgres, API, workers. Ctrl-C stops all of it.

    The first time it creates a client and an API token, kept in DIR/token.

    Examples:
        tradeoff up

        tradeoff up --port 9000 --data-dir ./lab --workers 2
    """
    from tradeoff import up as whole

    settings = _measured(read_settings(data_dir, logging_level=logging.WARNING), metrics_port)
    whole.run(settings, host=host, port=port, workers=workers, api_processes=api_processes, say=say)


@app.command()
def api(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    data_dir: DataDir = None,
    share_port: Annotated[
        bool, typer.Option(help="Listen together with others of this option; not on Windows.")
    ] = False,
    metrics_port: MetricsPort = None,
    supervised: Supervised = False,
) -> None:
    """Run one API process alone.

    Example:
        TRADEOFF_DATABASE_URL=postgresql://me@db/tradeoff tradeoff api --host 0.0.0.0
    """
    from tradeoff import config

    config.limit_algebra()
    from tradeoff import server

    settings = _measured(read_settings(data_dir, logging_level=logging.INFO), metrics_port)
    _watch_parent(supervised)
    server.serve(settings, host=host, port=port, share_port=share_port)


@app.command()
def worker(
    data_dir: DataDir = None, metrics_port: MetricsPort = None, supervised: Supervised = False
) -> None:
    """Run one worker process alone: it computes suggestions in the background.

    Example:
        TRADEOFF_DATABASE_URL=postgresql://me@db/tradeoff TRADEOFF_DEVICE=cuda:1 tradeoff worker
    """
    settings = _measured(read_settings(data_dir, logging_level=logging.INFO), metrics_port)
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


def _measured(settings: config.Settings, port: int | None) -> config.Settings:
    return settings if port is None else settings.model_copy(update={"metrics_port": port})


@app.command()
def migrate(data_dir: DataDir = None) -> None:
    """Bring the database up to date; refuses one that is newer than this program."""
    from tradeoff import installation
    from tradeoff.store import migrations

    with installation.open_address(read_settings(data_dir)) as url:
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
        read_settings(data_dir, logging_level=logging.WARNING),
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
    for finding in examiner.examine(read_settings(data_dir, logging_level=logging.ERROR)):
        found.append(finding)
        if not json:
            screen.print(
                f"{marks[finding.state]}  {escape(finding.about):18} {escape(finding.found)}"
            )
            if finding.advice:
                screen.print(f"{'':26}[bold]->[/] {escape(finding.advice)}")
    if json:
        print_json([public(finding, "about", "state", "found", "advice") for finding in found])
    if any(finding.state == "wrong" for finding in found):
        raise typer.Exit(1)


@databases.command("stop")
def stop_database(data_dir: DataDir = None) -> None:
    """Stop an embedded Postgres that was left running."""
    from tradeoff import installation
    from tradeoff.store import embedded

    settings = read_settings(data_dir)
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

    settings = read_settings(data_dir)
    if settings.database_url is not None:
        print(settings.database_url)
    elif (server := embedded.find_running(settings.data_dir)) is not None:
        print(server.url)
    else:
        raise errors.StartError("The embedded Postgres is not running; `tradeoff up` starts it.")


# --- Looking, through the API --------------------------------------------------------------------


@app.command()
def experiments(url: Url = None, data_dir: DataDir = None, json: Json = False) -> None:
    """List experiments, the newest first."""
    found = []
    with open_client(url, data_dir) as client:
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
    print_table(found, ("id", "name", "metrics", "observations", "budget", "state"), json=json)


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

    settings = read_settings(data_dir)
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
    with open_client(url, data_dir) as client:
        best = [b.to_json() for b in client.experiments(experiment).best_assignments().fetch().data]
    found = []
    for point in best:
        values = {v["name"] or "value": v["value"] for v in point.get("values") or []}
        found.append({"observation": point.get("id"), **values, **point["assignments"]})
    columns = list(dict.fromkeys(name for row in found for name in row))
    print_table(found, columns, json=json)


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


def _watch_parent(supervised: bool) -> None:
    from tradeoff import supervisor

    if supervised:
        supervisor.watch_parent()

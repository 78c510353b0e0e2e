"""`tradeoff up`: the whole stack on one machine, watched until it is told to end.

It only looks after processes, so it loads nothing of what they do: neither API nor engine.
"""

from __future__ import annotations

import logging
import signal

from tradeoff import config, installation, stack, supervisor

logger = logging.getLogger(__name__)


def run(
    settings: config.Settings,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    workers: int = 1,
    api_processes: int = 1,
    say: stack.Say = logger.info,
) -> None:
    """Run everything on one machine until SIGINT or SIGTERM, then end all of it in order.

    Args:
        settings: what the operator set.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        workers: how many worker processes.
        api_processes: how many API processes; they share the port.
        say: shows a line to the user.

    Raises:
        StartError: if a part cannot start; nothing is left running then.
    """
    stop = supervisor.Flag()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Under nohup the end of the terminal is none of ours.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: stop.set())
    with stack.running(
        settings,
        host=host,
        port=port,
        workers=workers,
        api_processes=api_processes,
        say=say,
        stop=stop,
    ) as running:
        if not stop.is_set():
            _welcome(running, say)
        running.watch(stop)
        say("Stopping …")
    say("Stopped; nothing is left running.")


def _welcome(running: stack.Stack, say: stack.Say) -> None:
    data_dir = running.settings.data_dir
    token = installation.token_path(data_dir)
    say(f"\nReady: {running.url}    reference: {running.url}/docs")
    if running.link is not None:
        say(f"Dashboard (signs you in once, in the next minutes):\n    {running.link}")
    if running.token is None:
        say("No token here yet. Make one:  tradeoff token create --client NAME")
    elif running.token_is_new:
        say(f"API token, shown this once and kept in {token}:\n    {running.token}")
    else:
        say(f"API token: in {token}")
    say(
        "\nLook further:\n"
        "    tradeoff dashboard          another link that signs you in\n"
        "    tradeoff experiments\n"
        f'    curl -u "$(cat {token}):" {running.url}/v1/experiments\n'
        f"    logs in {data_dir / 'logs'}\n"
        "Ctrl-C stops everything."
    )

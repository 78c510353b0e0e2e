"""Everything that one machine needs, started in order, kept alive, ended in the opposite order.

    Postgres, unless one's own  ->  schema  ->  first client and token  ->  API  ->  workers

A stack that was killed leaves a Postgres, which the next one adopts, and children that end by
themselves as soon as they notice.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from tradeoff import __version__, config, errors, installation, supervisor
from tradeoff.store import database, embedded, migrations

logger = logging.getLogger(__name__)

#: How long a process may take to end when asked: it finishes its requests, or its job.
GRACE_SECONDS = 25.0
#: What ends again and again is given up at once, so these are for what is merely slow: imports take
#: a minute where others compute.
LIVE_SECONDS = 240.0
WORKER_SECONDS = 240.0
CHECK_SECONDS = 0.2

Say = Callable[[str], None]


@contextmanager
def running(
    settings: config.Settings,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    workers: int = 1,
    api_processes: int = 1,
    say: Say = logger.info,
    stop: supervisor.Flag | None = None,
) -> Iterator[Stack]:
    """Run everything on one machine while the `with` block lasts.

    Whoever uses this must call `Stack.watch`, in a thread if need be, to have dead parts started
    again. The arguments are those of `up.run`; `stop` ends the waiting for readiness.

    Raises:
        StartError: if a part cannot start; nothing is left running then.
    """
    stop = stop or supervisor.Flag()
    settings = settings.model_copy(update={"data_dir": embedded.prepare(settings.data_dir)})
    data_dir = settings.data_dir
    with ExitStack() as undo:
        lock = supervisor.only_one(installation.lock_path(data_dir), _already(data_dir))
        note = undo.enter_context(lock)
        record = data_dir / "children.json"
        if supervisor.end_leftovers(record):
            say("Ended what a killed `tradeoff up` had left.")
        port = check_port(host, port)
        url = _address(host, port)
        note(json.dumps({"pid": os.getpid(), "url": url}))
        say(f"Tradeoff {__version__}, data in {data_dir}")
        if not is_loopback(host):
            say(
                "  careful   others can reach this in plain HTTP, tokens included: put a proxy "
                "that speaks TLS in front, or listen on 127.0.0.1"
            )
        stack = Stack(settings, url, say)
        undo.callback(stack.close_database)
        stack.open_database()
        stack.start_children(
            record, host=host, port=port, workers=workers, api_processes=api_processes
        )
        undo.callback(stack.stop_children)
        stack.await_ready(stop)
        yield stack


@dataclass
class Stack:
    """The parts of a running installation.

    Attributes:
        settings: what the operator set; `database_url` is `None` for the embedded one.
        url: where the API answers.
        token: the local API token; `None` if there is none to be had.
        token_is_new: the token was made just now.
        link: to the dashboard; signs in once, within minutes. `None` without a token.
    """

    settings: config.Settings
    url: str
    say: Say
    token: str | None = None
    token_is_new: bool = False
    link: str | None = field(default=None, repr=False)
    _environment: dict[str, str] = field(default_factory=dict, repr=False)
    _postgres: embedded.EmbeddedPostgres | None = None
    _supervisor: supervisor.Supervisor | None = None
    _api_log: Path = Path("api.log")
    _pause_seconds: float = 1.0
    _again: float = field(default=0.0, repr=False)

    def open_database(self) -> None:
        """Start Postgres, bring the schema up to date, make the first client and token."""
        address = self.settings.database_url
        if address is None:
            self._postgres = embedded.start(self.settings.data_dir, pg_bin=self.settings.pg_bin)
            address = self._postgres.url
            how = "started" if self._postgres.started else "adopted, it was running"
            self.say(f"  database  Postgres {self._postgres.major}, embedded ({how})")
        else:
            self.say("  database  your own (TRADEOFF_DATABASE_URL)")
        opened = database.connect(address, pool_size=2)
        try:
            opened.check_durability()
            migrations.upgrade(opened.url)
            self.say(f"  schema    {migrations.head()}")
            self.token, self.token_is_new = installation.ensure_token(opened, self.settings)
            if self.token is not None:
                self.link = installation.make_sign_in_link(opened, self.url, self.token)
            self._environment = self.settings.model_copy(
                update={"database_url": opened.url}
            ).environment()
        except errors.Unavailable as error:
            raise errors.StartError(
                "The database does not answer. Is TRADEOFF_DATABASE_URL right, and Postgres up?"
            ) from error
        finally:
            opened.dispose()

    def start_children(
        self, record: Path, *, host: str, port: int, workers: int, api_processes: int
    ) -> None:
        """Start the API and the workers; the first ports of measurements are the API's."""
        logs = self.settings.data_dir / "logs"
        command = [sys.executable, "-m", "tradeoff"]
        serve = [*command, "api", "--supervised", "--host", host, "--port", str(port)]
        names = ["api"]
        if api_processes > 1:
            serve.append("--share-port")
            names = [f"api-{number}" for number in range(1, api_processes + 1)]
        children = [
            supervisor.Child(name, serve, logs / f"{name}.log", GRACE_SECONDS) for name in names
        ]
        self._api_log = children[0].log
        for number in range(1, workers + 1):
            work = [*command, "worker", "--supervised"]
            name = f"worker-{number}"
            children.append(supervisor.Child(name, work, logs / f"{name}.log", GRACE_SECONDS))
        if self.settings.metrics_port is not None:
            # Several cannot have one port; and behind a shared one nobody knows who answers.
            for own, child in enumerate(children, start=self.settings.metrics_port):
                child.command = [*child.command, "--metrics-port", str(own)]
        self._supervisor = supervisor.Supervisor(
            children, environment=self._environment, record=record, say=self.say
        )
        self._supervisor.start()

    def await_ready(self, stop: supervisor.Flag) -> None:
        """Wait until the API answers and a worker was seen, or until `stop` is set.

        Raises:
            StartError: if the API does not come up.
        """
        began = time.monotonic()
        if not self._await("/health/live", stop, LIVE_SECONDS):
            if stop.is_set():
                return
            log = self._api_log
            lines = "\n".join(f"  {line}" for line in supervisor.tail(log, 8))
            raise errors.StartError(f"The API does not come up. The end of {log}:\n{lines}")
        self.say(f"  API       {self.url} ({time.monotonic() - began:.1f} s)")
        if self._await("/health/ready", stop, WORKER_SECONDS):
            self.say(f"  workers   ready ({time.monotonic() - began:.1f} s)")
        elif not stop.is_set():
            self.say(
                f"  workers   none seen after {WORKER_SECONDS:.0f} s; suggestions are "
                f"space-filling meanwhile. See {self.settings.data_dir / 'logs'}"
            )

    def watch(self, stop: supervisor.Flag) -> None:
        """Start again what dies, until `stop` is set."""
        while not stop.wait(CHECK_SECONDS):
            self.check()

    def check(self) -> None:
        """Start again what has died."""
        self._check_postgres()
        if self._supervisor is not None:
            self._supervisor.check()

    def stop_children(self) -> None:
        """End the workers, then the API."""
        if self._supervisor is not None:
            self._supervisor.stop()

    def close_database(self) -> None:
        """Stop the embedded Postgres, unless somebody else uses it."""
        if self._postgres is not None and not self._postgres.leave(patience_seconds=3.0):
            self.say(
                "Postgres is left running, since another program is connected to it; "
                f"`tradeoff db stop --data-dir {self.settings.data_dir}` ends it."
            )

    def _await(self, path: str, stop: supervisor.Flag, seconds: float) -> bool:
        limit = time.monotonic() + seconds
        with httpx.Client(timeout=5.0, trust_env=False) as client:
            while not stop.is_set() and time.monotonic() < limit:
                try:
                    if client.get(f"{self.url}{path}").is_success:
                        return True
                except httpx.TransportError:
                    pass
                if self._supervisor is not None and self._supervisor.is_hopeless():
                    break
                self.check()
                stop.wait(CHECK_SECONDS)
        return False

    def _check_postgres(self) -> None:
        server = self._postgres
        if server is None or server.is_running() or time.monotonic() < self._again:
            return
        self.say("Postgres ended; starting it again")
        try:
            self._postgres = embedded.start(self.settings.data_dir, pg_bin=self.settings.pg_bin)
        except errors.StartError as error:
            self._again = time.monotonic() + self._pause_seconds
            self.say(f"{error.message}\nTrying again in {self._pause_seconds:.0f} s.")
            self._pause_seconds = min(2 * self._pause_seconds, supervisor.LONGEST_PAUSE_SECONDS)
        else:
            self._pause_seconds = 1.0
            self.say("Postgres is back, with all that was stored")


def check_port(host: str, port: int) -> int:
    """Make sure that we can listen there, and return the port (a free one for 0).

    Raises:
        StartError: if another program listens there, or the address is not ours.
    """
    with closing(_bind(host, port, socket.SO_REUSEADDR)) as probe:
        return int(probe.getsockname()[1])


def listen_together(host: str, port: int) -> socket.socket:
    """A socket on an address where others may listen in the same way.

    The system deals new connections out among them, and to those alone that live.

    Raises:
        StartError: if a program listens there that does not share, or the address is not ours.
    """
    return _bind(host, port, socket.SO_REUSEADDR, socket.SO_REUSEPORT)


def _bind(host: str, port: int, *options: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            for option in options:
                bound.setsockopt(socket.SOL_SOCKET, option, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise errors.StartError(
            f"Cannot listen on {host} port {port}: {error.strerror or error}{_listener(port)}. "
            "Choose another with --port."
        ) from error
    return bound


def is_loopback(host: str) -> bool:
    """Tell whether a listening address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listener(port: int) -> str:
    """Say who listens on a port, where the system lets us know."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.pid is not None
            if listens and connection.laddr[1:2] == (port,):
                name = psutil.Process(connection.pid).name()
                return f" by {name} (process {connection.pid})"
    except psutil.Error:
        pass
    return ""


def _address(host: str, port: int) -> str:
    """Return the URL to reach a listening address from this machine."""
    reached = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def _already(data_dir: Path) -> Callable[[str], str]:
    def message(note: str) -> str:
        try:
            holder = json.loads(note)
            who = f" (process {holder['pid']}, {holder['url']})"
        except (ValueError, KeyError):
            who = ""
        return (
            f"`tradeoff up` already runs on {data_dir}{who}. Use that one, stop it first, or "
            "choose another data directory with --data-dir (and another --port)."
        )

    return message

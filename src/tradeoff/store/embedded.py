"""The Postgres that comes along: start or adopt one for a data directory, and stop it.

    DATA_DIR/postgres/         for root a link to a folder of its own below /var/lib/tradeoff, since
        data/                  Postgres then runs as an account that cannot enter DATA_DIR
        run/                   the Unix socket; in the runtime directory instead if the path is long
        local.conf             the operator's own settings, read last; absent until written
    DATA_DIR/logs/postgres.log
    DATA_DIR/postgres.lock     held while starting or stopping, never while it runs

The server is a daemon: whoever starts a process on the data directory later adopts it, so that a
killed `tradeoff up` loses nothing. It listens on the socket alone, in a folder only its owner can
enter, which is why local connections need no password.
"""

from __future__ import annotations

import fcntl
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import psycopg2.extensions

from tradeoff import errors
from tradeoff.store import clusters, database, programs

#: The longest that somebody else may be starting or stopping.
LOCK_SECONDS = 120.0
STOP_SECONDS = 60.0
#: The longest that a session takes to end after its connection was closed.
ENDING_SECONDS = 5.0


@dataclass
class EmbeddedPostgres:
    """A running embedded server, and our hold on it.

    The hold is an open connection: while any process has one, nobody's `leave` stops the server.
    It ends with the process, however that ends.
    """

    #: Address for libpq and SQLAlchemy.
    url: str
    #: Process id of the server.
    pid: int
    #: Major version.
    major: int
    #: True if this call started it, False if it ran already and was adopted.
    started: bool
    _cluster: clusters.Cluster = field(repr=False, compare=False)
    _hold: psycopg2.extensions.connection = field(repr=False, compare=False)
    _process: psutil.Process = field(repr=False, compare=False)

    def is_running(self) -> bool:
        """Tell, cheaply, whether the server's process is still there."""
        try:
            # It knows when it was born, so a number given to another program does not deceive it.
            running = self._process.is_running()
            return running and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def stop(self) -> bool:
        """Stop the server, whoever uses it. True if it was running."""
        self._hold.close()
        return stop(self._cluster.data_dir)

    def leave(self, *, patience_seconds: float = 0.0) -> bool:
        """Let go of the server, and stop it unless another process uses it.

        Args:
            patience_seconds: how long to wait for processes that are just ending.

        Returns:
            True if nobody else used it: then it is stopped.
        """
        # A session ends some time after its connection was closed, late on a busy machine: those
        # of this process are no sign that somebody else uses the server.
        _wait_until_none(lambda: len(self._list_own()), ENDING_SECONDS)
        # One that was interrupted while it connected is never closed.
        for session in self._list_own():
            self._ask("SELECT pg_terminate_backend(%s, 2000)", session)
        _wait_until_none(self.count_others, patience_seconds)
        with _locked(self._cluster.data_dir):
            used = self.count_others() > 0
            session = self._hold.info.backend_pid
            self._hold.close()
            if not used:
                _stop_cluster(self._cluster)
            else:
                # Or whoever leaves next takes our hold for somebody who stays.
                _wait_until_none(lambda: psutil.pid_exists(session), ENDING_SECONDS)
        return not used

    def count_others(self) -> int:
        """Count the connections to the server but our own hold; 0 if it is down."""
        return len(self._list_sessions("%"))

    def _list_own(self) -> list[int]:
        """The sessions of this process but its hold."""
        return self._list_sessions(database.name_sessions("tradeoff%"))

    def _list_sessions(self, name: str) -> list[int]:
        """The sessions of clients but our hold whose name is LIKE `name`."""
        found = self._ask(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
            " AND pid <> pg_backend_pid() AND application_name LIKE %s",
            name,
        )
        return [int(pid) for (pid,) in found]

    def _ask(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows that the server answers; none if it is down."""
        try:
            cursor = self._hold.cursor()
            cursor.execute(statement, parameters)
            return cursor.fetchall()
        except psycopg2.Error:
            return []


def start(data_dir: Path, *, pg_bin: Path | None = None) -> EmbeddedPostgres:
    """Start the server of a data directory, or adopt the one that runs.

    Any number of processes may call this at once: they get one server.

    Args:
        data_dir: made if missing.
        pg_bin: folder of Postgres' programs; `None` searches.

    Raises:
        StartError: if it cannot be; the message says what to do.
    """
    data_dir = prepare(data_dir)
    with _locked(data_dir):
        cluster = clusters.make(data_dir)
        running = _adopt(cluster) or _adopt_or_start(cluster, pg_bin)
        _create_database(running)
        return running


def find_running(data_dir: Path) -> EmbeddedPostgres | None:
    """Return the server of a data directory if it runs and answers; starts nothing.

    Raises:
        StartError: if the directory cannot be read.
    """
    data_dir = data_dir.expanduser().absolute()
    try:
        cluster = clusters.find(data_dir)
        return None if cluster is None else _adopt(cluster)
    except OSError as error:
        raise errors.StartError(
            f"The data directory {data_dir} cannot be read: {error}."
        ) from error


def stop(data_dir: Path) -> bool:
    """Stop the server of a data directory; clients still connected are cut off.

    Returns:
        True if one was running.

    Raises:
        StartError: if it does not stop.
    """
    data_dir = data_dir.expanduser().absolute()
    if (cluster := clusters.find(data_dir)) is None:
        return False
    with _locked(data_dir):
        return _stop_cluster(cluster)


def prepare(data_dir: Path) -> Path:
    """Return the data directory as an absolute path, made if missing, closed to others.

    Raises:
        StartError: if it cannot be used.
    """
    data_dir = data_dir.expanduser().absolute()
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        (data_dir / "logs").mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise errors.StartError(
            f"The data directory {data_dir} cannot be used: {error}. Choose another with "
            "--data-dir or TRADEOFF_DATA_DIR."
        ) from error
    return data_dir


def remove(data_dir: Path) -> None:
    """Stop the server of a data directory and delete its whole database."""
    data_dir = data_dir.expanduser().absolute()
    if (cluster := clusters.find(data_dir)) is not None:
        with _locked(data_dir):
            _stop_cluster(cluster)
            clusters.remove(cluster)


@contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """Hold the data directory's lock; the system frees it when a process dies."""
    limit = time.monotonic() + LOCK_SECONDS
    try:
        lock = (data_dir / "postgres.lock").open("a+")
    except OSError as error:
        raise errors.StartError(
            f"The data directory {data_dir} cannot be written: {error}."
        ) from error
    with lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > limit:
                    raise errors.StartError(
                        f"Another process has been starting or stopping Postgres in {data_dir} for "
                        "more than two minutes. End it, then try again."
                    ) from error
                time.sleep(0.05)
        yield


def _adopt_or_start(cluster: clusters.Cluster, pg_bin: Path | None) -> EmbeddedPostgres:
    """Start the server, unless one is starting already or finds its feet after a crash."""
    account = programs.find_account(cluster.data)
    found = programs.find(account, pg_bin=pg_bin, major=cluster.read_version())
    if not cluster.data.exists():
        cluster.initialise(found)
    elif (running := _adopt(cluster, wait=True)) is not None:
        return running
    cluster.launch(found)
    if (running := _adopt(cluster, wait=True, started=True)) is None:
        raise errors.StartError(cluster.explain("Postgres stopped right after its start"))
    return running


def _adopt(
    cluster: clusters.Cluster, *, wait: bool = False, started: bool = False
) -> EmbeddedPostgres | None:
    """Return the server if it answers.

    Args:
        cluster: whose server.
        wait: while a process works in the data folder, wait for it to answer or to end: it may be
            starting, stopping, or be left over from a server that was killed.
        started: what to say about who started it.
    """
    limit = time.monotonic() + clusters.RECOVERY_SECONDS
    while True:
        if (hold := _connect(cluster)) is not None:
            try:
                process = psutil.Process(cluster.read_pid())
            except (psutil.Error, OSError, ValueError):
                # It was killed this moment.
                hold.close()
                continue
            major = hold.server_version // 10000
            return EmbeddedPostgres(
                cluster.address(), process.pid, major, started, cluster, hold, process
            )
        if not wait or not (working := cluster.list_processes()):
            return None
        if time.monotonic() > limit:
            pids = ", ".join(str(process.pid) for process in working)
            what = f"Postgres (processes {pids}) works in {cluster.data} without answering"
            raise errors.StartError(cluster.explain(what) + "\n`tradeoff db stop` ends it.")
        time.sleep(0.1)


def _connect(cluster: clusters.Cluster) -> psycopg2.extensions.connection | None:
    """Connect to a cluster's server; `None` if it does not answer."""
    if not (cluster.socket / f".s.PGSQL.{clusters.PORT}").exists():
        return None
    connection = None
    try:
        # Not to our own database: nobody could drop or restore that under an open connection.
        connection = psycopg2.connect(
            cluster.address("postgres"), connect_timeout=3, application_name="tradeoff-hold"
        )
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("SHOW data_directory")
        row = cursor.fetchone()
        if row is not None and cluster.data.samefile(row[0]):
            return connection
    except (psycopg2.Error, OSError):
        pass
    if connection is not None:
        connection.close()
    return None


def _create_database(server: EmbeddedPostgres) -> None:
    try:
        cursor = server._hold.cursor()
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (clusters.NAME,))
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {clusters.NAME}")
    except psycopg2.Error as error:
        raise errors.StartError(
            f"Postgres runs, but the database cannot be made: {error}"
        ) from error


def _wait_until_none(count: Callable[[], int], seconds: float) -> None:
    limit = time.monotonic() + seconds
    while count() and time.monotonic() < limit:
        time.sleep(0.02)


def _stop_cluster(cluster: clusters.Cluster) -> bool:
    if not cluster.list_processes():
        return False
    # SIGINT is Postgres' "fast" stop: roll back, disconnect, write the checkpoint.
    # SIGQUIT is a crash that the next start recovers from; nothing committed is lost.
    for number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10.0)):
        cluster.signal(number)
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            if not cluster.list_processes():
                return True
            time.sleep(0.05)
    pids = ", ".join(str(process.pid) for process in cluster.list_processes())
    raise errors.StartError(f"Postgres does not stop. Look at its processes: {pids}.")

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
import hashlib
import os
import secrets
import shutil
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psutil
import psycopg2
import psycopg2.extensions

from tradeoff import errors
from tradeoff.store import programs

START_SECONDS = 60.0
STOP_SECONDS = 60.0
#: A server that replays its log after a crash answers only when it is done.
RECOVERY_SECONDS = 300.0
PORT = 5432
NAME = "tradeoff"
#: The shortest limit of a socket's path among our platforms (macOS), less the socket's own name.
LONGEST_SOCKET_FOLDER = 103 - len(f"/.s.PGSQL.{PORT}")
LOG_BYTES = 20_000_000

CONFIGURATION = """\
# Written anew by Tradeoff at each start. Your own settings go into local.conf, read last.
listen_addresses = ''
port = {port}
unix_socket_directories = '"{socket}"'
unix_socket_permissions = 0700
max_connections = 200
shared_buffers = 128MB
fsync = on
synchronous_commit = on
full_page_writes = on
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
log_line_prefix = '%m [%p] '
# A statement's parameters may hold what a user keeps to himself.
log_parameter_max_length_on_error = 0
include_if_exists = '{local}'
"""


@dataclass
class EmbeddedPostgres:
    """A running embedded server, and our hold on it.

    The hold is an open connection: while any process has one, nobody's `leave` stops the server.
    It ends with the process, however that ends.
    """

    #: Address for libpq and SQLAlchemy.
    url: str
    data_dir: Path
    #: Process id of the server.
    pid: int
    #: Major version.
    major: int
    #: True if this call started it, False if it ran already and was adopted.
    started: bool
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
        return stop(self.data_dir)

    def leave(self, *, patience_seconds: float = 0.0) -> bool:
        """Let go of the server, and stop it unless another process uses it.

        Args:
            patience_seconds: how long to wait for processes that are just ending.

        Returns:
            True if nobody else used it: then it is stopped.
        """
        limit = time.monotonic() + patience_seconds
        while self.count_others() and time.monotonic() < limit:
            time.sleep(0.05)
        with _locked(self.data_dir):
            used = self.count_others() > 0
            self._hold.close()
            if not used:
                _stop(self.data_dir)
        return not used

    def count_others(self) -> int:
        """Count the connections to the server but our own hold; 0 if it is down."""
        try:
            cursor = self._hold.cursor()
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            row = cursor.fetchone()
        except psycopg2.Error:
            return 0
        return int(row[0]) if row else 0


def start(data_dir: Path, *, pg_bin: Path | None = None) -> EmbeddedPostgres:
    """Start the server of a data directory, or adopt the one that runs.

    Any number of processes may call this at once: they get one server.

    Args:
        data_dir: made if missing.
        pg_bin: folder of Postgres' programs; `None` searches.

    Raises:
        StartError: if it cannot be; the message says what to do.
    """
    data_dir = _make(data_dir)
    with _locked(data_dir):
        home = _make_home(data_dir)
        data, socket = home / "data", _socket_folder(home)
        if (running := _adopt(data_dir, data, socket, wait=False)) is not None:
            _create_database(running)
            return running
        account = programs.find_account(data)
        found = programs.find(account, pg_bin=pg_bin, major=_read_version(data))
        if not data.exists():
            _initialise(data, found)
        elif (running := _adopt(data_dir, data, socket, wait=True)) is not None:
            _create_database(running)
            return running
        _launch(data_dir, data, socket, found)
        if (running := _adopt(data_dir, data, socket, wait=True, started=True)) is None:
            raise errors.StartError(_explain(data_dir, "Postgres stopped right after its start"))
        _create_database(running)
        return running


def find_running(data_dir: Path) -> EmbeddedPostgres | None:
    """Return the server of a data directory if it runs and answers; starts nothing."""
    data_dir = data_dir.expanduser().absolute()
    home = data_dir / "postgres"
    try:
        if not (home / "data" / "PG_VERSION").exists():
            return None
        return _adopt(data_dir, home / "data", _socket_folder(home), wait=False)
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
    if not (data_dir / "postgres").exists():
        return False
    with _locked(data_dir):
        return _stop(data_dir)


def remove(data_dir: Path) -> None:
    """Stop the server of a data directory and delete its whole database."""
    stop(data_dir)
    home = data_dir.expanduser().absolute() / "postgres"
    if home.is_symlink():
        shutil.rmtree(home.resolve())
        home.unlink()
    elif home.exists():
        shutil.rmtree(home)


def list_orphans() -> list[Path]:
    """Return root's database folders whose data directory is gone, or uses another one."""
    orphans = []
    for note in programs.ROOT_HOME.glob("*/belongs-to"):
        with suppress(OSError):
            link = Path(note.read_text().strip()) / "postgres"
            if not (link.exists() and link.samefile(note.parent)):
                orphans.append(note.parent)
    return orphans


def _make(data_dir: Path) -> Path:
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


def _stop(data_dir: Path) -> bool:
    data = (data_dir / "postgres").resolve() / "data"
    if not (servers := _processes_in(data)):
        return False
    # SIGINT is Postgres' "fast" stop: roll back, disconnect, write the checkpoint.
    # SIGQUIT is a crash that the next start recovers from; nothing committed is lost.
    for asked, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10.0)):
        _signal_parents(servers, asked)
        limit = time.monotonic() + seconds
        while servers := _processes_in(data):
            if time.monotonic() > limit:
                break
            time.sleep(0.05)
        else:
            return True
    pids = ", ".join(str(process.pid) for process in servers)
    raise errors.StartError(f"Postgres in {data} does not stop. Look at its processes: {pids}.")


@contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """Hold the data directory's lock; the system frees it when a process dies."""
    limit = time.monotonic() + START_SECONDS + STOP_SECONDS
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


def _make_home(data_dir: Path) -> Path:
    """Return the folder that holds the server's own things, made if missing."""
    home = data_dir / "postgres"
    if home.is_dir():
        return home.resolve()
    if os.geteuid() != 0:
        home.mkdir(mode=0o700)
        return home
    # The link, not the name, ties the two: a data directory that was removed and made again gets
    # a new and empty database, one that was moved keeps its own.
    programs.make_root_home()
    account = programs.find_account(home)
    name = "".join(c if c.isalnum() else "-" for c in data_dir.name.strip("."))[:24] or "data"
    owned = programs.ROOT_HOME / f"{name}-{secrets.token_hex(5)}"
    owned.mkdir(mode=0o700)
    account.own(owned)
    (owned / "belongs-to").write_text(f"{data_dir}\n")
    draft = home.with_name(f"postgres.{os.getpid()}")
    draft.symlink_to(owned)
    draft.replace(home)
    return owned


def _socket_folder(home: Path) -> Path:
    """Return the socket's folder: beside the data, or elsewhere if that path is too long."""
    home = home.resolve()
    if len(os.fsencode(home / "run")) <= LONGEST_SOCKET_FOLDER:
        return home / "run"
    name = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    runtime = Path(f"/run/user/{os.geteuid()}")
    if runtime.is_dir() and os.access(runtime, os.W_OK):
        return runtime / f"tradeoff-{name}"
    # Not gettempdir(): two processes with different TMPDIR must meet in one place.
    return Path("/tmp") / f"tradeoff-{os.geteuid()}-{name}"


def _read_version(data: Path) -> int | None:
    """Return the major version of an existing data folder, `None` if there is no folder yet."""
    if not data.exists():
        return None
    try:
        return int((data / "PG_VERSION").read_text().split(".")[0])
    except (OSError, ValueError) as error:
        raise errors.StartError(
            f"{data} exists but is not a Postgres data folder (no readable PG_VERSION). Move it "
            "away or choose another data directory; nothing in it was touched."
        ) from error


def _initialise(data: Path, found: programs.Programs) -> None:
    """Make the data folder, in one step as others see it."""
    for leftover in data.parent.glob("draft-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    draft = data.parent / f"draft-{os.getpid()}"
    options = ["--encoding=UTF8", "--locale=C", "--auth-local=trust", "--auth-host=reject"]
    if found.major >= 17:
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    answer = found.run(
        "initdb", "-D", str(draft), "-U", NAME, *options, timeout_seconds=START_SECONDS
    )
    if answer.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        output = answer.stdout.decode(errors="replace").strip()[-2000:]
        raise errors.StartError(f"initdb could not make the data folder {data}:\n{output}")
    draft.rename(data)


def _launch(data_dir: Path, data: Path, socket: Path, found: programs.Programs) -> None:
    """Start the server in a data folder in which nobody works."""
    # Postgres would trust these, and refuse to start if the process id in them lives: after a crash
    # it may be a zombie's or have been given to another program.
    for stale in (data / "postmaster.pid", *socket.glob(f".s.PGSQL.{PORT}*")):
        stale.unlink(missing_ok=True)
    _make_private(socket, found.account)
    settings = data / "postgresql.conf"
    settings.write_text(
        CONFIGURATION.format(
            port=PORT, socket=_quote(socket), local=_quote(data.parent / "local.conf")
        )
    )
    found.account.own(settings)
    with _open_log(data_dir) as log:
        answer = found.run(
            "pg_ctl", "start", "-D", str(data), "-w", "-t", f"{RECOVERY_SECONDS:.0f}", "-s",
            timeout_seconds=RECOVERY_SECONDS + 10, output=log,
        )  # fmt: skip
    if answer.returncode != 0:
        raise errors.StartError(_explain(data_dir, "Postgres did not start"))


def _adopt(
    data_dir: Path, data: Path, socket: Path, *, wait: bool, started: bool = False
) -> EmbeddedPostgres | None:
    """Return the server if it answers.

    Args:
        data_dir: the data directory.
        data: the server's data folder.
        socket: the folder of its socket.
        wait: while a process works in the data folder, wait for it to answer or to end: it may be
            starting, stopping, or be left over from a server that was killed.
        started: what to say about who started it.
    """
    limit = time.monotonic() + RECOVERY_SECONDS
    while True:
        if (hold := _connect(data, socket)) is not None:
            pid = int((data / "postmaster.pid").read_text().split("\n")[0])
            major = hold.server_version // 10000
            process = psutil.Process(pid)
            return EmbeddedPostgres(address(socket), data_dir, pid, major, started, hold, process)
        if not wait or not (working := _processes_in(data)):
            return None
        if time.monotonic() > limit:
            pids = ", ".join(str(process.pid) for process in working)
            raise errors.StartError(
                _explain(data_dir, f"Postgres (processes {pids}) works in {data} without answering")
                + "\n`tradeoff db stop` ends it."
            )
        time.sleep(0.1)


def _connect(data: Path, socket: Path) -> psycopg2.extensions.connection | None:
    """Connect to the server of a data folder; `None` if it does not answer."""
    if not (socket / f".s.PGSQL.{PORT}").exists():
        return None
    connection = None
    try:
        # Not to our own database: nobody could drop or restore that under an open connection.
        connection = psycopg2.connect(
            address(socket, "postgres"), connect_timeout=3, application_name="tradeoff-hold"
        )
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("SHOW data_directory")
        row = cursor.fetchone()
        if row is not None and data.samefile(row[0]):
            return connection
    except (psycopg2.Error, OSError):
        pass
    if connection is not None:
        connection.close()
    return None


def address(socket: Path, database: str = NAME) -> str:
    """Return the URL of a database behind a socket."""
    return f"postgresql://{NAME}@/{database}?host={quote(str(socket), safe='/')}&port={PORT}"


def _create_database(server: EmbeddedPostgres) -> None:
    try:
        cursor = server._hold.cursor()
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (NAME,))
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {NAME}")
    except psycopg2.Error as error:
        raise errors.StartError(
            f"Postgres runs, but the database cannot be made: {error}"
        ) from error


def _processes_in(data: Path) -> list[psutil.Process]:
    """Return the living Postgres processes that work in a data folder.

    The pid file is not asked: after a crash its number may be a zombie's or another program's.
    """
    working = []
    for process in psutil.process_iter(["name", "status"]):
        try:
            if not (process.info["name"] or "").startswith("postgres"):
                continue
            if process.info["status"] != psutil.STATUS_ZOMBIE and data.samefile(process.cwd()):
                working.append(process)
        except (psutil.Error, OSError):
            # It ended, or it is another user's, and then not ours.
            continue
    return working


def _signal_parents(working: list[psutil.Process], asked: signal.Signals) -> None:
    """Signal the processes whose parent is not among them: to a child it would mean less."""
    pids = {process.pid for process in working}
    for process in working:
        with suppress(psutil.NoSuchProcess):
            if process.ppid() not in pids:
                process.send_signal(asked)


def _make_private(folder: Path, account: programs.Account) -> None:
    """Make the socket's folder, or make sure that nobody else made it: /tmp is everybody's."""
    folder.mkdir(mode=0o700, exist_ok=True)
    met = folder.lstat()
    owner = os.geteuid() if account.uid is None else account.uid
    if not stat.S_ISDIR(met.st_mode) or met.st_uid not in (owner, os.geteuid()):
        raise errors.StartError(
            f"The folder {folder} for Postgres' socket belongs to somebody else."
        )
    folder.chmod(0o700)
    account.own(folder)


def _quote(path: Path) -> str:
    return str(path).replace("'", "''")


def _open_log(data_dir: Path) -> IO[bytes]:
    log = data_dir / "logs" / "postgres.log"
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    return log.open("ab")


def _explain(data_dir: Path, what: str) -> str:
    """Say what happened, with the end of the server's own log."""
    log = data_dir / "logs" / "postgres.log"
    lines = log.read_text(errors="replace").splitlines()[-8:] if log.exists() else []
    return "\n".join([f"{what}. The end of {log}:", *(f"  {line}" for line in lines)])

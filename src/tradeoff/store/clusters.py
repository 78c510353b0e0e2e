"""One embedded server on disk and in the process table: its folders, its making, its processes.

`tradeoff.store.embedded` decides when to do what is here, and holds the lock meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import signal
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psutil

from tradeoff import errors
from tradeoff.store import programs

INITIALISE_SECONDS = 60.0
#: A server that replays its log after a crash answers only when it is done.
RECOVERY_SECONDS = 300.0
PORT = 5432
#: Of the database and of its user.
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


@dataclass(frozen=True, slots=True)
class Cluster:
    """The server of a data directory, running or not.

    Attributes:
        data_dir: the data directory.
        home: the folder of the server's own things, links resolved; it need not exist.
    """

    data_dir: Path
    home: Path

    @property
    def data(self) -> Path:
        """Postgres' own files."""
        return self.home / "data"

    @property
    def socket(self) -> Path:
        """The socket's folder: beside the data, or elsewhere if that path is too long."""
        if len(os.fsencode(self.home / "run")) <= LONGEST_SOCKET_FOLDER:
            return self.home / "run"
        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        owner = self.home.stat().st_uid if self.home.exists() else os.geteuid()
        runtime = Path(f"/run/user/{owner}")
        if runtime.is_dir() and os.access(runtime, os.W_OK):
            return runtime / f"tradeoff-{name}"
        # Not gettempdir(): two processes with different TMPDIR must meet in one place.
        return Path("/tmp") / f"tradeoff-{owner}-{name}"

    @property
    def log(self) -> Path:
        """What the server writes."""
        return self.data_dir / "logs" / "postgres.log"

    def address(self, database: str = NAME) -> str:
        """Return the URL of one of the server's databases."""
        host = quote(str(self.socket), safe="/")
        return f"postgresql://{NAME}@/{database}?host={host}&port={PORT}"

    def read_version(self) -> int | None:
        """Return the major version of the data folder, `None` if there is no folder yet.

        Raises:
            StartError: if there is a folder, and it is none of Postgres'.
        """
        if not self.data.exists():
            return None
        try:
            return int((self.data / "PG_VERSION").read_text().split(".")[0])
        except (OSError, ValueError) as error:
            raise errors.StartError(
                f"{self.data} exists but is not a Postgres data folder (no readable PG_VERSION). "
                "Move it away or choose another data directory; nothing in it was touched."
            ) from error

    def read_pid(self) -> int:
        """Return the process id that the server wrote down; of use only while it answers."""
        return int((self.data / "postmaster.pid").read_text().split("\n")[0])

    def initialise(self, found: programs.Programs) -> None:
        """Make the data folder, in one step as others see it.

        Raises:
            StartError: if it cannot be made.
        """
        for leftover in self.home.glob("draft-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        draft = self.home / f"draft-{os.getpid()}"
        options = ["--encoding=UTF8", "--locale=C", "--auth-local=trust", "--auth-host=reject"]
        if found.major >= 17:
            options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        answer = found.run(
            "initdb", "-D", str(draft), "-U", NAME, *options, timeout_seconds=INITIALISE_SECONDS
        )
        if answer.returncode != 0:
            shutil.rmtree(draft, ignore_errors=True)
            output = answer.stdout.decode(errors="replace").strip()[-2000:]
            raise errors.StartError(f"initdb could not make the data folder {self.data}:\n{output}")
        draft.rename(self.data)

    def launch(self, found: programs.Programs) -> None:
        """Start the server in its data folder, in which nobody works.

        Raises:
            StartError: if it does not start.
        """
        socket = self.socket
        # Postgres would trust these, and refuse to start if the process id in them lives: after a
        # crash it may be a zombie's or have been given to another program.
        for stale in (self.data / "postmaster.pid", *socket.glob(f".s.PGSQL.{PORT}*")):
            stale.unlink(missing_ok=True)
        _make_private(socket, found.account)
        settings = self.data / "postgresql.conf"
        local = _quote(self.home / "local.conf")
        settings.write_text(CONFIGURATION.format(port=PORT, socket=_quote(socket), local=local))
        found.account.own(settings)
        with self._open_log(found.account) as log:
            answer = found.run(
                "pg_ctl", "start", "-D", str(self.data), "-w", "-s",
                "-t", f"{RECOVERY_SECONDS:.0f}",
                timeout_seconds=RECOVERY_SECONDS + 10, output=log,
            )  # fmt: skip
        if answer.returncode != 0:
            raise errors.StartError(self.explain("Postgres did not start"))

    def list_processes(self) -> list[psutil.Process]:
        """Return the living Postgres processes that work in the data folder.

        The pid file is not asked: after a crash its number may be a zombie's or another program's.
        """
        working = []
        for process in psutil.process_iter(["name", "status"]):
            try:
                if not (process.info["name"] or "").startswith("postgres"):
                    continue
                is_zombie = process.info["status"] == psutil.STATUS_ZOMBIE
                if not is_zombie and self.data.samefile(process.cwd()):
                    working.append(process)
            except (psutil.Error, OSError):
                # It ended, or it is another user's, and then not ours.
                continue
        return working

    def signal(self, number: signal.Signals) -> None:
        """Signal the server: not its children, to whom it would mean less, unless it is gone."""
        working = self.list_processes()
        pids = {process.pid for process in working}
        for process in working:
            with suppress(psutil.NoSuchProcess):
                if process.ppid() not in pids:
                    process.send_signal(number)

    def explain(self, what: str) -> str:
        """Say what happened, with the end of the server's own log."""
        lines = []
        if self.log.exists():
            lines = self.log.read_text(errors="replace").splitlines()[-8:]
        return "\n".join([f"{what}. The end of {self.log}:", *(f"  {line}" for line in lines)])

    def _open_log(self, account: programs.Account) -> IO[bytes]:
        try:
            if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
                self.log.replace(self.log.with_suffix(".log.1"))
            opened = self.log.open("ab")
        except OSError as error:
            raise errors.StartError(f"Postgres' log cannot be written: {error}.") from error
        account.own(self.log)
        return opened


def find(data_dir: Path) -> Cluster | None:
    """Return the cluster of a data directory, `None` if it never had one."""
    home = data_dir / "postgres"
    return Cluster(data_dir, home.resolve()) if home.is_dir() else None


def make(data_dir: Path) -> Cluster:
    """Return the cluster of a data directory, its folder made if missing.

    Raises:
        StartError: if the folder cannot be made.
    """
    if (found := find(data_dir)) is not None:
        return found
    home = data_dir / "postgres"
    try:
        if os.geteuid() == 0:
            _make_for_root(data_dir, home)
        else:
            home.mkdir(mode=0o700)
    except OSError as error:
        raise errors.StartError(f"The folder for Postgres cannot be made: {error}.") from error
    return Cluster(data_dir, home.resolve())


def remove(cluster: Cluster) -> None:
    """Delete a cluster, which does not run, and all that is in it."""
    shutil.rmtree(cluster.home)
    link = cluster.data_dir / "postgres"
    if link.is_symlink():
        link.unlink()


def list_orphans() -> list[Path]:
    """Return root's database folders whose data directory is gone, or uses another one."""
    orphans = []
    for note in programs.ROOT_HOME.glob("*/belongs-to"):
        with suppress(OSError):
            link = Path(note.read_text().strip()) / "postgres"
            if not (link.exists() and link.samefile(note.parent)):
                orphans.append(note.parent)
    return orphans


def _make_for_root(data_dir: Path, home: Path) -> None:
    # The link, not the name, ties the two: a data directory that was removed and made again gets
    # a new and empty database, one that was moved keeps its own.
    programs.make_root_home()
    name = "".join(c if c.isalnum() else "-" for c in data_dir.name.strip("."))[:24] or "data"
    owned = programs.ROOT_HOME / f"{name}-{secrets.token_hex(5)}"
    owned.mkdir(mode=0o700)
    programs.find_account(home).own(owned)
    (owned / "belongs-to").write_text(f"{data_dir}\n")
    draft = home.with_name(f"postgres.{os.getpid()}")
    draft.symlink_to(owned)
    draft.replace(home)


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

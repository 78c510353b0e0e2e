"""A real Postgres for everybody: one server a run, one fresh database a test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
import pytest
from psycopg2 import sql
from sqlalchemy.engine import make_url

from tests.commands import command
from tests.serving import serve

__all__ = ["command"]

if TYPE_CHECKING:
    from tradeoff.store.database import Database

#: What searches, trains or starts many processes. It goes first where tests run side by side, or
#: one core would still be at it when the others have nothing left.
LONGEST = (
    "faults/test_soak.py",
    "api/test_fuzz.py",
    "quality",
    "faults",
    "journeys",
    "integrations",
    "examples",
    "demo",
    "store/test_plans.py",
    "worker",
    "test_cli.py",
    "client/test_resend.py",
    "web/test_results.py",
    "store/test_embedded.py",
    "engine",
)

# Threads of linear algebra only fight each other on small machines.
os.environ.setdefault("OMP_NUM_THREADS", "1")


# All tests come from one address, and many are about tokens and ids that there are not.
os.environ["TRADEOFF_WRONG_TOKENS_PER_MINUTE"] = "1000000"
os.environ["TRADEOFF_UNKNOWN_IDS_PER_TEN_MINUTES"] = "1000000"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest; the order stays as it was otherwise."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    path = item.path.relative_to(Path(__file__).parent)
    for rank, each in enumerate(LONGEST):
        if path.is_relative_to(each):
            return rank
    return len(LONGEST)


@pytest.fixture(autouse=True, scope="session")
def spool_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where clients keep what they cannot deliver: never in the home directory."""
    folder = tmp_path_factory.mktemp("spool")
    os.environ["TRADEOFF_SPOOL_DIR"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an embedded Postgres that lives as long as the run."""
    from tradeoff.store import embedded

    folder = tmp_path_factory.mktemp("tradeoff")
    yield embedded.start(folder).url
    embedded.remove(folder)


@pytest.fixture(scope="session")
def template(postgres_url: str) -> str:
    """The name of a database with every migration applied, to be copied."""
    from tradeoff.store import migrations

    name = "template_" + uuid.uuid4().hex[:8]
    _administer(postgres_url, "create database {}", name)
    migrations.upgrade(_url_of(postgres_url, name))
    return name


@pytest.fixture
def database_url(postgres_url: str, template: str) -> Iterator[str]:
    """The address of an empty, migrated database of this test's own."""
    name = "test_" + uuid.uuid4().hex[:12]
    _administer(postgres_url, "create database {} template {}", name, template)
    yield _url_of(postgres_url, name)
    _administer(postgres_url, "drop database {} with (force)", name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A `store.database.Database` on `database_url`."""
    from tradeoff.store.database import connect

    connected = connect(database_url)
    yield connected
    connected.dispose()


@dataclass(frozen=True)
class Account:
    """A client and the secrets of its tokens."""

    client_id: int
    token: str
    development_token: str


@pytest.fixture
def account(database: Database) -> Account:
    """A client with its first tokens."""
    from tests.builders import make_account

    return make_account(database, "Acme")


@dataclass(frozen=True)
class LiveServer:
    """The real app behind a real socket, with a real worker when the test asked for one."""

    url: str
    token: str
    client_id: int
    database_url: str


@pytest.fixture
def live_server(database_url: str, account: Account, tmp_path: Path) -> Iterator[LiveServer]:
    """The API over HTTP on a free port, without a worker."""
    from tradeoff.config import Settings
    from tradeoff.server import create_app

    settings = Settings(
        database_url=database_url,
        data_dir=tmp_path,
        suggestion_wait_seconds=0.2,
        paused_wait_seconds=0.2,
    )
    with serve(create_app(settings)) as url:
        yield LiveServer(url, account.token, account.client_id, database_url)


def _administer(url: str, statement: str, *names: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(*(sql.Identifier(name) for name in names)))
    connection.close()


def _url_of(server_url: str, name: str) -> str:
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)

"""A database for a whole module, for tests that leave nothing behind."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.builders import make_account, make_experiment
from tests.conftest import Account, _administer, _url_of
from tests.crowd import THREADS
from tradeoff.store import buffer
from tradeoff.store.database import Database, Session, connect


class RollBack(Exception):
    """Ends a transaction without a trace."""


@pytest.fixture(scope="module")
def shared_database(postgres_url: str, template: str) -> Iterator[Database]:
    """One database for all tests of a module: what they commit, the others see."""
    name = "shared_" + uuid.uuid4().hex[:12]
    _administer(postgres_url, "create database {} template {}", name, template)
    database = connect(_url_of(postgres_url, name))
    yield database
    database.dispose()
    _administer(postgres_url, "drop database {} with (force)", name)


@pytest.fixture(scope="module")
def shared_account(shared_database: Database) -> Account:
    """A client of the shared database."""
    return make_account(shared_database, "Acme")


@pytest.fixture
def session(shared_database: Database) -> Iterator[Session]:
    """A transaction on the shared database that is rolled back at the end of the test."""
    try:
        with shared_database.transaction() as session:
            yield session
            raise RollBack
    except RollBack:
        pass


@pytest.fixture(scope="module")
def wide(shared_database: Database) -> Iterator[Database]:
    """The shared database with a connection for each thread."""
    database = connect(shared_database.url, pool_size=THREADS + 2)
    yield database
    database.dispose()


@pytest.fixture
def experiment_id(shared_database: Database, shared_account: Account) -> int:
    """An experiment with an empty buffer."""
    row_id = make_experiment(shared_database, shared_account)
    with shared_database.transaction() as session:
        buffer.delete_ready(session, row_id)
    return row_id

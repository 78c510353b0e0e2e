"""One API process on a real socket and a real Postgres; each test has a client of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import psycopg2
import pytest
from psycopg2 import sql
from sqlalchemy.engine import make_url

from tests.api.caller import Caller, ok
from tests.builders import make_account
from tests.serving import serve
from tradeoff.api.app import build_api
from tradeoff.config import Settings
from tradeoff.store import database as databases

if TYPE_CHECKING:
    from fastapi import FastAPI

#: How long asking for a suggestion waits in these tests.
WAIT_SECONDS = 0.4


@pytest.fixture(scope="session")
def shared_url(postgres_url: str, template: str) -> str:
    """The address of one migrated database for all tests of the API."""
    name = "api_" + uuid.uuid4().hex[:8]
    connection = psycopg2.connect(postgres_url)
    connection.autocommit = True
    copy = sql.SQL("create database {} template {}")
    with connection.cursor() as cursor:
        cursor.execute(copy.format(sql.Identifier(name), sql.Identifier(template)))
    connection.close()
    return make_url(postgres_url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def shared(shared_url: str) -> Iterator[databases.Database]:
    """The database behind the API, for looking and for preparing."""
    database = databases.connect(shared_url, pool_size=4)
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def app(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """The app that `base_url` serves."""
    settings = Settings(
        database_url=shared_url,
        data_dir=tmp_path_factory.mktemp("api"),
        suggestion_wait_seconds=WAIT_SECONDS,
        paused_wait_seconds=WAIT_SECONDS,
    )
    return build_api(databases.connect(shared_url, pool_size=10), settings)


@pytest.fixture(scope="session")
def base_url(app: FastAPI) -> Iterator[str]:
    """Where the API answers."""
    with serve(app) as url:
        yield url


@pytest.fixture(scope="session")
def http(base_url: str) -> Iterator[httpx.Client]:
    """Kept connections to the API."""
    with httpx.Client(base_url=base_url, timeout=30) as client:
        yield client


@pytest.fixture
def api(http: httpx.Client, shared: databases.Database) -> Caller:
    """A client of its own, with a token that may write."""
    account = make_account(shared, "Acme")
    return Caller(http, account.token, account.client_id, account.development_token)


@pytest.fixture
def other(http: httpx.Client, shared: databases.Database) -> Caller:
    """Another client."""
    account = make_account(shared, "Others")
    return Caller(http, account.token, account.client_id, account.development_token)


@pytest.fixture(scope="session")
def standing(http: httpx.Client, shared: databases.Database) -> Caller:
    """A client for tests that change nothing."""
    account = make_account(shared, "Standing")
    return Caller(http, account.token, account.client_id, account.development_token)


@pytest.fixture
def project(api: Caller) -> str:
    """Where a project of the caller is."""
    path = f"/v1/clients/{api.client_id}/projects"
    ok(api.post(path, {"id": "gears", "name": "Gears"}))
    return f"{path}/gears"

"""The whole web process on a real socket and a real Postgres; each test has a client of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser

from tests.api.caller import Caller
from tests.builders import make_account
from tests.conftest import _administer, _url_of
from tests.serving import serve
from tests.web.browsing import Watched, run_chromium
from tests.web.visitor import OPENED, Visitor
from tradeoff.config import Settings
from tradeoff.server import create_app
from tradeoff.service import accounts
from tradeoff.store import database as databases


@pytest.fixture(autouse=True)
def _close_visitors() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


@pytest.fixture(scope="session")
def web_database_url(postgres_url: str, template: str) -> str:
    """The address of one migrated database for all tests of the dashboard."""
    name = "web_" + uuid.uuid4().hex[:8]
    _administer(postgres_url, "create database {} template {}", name, template)
    return _url_of(postgres_url, name)


@pytest.fixture(scope="session")
def shared(web_database_url: str) -> Iterator[databases.Database]:
    """The database behind the pages, for looking and for preparing."""
    database = databases.connect(web_database_url, pool_size=4)
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def base_url(web_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the dashboard and the API answer."""
    settings = Settings(
        database_url=web_database_url,
        data_dir=tmp_path_factory.mktemp("web"),
        suggestion_wait_seconds=0.2,
        paused_wait_seconds=0.2,
    )
    with serve(create_app(settings)) as url:
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


@pytest.fixture
def visitor(api: Caller, base_url: str) -> Visitor:
    """Somebody of `api`'s client who may write, signed in."""
    return Visitor(base_url).sign_in(api.token)


def token_of(shared: databases.Database, api: Caller, role: str) -> str:
    """Another token of `api`'s client."""
    with shared.transaction() as session:
        return accounts.create_token(session, client_id=api.client_id, role=role)[1]


@pytest.fixture
def reader(api: Caller, base_url: str, shared: databases.Database) -> Visitor:
    """Somebody of `api`'s client who may only read, signed in."""
    return Visitor(base_url).sign_in(token_of(shared, api, "read"))


@pytest.fixture
def admin(api: Caller, base_url: str, shared: databases.Database) -> Visitor:
    """Somebody of `api`'s client who may do everything, signed in."""
    return Visitor(base_url).sign_in(token_of(shared, api, "admin"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for the tests of one module."""
    with run_chromium() as running:
        yield running


@pytest.fixture
def watched(browser: Browser, base_url: str) -> Iterator[Watched]:
    """A page of it that nobody is signed in on, watched for what must not happen."""
    context = browser.new_context()
    context.set_default_timeout(60_000)
    found = Watched(context.new_page(), base_url)
    yield found
    found.check()
    context.close()

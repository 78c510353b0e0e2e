"""One client for all tests of a module."""

from __future__ import annotations

import httpx
import pytest

from tests.api.caller import Caller, ok
from tests.builders import make_account
from tradeoff.store.database import Database


@pytest.fixture(scope="module")
def us(http: httpx.Client, shared: Database) -> Caller:
    """A client of this module's own."""
    account = make_account(shared, "Conformance")
    return Caller(http, account.token, account.client_id, account.development_token)


@pytest.fixture(scope="module")
def them(http: httpx.Client, shared: Database) -> Caller:
    """Another client."""
    account = make_account(shared, "Others")
    return Caller(http, account.token, account.client_id, account.development_token)


@pytest.fixture(scope="module")
def developer(us: Caller) -> Caller:
    """We, with our development token."""
    return us.as_token(us.development_token)


@pytest.fixture(scope="module")
def project(us: Caller) -> str:
    """Where our project is."""
    path = f"/v1/clients/{us.client_id}/projects"
    ok(us.post(path, {"id": "gears", "name": "Gears"}))
    return f"{path}/gears"

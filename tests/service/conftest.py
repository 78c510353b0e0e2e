"""A rolled-back transaction for each test, and whom it asks as."""

from __future__ import annotations

import pytest

from tests.conftest import Account
from tests.store.conftest import session, shared_account, shared_database, wide
from tradeoff.service import access
from tradeoff.service.access import Principal
from tradeoff.store.database import Session

__all__ = ["principal", "session", "shared_account", "shared_database", "wide"]


@pytest.fixture
def principal(session: Session, shared_account: Account) -> Principal:
    """The holder of the client's API token."""
    return access.authenticate(session, shared_account.token)

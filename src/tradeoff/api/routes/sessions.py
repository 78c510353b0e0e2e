"""Sessions: who is asking."""

from __future__ import annotations

from tradeoff.api import render
from tradeoff.api.wire.accounts import Session as Answer
from tradeoff.api.wire.queries import Fetch
from tradeoff.service.access import Principal
from tradeoff.store import accounts
from tradeoff.store.database import Session


def fetch(session: Session, principal: Principal, secret: str, query: Fetch) -> Answer:
    """Tell who is asking.

    The token that the request carries, and its client.
    """
    token = accounts.get_token(session, principal.token_id)
    return Answer(
        api_token=render.token(token, secret, organization_id=principal.organization_id),
        client=render.client(accounts.get_client(session, principal.client_id)),
    )

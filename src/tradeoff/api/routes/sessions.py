"""Sessions: who is asking."""

from __future__ import annotations

from tradeoff.api import render
from tradeoff.api.wire.accounts import Session as Answer
from tradeoff.api.wire.queries import Fetch
from tradeoff.service.access import Principal
from tradeoff.store import accounts, users
from tradeoff.store.database import Session


def fetch(session: Session, principal: Principal, secret: str, query: Fetch) -> Answer:
    """Tell who is asking.

    The token that the request carries, its client, and whose it is.
    """
    token = accounts.get_token(session, principal.token_id)
    user = None
    if token.user_id is not None:
        user = render.user(users.get(session, principal.organization_id, token.user_id))
    return Answer(
        api_token=render.token(token, secret, organization_id=principal.organization_id),
        client=render.client(accounts.get_client(session, principal.client_id)),
        user=user,
    )

"""Tokens: the keys to this API."""

from __future__ import annotations

from tradeoff.api import render
from tradeoff.api.wire.accounts import Token
from tradeoff.api.wire.queries import Fetch
from tradeoff.service.access import Principal
from tradeoff.store import tables


def fetch(principal: Principal, secret: str, token: tables.Token, query: Fetch) -> Token:
    """Fetch your token.

    `self` names it without showing it in the address.
    """
    return render.token(token, secret, organization_id=principal.organization_id)

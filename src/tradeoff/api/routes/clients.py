"""Clients: the teams that experiments belong to."""

from __future__ import annotations

from tradeoff.api import render
from tradeoff.api.wire.accounts import Client
from tradeoff.api.wire.queries import Fetch
from tradeoff.store import tables


def fetch(client: tables.Client, query: Fetch) -> Client:
    """Fetch your client."""
    return render.client(client)

"""The other addresses that SigOpt's client prints: projects, and one's token."""

from __future__ import annotations

from tradeoff.store import accounts, projects
from tradeoff.web.routing import Answer, Html
from tradeoff.web.visit import Visit


def show_projects(visit: Visit) -> Answer:
    """The projects of a client."""
    found = projects.list_all(visit.session, visit.who.client_id)
    overviews = projects.list_overviews(visit.session, [row.id for row in found])
    return Html("projects.html", {"rows": found, "overviews": overviews})


def show_token(visit: Visit) -> Answer:
    """What one's token is, and where it is to be put."""
    token = accounts.get_token(visit.session, visit.who.token_id)
    client = accounts.get_client(visit.session, visit.who.client_id)
    return Html("token.html", {"token": token, "client": client})

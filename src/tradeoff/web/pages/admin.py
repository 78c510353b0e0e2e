"""Administration: tokens, clients, and how the installation does."""

from __future__ import annotations

import datetime

from tradeoff.errors import BadInput, NotFound
from tradeoff.service import accounts, operations
from tradeoff.spec.values import check_name
from tradeoff.store import accounts as stored
from tradeoff.store import users
from tradeoff.web.routing import Answer, Html, Redirect
from tradeoff.web.visit import Visit

MAX_DAYS = 3_660


def show(visit: Visit) -> Answer:
    """All of it."""
    return _page(visit)


def _page(
    visit: Visit, *, refusal: str | None = None, secrets: dict[str, str] | None = None
) -> Html:
    tokens = stored.list_working_tokens(visit.session, visit.who.client_id)
    people = users.list_all(visit.session, visit.who.organization_id)
    context = {
        "operations": operations.read(visit.session, visit.who.client_id),
        "client": stored.get_client(visit.session, visit.who.client_id),
        "clients": stored.list_clients_of(visit.session, visit.who.organization_id),
        "tokens": tokens,
        "people": people,
        "names": {person.id: person.name for person in people},
        "permissions": _permissions(visit),
        "roles": accounts.ROLES,
        "refusal": refusal,
        "secrets": secrets or {},
        "filled": visit.form,
    }
    return Html("admin.html", context, status=200 if refusal is None else 400)


def _permissions(visit: Visit) -> dict[int, list[tuple[str, str]]]:
    """By user the clients in which they may do something, and what."""
    found: dict[int, list[tuple[str, str]]] = {}
    for user, client, role in users.list_permissions(visit.session, visit.who.organization_id):
        found.setdefault(user.id, []).append((client.name, role))
    return found


def create_token(visit: Visit) -> Answer:
    """Make a token of the client; it is shown this once."""
    try:
        name = _name(visit)
        days = visit.form.number("days")
        if days is not None and not 0 < days <= MAX_DAYS:
            raise BadInput(f"days: must be above 0 and at most {MAX_DAYS}")
        expires = None
        if days is not None:
            expires = stored.now(visit.session) + datetime.timedelta(days=days)
        _, secret = accounts.create_token(
            visit.session,
            client_id=visit.who.client_id,
            role=visit.form.text("role"),
            name=name,
            development=visit.form.has("development"),
            expires=expires,
        )
    except BadInput as error:
        return _page(visit, refusal=error.message)
    return _page(visit, secrets={name: secret})


def revoke_token(visit: Visit) -> Answer:
    """End a token of the client at once, and every session of it."""
    number = visit.number("token")
    if number not in {
        token.id for token in stored.list_working_tokens(visit.session, visit.who.client_id)
    }:
        raise NotFound("There is no such token.")
    accounts.revoke_token(visit.session, number)
    return Redirect("/admin")


def create_client(visit: Visit) -> Answer:
    """Make a client of the same organization; its tokens are shown this once."""
    try:
        client, secrets = accounts.create_client(
            visit.session, name=_name(visit), organization_id=visit.who.organization_id
        )
    except BadInput as error:
        return _page(visit, refusal=error.message)
    return _page(visit, secrets={f"{client.name}: {kind}": s for kind, s in secrets.items()})


def _name(visit: Visit) -> str:
    try:
        return check_name(visit.form.text("name"))
    except ValueError as error:
        raise BadInput(f"name: {error}") from error

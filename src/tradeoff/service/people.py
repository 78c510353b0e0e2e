"""Users: add, change, remove; and what they may do in the clients of their organization."""

from __future__ import annotations

from typing import Any

from tradeoff.errors import BadInput, NotFound
from tradeoff.service import audit
from tradeoff.store import accounts, tables, users
from tradeoff.store.database import Session


def create(
    session: Session, *, client: tables.Client, name: str, email: str, role: str
) -> tables.User:
    """A new user of the client's organization, with a role in this client.

    Raises:
        Conflict: when the organization has one with this address.
    """
    user = users.insert(session, organization_id=client.organization_id, name=name, email=email)
    users.put_role(session, user.id, client.id, role)
    _note(session, "user.create", user, role=role, client=client.id)
    return user


def change(session: Session, user: tables.User, *, name: str | None, email: str | None) -> None:
    """Change what is given, and leave the rest.

    Raises:
        Conflict: when another one of the organization has the address.
    """
    # The names of people are no concern of a log that nobody can correct.
    told = [word for word, given in (("name", name), ("email", email)) if given]
    users.update(session, user, name=name or user.name, email=email or user.email)
    _note(session, "user.update", user, changed=told)


def permit(session: Session, user: tables.User, client_id: int, role: str | None) -> None:
    """Say what a user may do in a client, with `None` nothing.

    The tokens that the user has there end when it is less than before: none may do more than
    its holder.

    Raises:
        BadInput: when their organization has no such client.
    """
    missing = BadInput(f"client: there is no client {client_id}")
    try:
        client = accounts.get_client(session, client_id)
    except NotFound:
        raise missing from None
    if client.organization_id != user.organization_id:
        raise missing
    before = users.find_role(session, user.id, client_id)
    users.put_role(session, user.id, client_id, role)
    if _rank(role) < _rank(before):
        accounts.revoke_of_user(session, user.id, client_id)
    _note(session, "user.permit", user, client=client_id, role={"from": before, "to": role})


def require_role(session: Session, user_id: int, client: tables.Client, role: str) -> None:
    """Stop a token for a user who may not do that much in a client.

    Raises:
        BadInput: then, and when there is no such user.
    """
    try:
        user = users.get(session, client.organization_id, user_id)
    except NotFound as error:
        raise error.in_field("user") from error
    held = users.find_role(session, user.id, client.id)
    if _rank(held) < _rank(role):
        raise BadInput(
            f"role: user {user_id} may {held or 'do nothing'} in client {client.id}, not {role}"
        )


def delete(session: Session, user: tables.User) -> None:
    """Remove a user; their tokens end at once, in every process."""
    user.deleted = True
    accounts.revoke_of_user(session, user.id)
    _note(session, "user.delete", user)


def _note(session: Session, action: str, user: tables.User, **details: Any) -> None:
    audit.note(
        session,
        action,
        client=None,
        organization_id=user.organization_id,
        kind="user",
        object_id=user.id,
        details=details,
    )


def _rank(role: str | None) -> int:
    return (None, "read", "write", "admin").index(role)

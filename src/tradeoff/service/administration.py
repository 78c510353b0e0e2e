"""What an administrator's token reaches: the clients, users and tokens of its organization.

That is a reach of its own: the experiments of another client stay hidden from it.
"""

from __future__ import annotations

import hmac

from tradeoff.errors import NotAllowed, NotFound
from tradeoff.service import access
from tradeoff.service.access import Principal
from tradeoff.store import accounts, tables, users
from tradeoff.store.database import Session


def require_admin(principal: Principal) -> None:
    """Stop a token that may not administer.

    Raises:
        NotAllowed: then.
    """
    access.require_whole_client(principal)
    access.require_production(principal)
    if principal.role != "admin":
        raise NotAllowed(
            "This API token may not administer; that takes one with the role admin.",
            token_status="invalid_permissions",
        )


def is_admin(principal: Principal) -> bool:
    """Whether a token may administer."""
    try:
        require_admin(principal)
    except NotAllowed:
        return False
    return True


def get_client(session: Session, principal: Principal, client_id: int) -> tables.Client:
    """A client of the organization, for an administrator; others see their own, and may nothing.

    Raises:
        NotFound: when there is none for this principal.
        NotAllowed: when the principal does not administer.
    """
    missing = NotFound(f"There is no client {client_id}")
    try:
        client = accounts.get_client(session, client_id)
    except NotFound:
        raise missing from None
    is_own = client_id == principal.client_id
    is_of_organization = client.organization_id == principal.organization_id
    if not (is_own or (is_of_organization and is_admin(principal))):
        raise missing
    require_admin(principal)
    return client


def get_organization(
    session: Session, principal: Principal, organization_id: int
) -> tables.Organization:
    """The principal's organization.

    Raises:
        NotFound: for any other.
        NotAllowed: when the principal does not administer.
    """
    row = access.get_organization(session, principal, organization_id)
    require_admin(principal)
    return row


def get_user(
    session: Session, principal: Principal, user_id: int, *, write: bool = False
) -> tables.User:
    """A user of the organization: any for an administrator, for others themselves.

    Raises:
        NotFound: when there is none for this principal.
        NotAllowed: when they may see themselves and not change.
    """
    user = users.get(session, principal.organization_id, user_id)
    if not is_admin(principal):
        own = accounts.get_token(session, principal.token_id)
        if own.user_id != user_id:
            raise NotFound(f"There is no user {user_id}")
        if write:
            access.require_write(principal)
    return user


def get_token(
    session: Session, principal: Principal, which: str, *, write: bool = False
) -> tables.Token:
    """A token: `self`, a secret, a number, or the characters that lists show.

    A token reaches itself and those that it made; an administrator's all of the organization.

    Raises:
        NotFound: when there is none for this principal.
        NotAllowed: when it may be seen and not changed.
    """
    own = accounts.get_token(session, principal.token_id)
    digest = access.hash_secret(which)
    if which == "self" or hmac.compare_digest(digest, own.hash):
        token = own
    else:
        token = _find_token(session, principal, which, digest)
    if write:
        access.require_write(principal)
    return token


def _find_token(session: Session, principal: Principal, which: str, digest: bytes) -> tables.Token:
    missing = NotFound("There is no such token")
    if (known := accounts.find_token(session, digest)) is not None:
        found = [accounts.get_token(session, known.token_id)]
        organization_id = known.organization_id
    else:
        found = list(accounts.find_tokens(session, principal.organization_id, which))
        organization_id = principal.organization_id
    if len(found) != 1 or organization_id != principal.organization_id:
        raise missing
    (token,) = found
    if principal.token_id in (token.id, token.issued_by) or is_admin(principal):
        return token
    raise missing

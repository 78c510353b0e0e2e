"""The life of a token: rotated, renewed, revoked.

A rotated token goes on for a day beside the one that takes its place, so that a fleet can be
moved without a break; in that time it can do everything but go on living.
"""

from __future__ import annotations

import datetime
import logging

from tradeoff.errors import Conflict, NotAllowed, NotFound
from tradeoff.service import accounts, people
from tradeoff.service.access import Principal, require_write
from tradeoff.service.administration import is_admin
from tradeoff.store import accounts as stored
from tradeoff.store import tables
from tradeoff.store.database import Session

logger = logging.getLogger(__name__)

#: How long a token goes on after it was rotated.
OVERLAP = datetime.timedelta(hours=24)


def create(
    session: Session,
    principal: Principal,
    client: tables.Client,
    *,
    role: str,
    name: str | None,
    experiment_id: int | None,
    user_id: int | None,
    development: bool,
    lease_seconds: int | None,
) -> tuple[tables.Token, str]:
    """A new token of a client, made by an administrator; see `accounts.create_token`.

    Raises:
        BadInput: when the client has no such experiment, or the user may not do that much.
    """
    if user_id is not None:
        people.require_role(session, user_id, client, role)
    expires = None if lease_seconds is None else stored.later(session, lease_seconds)
    try:
        token, secret = accounts.create_token(
            session,
            client_id=client.id,
            role=role,
            name=name,
            experiment_id=experiment_id,
            development=development,
            expires=expires,
            user_id=user_id,
            issued_by=principal.token_id,
            lease_seconds=lease_seconds,
        )
    except NotFound as error:
        raise error.in_field("experiment") from error
    _note("a token was made", principal, token)
    return token, secret


def rotate(
    session: Session, principal: Principal | None, token: tables.Token
) -> tuple[tables.Token, str]:
    """A new token that takes the place of this one, which ends in a day.

    Args:
        session: to work in.
        principal: who asks for it; `None` for the operator.
        token: the one to replace.

    Returns:
        The new token and its secret: to be shown now, since only its hash is kept.

    Raises:
        Conflict: when it was rotated or revoked before.
    """
    _require_current(session, token)
    successor, secret = accounts.create_token(
        session,
        client_id=token.client_id,
        role=token.role,
        name=token.name,
        experiment_id=token.experiment_id,
        training_run_id=token.training_run_id,
        development=token.development,
        expires=token.expires,
        user_id=token.user_id,
        issued_by=token.issued_by,
        lease_seconds=token.lease_seconds,
    )
    end = stored.now(session) + OVERLAP
    token.expires = end if token.expires is None else min(token.expires, end)
    token.lease_seconds = None
    token.replaced_by = successor.id
    session.flush()
    # Who made something with the old one reaches it with the new one.
    stored.update_issuer(session, token.id, successor.id)
    accounts.note_token(session, "token.rotate", token, successor=successor.id)
    _note("a token was rotated", principal, token)
    return successor, secret


def renew(session: Session, principal: Principal, token: tables.Token) -> None:
    """Let a token live for its lease from now on.

    Raises:
        NotAllowed: when it has none, or asks for itself without being an administrator's.
        Conflict: when it was rotated or revoked before.
    """
    _require_for_another(principal, token)
    _require_current(session, token)
    if token.lease_seconds is None:
        raise NotAllowed("This token cannot be renewed: it has no lease.")
    token.expires = stored.later(session, token.lease_seconds)
    accounts.note_token(session, "token.renew", token)


def make_lasting(
    session: Session, principal: Principal, token: tables.Token, lasting: bool
) -> None:
    """Let a token live for ever, or again for its lease from now on, if it has one.

    Raises:
        NotAllowed: when it asks for itself without being an administrator's.
        Conflict: when it was rotated or revoked before.
    """
    _require_for_another(principal, token)
    _require_current(session, token)
    if lasting:
        token.expires = None
    elif token.lease_seconds is not None:
        token.expires = stored.later(session, token.lease_seconds)
    accounts.note_token(session, "token.update", token, lasts_forever=str(lasting).lower())


def delete(session: Session, principal: Principal, token: tables.Token) -> None:
    """End a token at once, in every process.

    Raises:
        NotAllowed: for a root token: one that the operator made, without an end, for a whole
            client. Whoever holds it must not lock everybody out.
        NotFound: when it was ended before.
    """
    is_whole = token.experiment_id is None and token.training_run_id is None
    if is_whole and token.expires is None and token.issued_by is None:
        raise NotAllowed(
            "This is a root token: rotate it, or let the operator revoke it "
            "(`tradeoff token revoke`)"
        )
    accounts.revoke_token(session, token.id)
    _note("a token was revoked", principal, token)


def _note(event: str, principal: Principal | None, token: tables.Token) -> None:
    """Write down who did it."""
    logger.info(
        event,
        extra={
            "token": token.id,
            "client": token.client_id,
            "by_token": principal and principal.token_id,
        },
    )


def _require_for_another(principal: Principal, token: tables.Token) -> None:
    """Stop a token that would prolong its own life, unless it administers anyway."""
    require_write(principal)
    if token.id == principal.token_id and not is_admin(principal):
        raise NotAllowed(
            "A token may not prolong its own life.", token_status="invalid_permissions"
        )


def _require_current(session: Session, token: tables.Token) -> None:
    stored.lock_token(session, token)
    if token.replaced_by is not None:
        raise Conflict("This token was rotated already; another one has taken its place.")
    if token.revoked is not None:
        raise Conflict("This token was revoked.")

"""Sign in to the dashboard, with an API token or with a link that works once.

A browser keeps a secret of its own, not the token, and so a stolen cookie ends with its session.
What the token may do is looked up for each page: a revoked token has no sessions that work.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import secrets

from tradeoff.errors import NotAllowed, NotAuthenticated
from tradeoff.service import access
from tradeoff.service.access import Principal
from tradeoff.store import accounts, browser_sessions
from tradeoff.store.database import Session

#: After this a browser must sign in again.
SESSION_LASTS = datetime.timedelta(days=14)
#: A link that signs in is meant to be clicked now.
LINK_LASTS = datetime.timedelta(minutes=15)


def with_token(session: Session, token: str) -> str:
    """Begin a session with an API token.

    Returns:
        The session's secret: only its hash is kept.

    Raises:
        NotAuthenticated: without a token.
        NotAllowed: when it is unknown, revoked or expired.
    """
    return _begin(session, access.authenticate(session, token).token_id)


def make_link(session: Session, token: str) -> str:
    """A code that begins a session of this token once, within `LINK_LASTS`.

    Raises:
        NotAuthenticated: without a token.
        NotAllowed: when it is unknown, revoked or expired.
    """
    token_id = access.authenticate(session, token).token_id
    code = secrets.token_urlsafe(32)
    browser_sessions.put(session, hash=_hash(code), token_id=token_id, lasts=LINK_LASTS, link=True)
    return code


def with_link(session: Session, code: str) -> str:
    """Begin a session with the code of a link, which is used up by it.

    Returns:
        The session's secret, as `with_token` does.

    Raises:
        NotAllowed: when there is no such code, it was used before, or it is too old.
    """
    token_id = browser_sessions.take_link(session, _hash(code))
    if token_id is None:
        raise NotAllowed("This link was used already, or is too old. Ask for a new one.")
    return _begin(session, token_id)


def recognise(session: Session, secret: str | None) -> Principal:
    """Who is signed in with a session's secret.

    Raises:
        NotAuthenticated: when nobody is.
        NotAllowed: when the token behind it was revoked or has expired.
    """
    known = accounts.find_signed_in(session, _hash(secret)) if secret else None
    if known is None:
        raise NotAuthenticated
    return access.principal_of(known)


def end(session: Session, secret: str) -> None:
    """End a session."""
    browser_sessions.remove(session, _hash(secret))


def form_token(secret: str) -> str:
    """What every form of a session carries, so that no other site can make one up."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


def _begin(session: Session, token_id: int) -> str:
    secret = secrets.token_urlsafe(32)
    browser_sessions.put(session, hash=_hash(secret), token_id=token_id, lasts=SESSION_LASTS)
    return secret


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()

"""Queries of who is signed in to the dashboard, and of links that sign in."""

from __future__ import annotations

import datetime

from sqlalchemy import delete, func, insert

from tradeoff.store.database import Session
from tradeoff.store.tables import BrowserSession, SignInLink


def put(
    session: Session, *, hash: bytes, token_id: int, lasts: datetime.timedelta, link: bool = False
) -> None:
    """Keep a session, or with `link` a link that becomes one, for so long."""
    table = SignInLink if link else BrowserSession
    session.execute(insert(table).values(hash=hash, token_id=token_id, expires=func.now() + lasts))


def take_link(session: Session, hash: bytes) -> int | None:
    """Use a link up; gives its token, or `None` when there is no such link (any more)."""
    # Of two at once one waits for the other here, and finds nothing.
    return session.scalar(
        delete(SignInLink)
        .where(SignInLink.hash == hash, SignInLink.expires > func.now())
        .returning(SignInLink.token_id)
    )


def remove(session: Session, hash: bytes) -> None:
    """End a session."""
    session.execute(delete(BrowserSession).where(BrowserSession.hash == hash))


def purge(session: Session) -> None:
    """Forget what is past its time."""
    for table in (BrowserSession, SignInLink):
        # ix_browser_sessions_expires, ix_sign_in_links_expires
        session.execute(delete(table).where(table.expires <= func.now()))

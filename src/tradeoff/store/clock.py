"""The database's clock, which all processes share, and the moment that a transaction sees."""

from __future__ import annotations

import datetime

from sqlalchemy import func, select

from tradeoff.store.database import Session


def read(session: Session) -> datetime.datetime:
    """When this transaction began."""
    return session.execute(select(func.now())).scalar_one()


def stop(session: Session) -> None:
    """Let everything that this transaction reads be of one moment.

    It must not have read anything yet.
    """
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})

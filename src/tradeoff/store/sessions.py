"""A session that costs what is asked of it: SQLAlchemy's own begins when SQLAlchemy is used.

`prepared.Query` asks the driver itself. Where nothing else was asked, as when a client asks or
reports, there is no transaction of SQLAlchemy's to be begun, prepared and closed, which cost more
than the driver and its statements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, PoolProxiedConnection, orm

from tradeoff.store import driver

#: How long an act that shares its transaction waits for a row that somebody else holds: the other
#: acts wait with it.
SHARED_LOCK_SECONDS = 0.25


class Session(orm.Session):
    """SQLAlchemy's session, whose connection the driver's own statements share.

    Args:
        engine: whose pool lends the connection, at the first statement.
        info: what the session knows from its beginning.
        shared: several acts share the transaction, and wait for one another in it.
    """

    def __init__(self, engine: Engine, info: Mapping[str, Any], *, shared: bool = False) -> None:
        super().__init__(expire_on_commit=False, info=dict(info))
        self._engine = engine
        self.shared = shared
        self._lent: PoolProxiedConnection | None = None
        self._afterwards: list[Callable[[], None]] = []
        #: SQLAlchemy's, on the same connection; `None` until it is asked for.
        self.shown: Connection | None = None

    def driver(self) -> driver.Connection:
        """The driver's connection, to run a statement by."""
        if self.in_nested_transaction():
            self.connection()  # a savepoint is made as SQLAlchemy looks for its connection
        lent: Any = self._lend().dbapi_connection
        assert isinstance(lent, driver.Connection)
        return lent

    def get_bind(self, *_arguments: Any, **_options: Any) -> Connection:
        """The connection, as SQLAlchemy knows it."""
        if self.shown is None:
            self.shown = Connection(self._engine, connection=self._lend())
        return self.shown

    def commit(self) -> None:
        """Write what was changed, and commit it along with what the driver did."""
        self.flush()
        if self.in_transaction():
            super().commit()
        if self._lent is not None:
            self.driver().commit()  # does nothing if that was it
        afterwards, self._afterwards = self._afterwards, []
        for act in afterwards:
            act()

    def afterwards(self, act: Callable[[], None]) -> None:
        """Let something be done when it is committed; never, if it is not."""
        self._afterwards.append(act)

    def rollback(self) -> None:
        """Undo what was done, by whomever."""
        self._afterwards.clear()
        super().rollback()
        if self._lent is not None and self._lent.is_valid:
            self.driver().rollback()

    def close(self) -> None:
        """Give the connection back; a transaction that was not committed is undone."""
        try:
            super().close()
        finally:
            self.shown = None
            lent, self._lent = self._lent, None
            if lent is not None:
                if getattr(lent.dbapi_connection, "closed", False):
                    lent.invalidate()
                lent.close()

    def _lend(self) -> PoolProxiedConnection:
        if self._lent is None:
            self._lent = self._engine.raw_connection()
            if self.shared:
                connection: Any = self._lent.dbapi_connection
                limit = f"set local lock_timeout = {1000 * SHARED_LOCK_SECONDS:.0f}"
                connection.begin_with(limit.encode())
        return self._lent

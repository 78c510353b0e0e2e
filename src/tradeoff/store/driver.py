"""The driver's connection, with fewer trips to Postgres.

The driver sends BEGIN alone, waits, and then sends what was asked. Here BEGIN goes with the first
statement, and a statement whose answer nobody needs can be *posted*: it goes with the next one, or
with COMMIT, which is when those go that are posted *last*. Postgres runs them in order and stops at
the first that fails, so that nothing is committed after an error.
"""

from __future__ import annotations

from typing import Any

from psycopg2 import extensions

_IDLE = extensions.TRANSACTION_STATUS_IDLE
#: How a transaction begins, by the level that SQLAlchemy asks for.
_BEGIN = {
    extensions.ISOLATION_LEVEL_AUTOCOMMIT: b"",
    extensions.ISOLATION_LEVEL_READ_COMMITTED: b"begin;",
    extensions.ISOLATION_LEVEL_REPEATABLE_READ: b"begin isolation level repeatable read;",
    extensions.ISOLATION_LEVEL_SERIALIZABLE: b"begin isolation level serializable;",
}


class Connection(extensions.connection):
    """A connection whose transactions we begin and end ourselves; see `connect`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._begin = _BEGIN[extensions.ISOLATION_LEVEL_READ_COMMITTED]
        self._first = b""
        self._posted = b""
        self._last: list[bytes] = []
        #: Names of the plans that it keeps; see `prepared.Query`.
        self.planned: set[str] = set()
        self.cursor_factory = Cursor
        # To the driver there are no transactions: it must not send a BEGIN of its own.
        self.autocommit = True

    def set_isolation_level(self, level: Any) -> None:
        """Let the next transaction begin so."""
        self._begin = _BEGIN[level]

    def begin_with(self, statement: bytes) -> None:
        """Let the next transaction, and no other, begin with a statement."""
        self._first = statement + b";"

    def post(self, statement: bytes) -> None:
        """Send a statement along with the next one, or with the commit, whose answer counts."""
        self._posted += statement + b";"

    def post_last(self, statement: bytes) -> None:
        """Send a statement along with the commit, and the very same one once only."""
        if statement not in self._last:
            self._last.append(statement)

    def ahead(self) -> bytes:
        """What has to go ahead of a statement that is sent now."""
        begin = b""
        if self.get_transaction_status() == _IDLE:
            begin, self._first = self._begin + self._first, b""
        posted, self._posted = self._posted, b""
        return begin + posted

    def commit(self) -> None:
        """Send what was posted, and end the transaction, if there is one."""
        last, self._last = self._last, []
        if last or self._posted or self.get_transaction_status() != _IDLE:
            self.cursor().execute(b";".join([*last, b"commit"]))

    def rollback(self) -> None:
        """Undo the transaction, if there is one; what was posted is never sent."""
        self._first = self._posted = b""
        self._last = []
        if self.get_transaction_status() != _IDLE:
            self.cursor().execute(b"rollback")


class Cursor(extensions.cursor):
    """A cursor that sends BEGIN, and what was posted, with the statement."""

    def execute(self, query: Any, vars: Any = None) -> None:
        """Run a statement."""
        connection = self.connection
        assert isinstance(connection, Connection)
        ahead = connection.ahead()
        if ahead:
            query = ahead + self.mogrify(query, vars)
            vars = None
        super().execute(query, vars)

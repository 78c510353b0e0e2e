"""Alembic's door: on the connection it is given, else on TRADEOFF_DATABASE_URL.

`tradeoff migrate` hands in a connection that holds the lock; a developer's `alembic` command reads
the address from the settings.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine, pool
from sqlalchemy.sql.schema import SchemaItem

from tradeoff.config import Settings
from tradeoff.errors import StartError
from tradeoff.store import tables
from tradeoff.store.database import driver_url


def is_ours(
    item: SchemaItem, name: str | None, kind: str, reflected: bool, compare_to: object
) -> bool:
    """The queue's schema is procrastinate's business."""
    return getattr(item, "schema", None) != tables.QUEUE_SCHEMA


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=tables.Base.metadata,
        include_object=is_ours,
        compare_type=True,
        compare_server_default=False,
        # A step that fails leaves nothing of itself behind, and the steps before it done.
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        migrate(given)
        return
    url = Settings().database_url
    if url is None:
        raise StartError("set TRADEOFF_DATABASE_URL, or use `tradeoff migrate`")
    with create_engine(driver_url(url), poolclass=pool.NullPool).connect() as connection:
        migrate(connection)


main()

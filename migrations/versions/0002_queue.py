"""The queue: procrastinate's own tables and functions, in the schema `jobs`.

The SQL is the library's. Its schema moves with its minor versions, which is why pyproject pins
one: a move to the next is a migration of ours.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from alembic import op
from procrastinate import schema

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create schema jobs")
    op.execute("set local search_path to jobs")
    # The driver would read a lone per cent sign as a parameter.
    op.get_bind().exec_driver_sql(schema.SchemaManager.get_schema().replace("%", "%%"))
    # Rows of this table come and go by the thousand and stay few.
    op.execute(
        "alter table procrastinate_jobs set "
        "(autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500)"
    )
    op.execute("set local search_path to public")


def downgrade() -> None:
    op.execute("drop schema jobs cascade")

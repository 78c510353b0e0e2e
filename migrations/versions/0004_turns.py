"""Turns of the clients at the queue: where each one's last waiting job stands.

One more index on the queue's table: the release before works on this schema.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NAME = "ix_procrastinate_jobs_client_id_priority"


def upgrade() -> None:
    # Not concurrently: that would wait for another `tradeoff migrate`, which waits for this one. A
    # done job is deleted, so the table is small and its writers wait for milliseconds.
    op.create_index(
        NAME,
        "procrastinate_jobs",
        [sa.text("(args ->> 'client_id')"), "priority"],
        schema="jobs",
        postgresql_where=sa.text("status = 'todo'"),
    )


def downgrade() -> None:
    op.drop_index(NAME, "procrastinate_jobs", schema="jobs")

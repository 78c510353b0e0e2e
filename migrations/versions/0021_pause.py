"""Experiments that are paused, how long an ask waited, and what a worker computes on.

New columns, absent or with a default: the release before works on this schema, and pauses nothing.
What a worker computes on is told by a setting of its own connection, since the queue's function
that registers a worker knows only that one is there.

Revision ID: 0021
Revises: 0020
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "experiments",
        sa.Column("paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("suggestions", sa.Column("waited_seconds", sa.Float(), nullable=True))
    op.add_column(
        "procrastinate_workers",
        sa.Column(
            "device",
            sa.Text(),
            server_default=sa.text("nullif(current_setting('tradeoff.device', true), '')"),
            nullable=True,
        ),
        schema="jobs",
    )


def downgrade() -> None:
    op.drop_column("procrastinate_workers", "device", schema="jobs")
    op.drop_column("suggestions", "waited_seconds")
    op.drop_column("experiments", "paused")

"""Tasks of multitask experiments: what each suggestion and observation costs.

New columns: the release before works on this schema.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLES = ("suggestions", "queued_suggestions", "observations")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("task_cost", sa.Float()))


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "task_cost")

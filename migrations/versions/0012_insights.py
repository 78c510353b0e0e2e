"""What the models say about experiments: importances and calibration.

A new table: the release before works on this schema.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "insights",
        sa.Column("experiment_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tried", sa.BigInteger(), nullable=False),
        sa.Column("observations", sa.BigInteger()),
        sa.Column("computed", sa.DateTime(timezone=True)),
        sa.Column("importances", postgresql.JSONB(astext_type=sa.Text())),
        sa.Column("failure", postgresql.JSONB(astext_type=sa.Text())),
        sa.Column("calibrations", postgresql.JSONB(astext_type=sa.Text())),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name="fk_insights_experiment_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("experiment_id", name="pk_insights"),
    )


def downgrade() -> None:
    op.drop_table("insights")

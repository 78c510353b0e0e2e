"""Serving: leases, transient failures, checkpoints, and what makes a refresh cheap and sure.

Only new columns and a wider set of states: the release before works on this schema. The indexes of
the suggestions are made by 0008, which does not hold up those who write.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

JSON = postgresql.JSONB(none_as_null=True, astext_type=sa.Text())


def upgrade() -> None:
    zero, false = sa.text("0"), sa.text("false")
    for column in (
        sa.Column("transient_count", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("rewrites", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("summary", JSON),
        sa.Column("rung", sa.Integer(), server_default=zero, nullable=False),
        sa.Column("rung_until", sa.DateTime(timezone=True)),
        sa.Column("refresh_failures", sa.Integer(), server_default=zero, nullable=False),
        sa.Column("refresh_failing_since", sa.DateTime(timezone=True)),
    ):
        op.add_column("experiments", column)
    for column in (
        sa.Column("worker_id", sa.Text()),
        sa.Column("lease_seconds", sa.Float()),
        sa.Column("lease_expires", sa.DateTime(timezone=True)),
        sa.Column("attempt", sa.Integer(), server_default=zero, nullable=False),
        sa.Column("stopped", sa.Boolean(), server_default=false, nullable=False),
    ):
        op.add_column("suggestions", column)
    op.add_column(
        "observations",
        sa.Column("transient", sa.Boolean(), server_default=false, nullable=False),
    )
    _change_states("'queued', 'ready', 'open', 'lapsed', 'closed'")
    _create_checkpoints()


def _create_checkpoints() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("suggestion_id", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("values", JSON, nullable=False),
        sa.Column("metadata", JSON),
        sa.Column("should_stop", sa.Boolean(), nullable=False),
        sa.Column("stopping_reasons", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name="fk_checkpoints_experiment_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["suggestion_id"],
            ["suggestions.id"],
            name="fk_checkpoints_suggestion_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_checkpoints"),
    )
    op.create_index(
        "ix_checkpoints_unique_step", "checkpoints", ["suggestion_id", "step"], unique=True
    )
    op.create_index("ix_checkpoints_experiment_id_step", "checkpoints", ["experiment_id", "step"])


def _change_states(states: str) -> None:
    """Let a suggestion be in one of `states`; 0008 looks at the old rows."""
    op.drop_constraint(op.f("ck_suggestions_state"), "suggestions", type_="check")
    op.create_check_constraint(
        op.f("ck_suggestions_state"),
        "suggestions",
        f"state in ({states})",
        postgresql_not_valid=True,
    )


def downgrade() -> None:
    op.drop_table("checkpoints")
    op.execute("update suggestions set state = 'open' where state = 'lapsed'")
    _change_states("'queued', 'ready', 'open', 'closed'")
    op.drop_column("observations", "transient")
    for name in ("stopped", "attempt", "lease_expires", "lease_seconds", "worker_id"):
        op.drop_column("suggestions", name)
    for name in (
        "refresh_failing_since",
        "refresh_failures",
        "rung_until",
        "rung",
        "summary",
        "rewrites",
        "transient_count",
    ):
        op.drop_column("experiments", name)

"""Training runs and their checkpoints.

Two new tables: the release before works on this schema.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

JSON = postgresql.JSONB(none_as_null=True, astext_type=sa.Text())
LOGGED = (
    "assignments",
    "assignments_meta",
    "assignments_sources",
    "values",
    "dev_metadata",
    "sys_metadata",
    "datasets",
    "logs",
    "model",
    "source_code",
)


def upgrade() -> None:
    now, false, empty = sa.text("now()"), sa.text("false"), sa.text("'{}'::jsonb")
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "training_runs",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("experiment_id", sa.BigInteger()),
        sa.Column("suggestion_id", sa.BigInteger()),
        sa.Column("observation_id", sa.BigInteger()),
        sa.Column("optimized", sa.Boolean(), server_default=false, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="active", nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=false, nullable=False),
        sa.Column("favorite", sa.Boolean(), server_default=false, nullable=False),
        sa.Column("created", moment, server_default=now, nullable=False),
        sa.Column("updated", moment, server_default=now, nullable=False),
        sa.Column("completed", moment),
        *(sa.Column(name, JSON, server_default=empty, nullable=False) for name in LOGGED),
        sa.Column("metadata", JSON),
        sa.Column(
            "tags",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column("checkpoint_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "state in ('active', 'completed', 'failed')", name=op.f("ck_training_runs_state")
        ),
        *(
            sa.ForeignKeyConstraint([column], [target], name=f"fk_training_runs_{column}")
            for column, target in (
                ("client_id", "clients.id"),
                ("experiment_id", "experiments.id"),
                ("suggestion_id", "suggestions.id"),
                ("observation_id", "observations.id"),
            )
        ),
        sa.ForeignKeyConstraint(
            ["client_id", "project"],
            ["projects.client_id", "projects.slug"],
            name="fk_training_runs_project",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_training_runs"),
    )
    op.create_index("ix_training_runs_client_id_id", "training_runs", ["client_id", "id"])
    op.create_index(
        "ix_training_runs_project", "training_runs", ["client_id", "project", "updated"]
    )
    for column in ("experiment_id", "suggestion_id", "observation_id"):
        op.create_index(f"ix_training_runs_{column}", "training_runs", [column])
    op.create_table(
        "run_checkpoints",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("training_run_id", sa.BigInteger(), nullable=False),
        sa.Column("values", JSON, nullable=False),
        sa.Column("metadata", JSON),
        sa.Column("created", moment, server_default=now, nullable=False),
        sa.ForeignKeyConstraint(
            ["training_run_id"],
            ["training_runs.id"],
            name="fk_run_checkpoints_training_run_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_run_checkpoints"),
    )
    op.create_index(
        "ix_run_checkpoints_training_run_id_id", "run_checkpoints", ["training_run_id", "id"]
    )


def downgrade() -> None:
    op.drop_table("run_checkpoints")
    op.drop_table("training_runs")

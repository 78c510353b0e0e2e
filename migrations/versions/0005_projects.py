"""Projects, and the project of an experiment.

A new table and a new column that may be null: the release before works on this schema.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

JSON = postgresql.JSONB(none_as_null=True, astext_type=sa.Text())


def upgrade() -> None:
    now, false = sa.text("now()"), sa.text("false")
    op.create_table(
        "projects",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("metadata", JSON),
        sa.Column("deleted", sa.Boolean(), server_default=false, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name="fk_projects_client_id"),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
    )
    op.create_index("ix_projects_unique_slug", "projects", ["client_id", "slug"], unique=True)
    op.add_column("experiments", sa.Column("project", sa.Text()))
    op.create_index("ix_experiments_project", "experiments", ["client_id", "project", "updated"])
    op.create_foreign_key(
        "fk_experiments_project",
        "experiments",
        "projects",
        ["client_id", "project"],
        ["client_id", "slug"],
    )


def downgrade() -> None:
    op.drop_constraint("fk_experiments_project", "experiments", type_="foreignkey")
    op.drop_index("ix_experiments_project", "experiments")
    op.drop_column("experiments", "project")
    op.drop_table("projects")

"""What the dashboard needs: sessions of browsers, links that sign in once, tags of experiments.

New tables and columns: the release before works on this schema.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("browser_sessions", "sign_in_links"):
        op.create_table(
            name,
            sa.Column("hash", sa.LargeBinary(), nullable=False),
            sa.Column("token_id", sa.BigInteger(), nullable=False),
            sa.Column(
                "created",
                sa.DateTime(timezone=True),
                server_default=sa.text("now()"),
                nullable=False,
            ),
            sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
            sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=f"fk_{name}_token_id"),
            sa.PrimaryKeyConstraint("hash", name=f"pk_{name}"),
        )
        op.create_index(f"ix_{name}_token_id", name, ["token_id"])
        op.create_index(f"ix_{name}_expires", name, ["expires"])
    op.add_column(
        "experiments",
        sa.Column(
            "tags",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
    )
    op.add_column("experiments", sa.Column("created_by", sa.BigInteger()))
    op.create_foreign_key(
        "fk_experiments_created_by", "experiments", "tokens", ["created_by"], ["id"]
    )
    op.create_index("ix_experiments_created_by", "experiments", ["created_by"])


def downgrade() -> None:
    op.drop_index("ix_experiments_created_by", "experiments")
    op.drop_constraint("fk_experiments_created_by", "experiments", type_="foreignkey")
    op.drop_column("experiments", "created_by")
    op.drop_column("experiments", "tags")
    op.drop_table("sign_in_links")
    op.drop_table("browser_sessions")

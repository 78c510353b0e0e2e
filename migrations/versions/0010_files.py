"""Files of training runs, and guest tokens that reach one run.

New tables and columns: the release before works on this schema.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("training_run_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("filename", sa.Text()),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("content_length", sa.BigInteger(), nullable=False),
        sa.Column("content_md5", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("uploaded", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name="fk_files_client_id"),
        sa.ForeignKeyConstraint(
            ["training_run_id"],
            ["training_runs.id"],
            name="fk_files_training_run_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
    )
    op.create_index("ix_files_client_id", "files", ["client_id"])
    op.create_index("ix_files_training_run_id", "files", ["training_run_id"])
    op.create_table(
        "file_contents",
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["file_id"], ["files.id"], name="fk_file_contents_file_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("file_id", name="pk_file_contents"),
    )
    op.add_column(
        "training_runs",
        sa.Column(
            "files",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
    )
    op.add_column("tokens", sa.Column("training_run_id", sa.BigInteger()))
    op.create_foreign_key(
        "fk_tokens_training_run_id", "tokens", "training_runs", ["training_run_id"], ["id"]
    )
    op.create_index("ix_tokens_training_run_id", "tokens", ["training_run_id"])


def downgrade() -> None:
    op.drop_index("ix_tokens_training_run_id", "tokens")
    op.drop_constraint("fk_tokens_training_run_id", "tokens", type_="foreignkey")
    op.drop_column("tokens", "training_run_id")
    op.drop_column("training_runs", "files")
    op.drop_table("file_contents")
    op.drop_table("files")

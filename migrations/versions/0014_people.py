"""Users of an organization, what they may do in a client, and tokens that others gave out.

New tables, and columns that may be absent: the release before works on this schema.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_users_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
    )
    op.create_index(
        "ix_users_unique_email",
        "users",
        ["organization_id", sa.text("lower(email)")],
        unique=True,
        postgresql_where=sa.text("not deleted"),
    )
    op.create_index("ix_users_organization_id", "users", ["organization_id"])
    op.create_table(
        "permissions",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.CheckConstraint("role in ('read', 'write', 'admin')", name="ck_permissions_role"),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name="fk_permissions_client_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_permissions_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_permissions"),
    )
    op.create_index(
        "ix_permissions_unique_user", "permissions", ["user_id", "client_id"], unique=True
    )
    op.create_index("ix_permissions_client_id", "permissions", ["client_id"])
    op.add_column("tokens", sa.Column("user_id", sa.BigInteger()))
    op.add_column("tokens", sa.Column("issued_by", sa.BigInteger()))
    op.add_column("tokens", sa.Column("replaced_by", sa.BigInteger()))
    op.add_column("tokens", sa.Column("lease_seconds", sa.BigInteger()))
    for column, table in (("user_id", "users"), ("issued_by", "tokens"), ("replaced_by", "tokens")):
        op.create_foreign_key(f"fk_tokens_{column}", "tokens", table, [column], ["id"])
        op.create_index(f"ix_tokens_{column}", "tokens", [column])


def downgrade() -> None:
    for column in ("replaced_by", "issued_by", "user_id"):
        op.drop_index(f"ix_tokens_{column}", "tokens")
        op.drop_constraint(f"fk_tokens_{column}", "tokens", type_="foreignkey")
    for column in ("lease_seconds", "replaced_by", "issued_by", "user_id"):
        op.drop_column("tokens", column)
    op.drop_table("permissions")
    op.drop_table("users")

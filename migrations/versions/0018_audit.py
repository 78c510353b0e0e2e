"""Who changed what: a table to which one can only add.

A new table: the release before works on this schema, and writes nothing into it.

Revision ID: 0018
Revises: 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

#: What is past its time is deleted by a transaction that says so; see `store.audit`.
REFUSE = """
create function refuse_change_of_audit() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and current_setting('tradeoff.forget_audit', true) = 'on' then
        return old;
    end if;
    raise exception 'audit_entries can only be added to';
end
$$
"""


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column(
            "created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.BigInteger()),
        sa.Column("token_id", sa.BigInteger()),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("address", sa.Text()),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("object_id", sa.BigInteger(), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(
            "origin in ('api', 'dashboard', 'command')", name="ck_audit_entries_origin"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entries"),
    )
    op.create_index(
        "ix_audit_entries_organization_id_id", "audit_entries", ["organization_id", "id"]
    )
    op.create_index("ix_audit_entries_created", "audit_entries", ["created"])
    op.execute(REFUSE)
    op.execute(
        "create trigger audit_entries_only_grow before update or delete on audit_entries "
        "for each row execute function refuse_change_of_audit()"
    )
    op.execute(
        "create trigger audit_entries_are_not_emptied before truncate on audit_entries "
        "for each statement execute function refuse_change_of_audit()"
    )


def downgrade() -> None:
    op.drop_table("audit_entries")
    op.execute("drop function refuse_change_of_audit()")

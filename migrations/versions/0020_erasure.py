"""Clients whose data are to be erased, and audit entries that lose what they tell of them.

A new column with a default: the release before works on this schema, and erases nothing.

Revision ID: 0020
Revises: 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

#: A transaction that says so may delete entries, and take away what they tell; nothing else.
REFUSE = """
create or replace function refuse_change_of_audit() returns trigger language plpgsql as $$
begin
    if current_setting('tradeoff.forget_audit', true) = 'on' then
        if tg_op = 'DELETE' then
            return old;
        end if;
        if tg_op = 'UPDATE' then
            old.details := '{}'::jsonb;
            old.address := null;
            return old;
        end if;
    end if;
    raise exception 'audit_entries can only be added to';
end
$$
"""
BEFORE = """
create or replace function refuse_change_of_audit() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and current_setting('tradeoff.forget_audit', true) = 'on' then
        return old;
    end if;
    raise exception 'audit_entries can only be added to';
end
$$
"""


def upgrade() -> None:
    op.add_column(
        "clients",
        sa.Column("erase", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.execute(REFUSE)


def downgrade() -> None:
    op.execute(BEFORE)
    op.drop_column("clients", "erase")

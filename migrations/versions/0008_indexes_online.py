"""What takes long on a large table of suggestions, made while others read and write.

Each statement is a transaction of its own, and all of them can be done again: a step that was
interrupted leaves an index of no use behind, which the next try removes.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from collections.abc import Mapping

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

LISTED = "(experiment_id, id) where state in ({})"
NEW = {
    "ix_suggestions_worker": "(experiment_id, worker_id) "
    "where state in ('open', 'lapsed') and worker_id is not null and not deleted",
    "ix_suggestions_lease_expires": "(lease_expires) "
    "where state = 'open' and lease_expires is not null",
    "ix_suggestions_listed": LISTED.format("'open', 'lapsed', 'closed'"),
}
OLD = {"ix_suggestions_listed": LISTED.format("'open', 'closed'")}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("alter table suggestions validate constraint ck_suggestions_state")
        _replace(NEW)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name in NEW.keys() - OLD.keys():
            op.execute(f"drop index concurrently if exists {name}")
        _replace(OLD)


def _replace(indexes: Mapping[str, str]) -> None:
    """Make the indexes; one of the same name serves until the new one is there."""
    for name, definition in indexes.items():
        op.execute(f"drop index concurrently if exists {name}_new")
        op.execute(f"create index concurrently {name}_new on suggestions {definition}")
        op.execute(f"drop index concurrently if exists {name}")
        op.execute(f"alter index {name}_new rename to {name}")

"""The buffer's index in the order in which suggestions are taken.

Taking one looked at each that was ready, whether it was open or observed already, before it sorted
them; in the index's order it looks at the first. Online, as in 0008.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

NAME = "ix_suggestions_ready"
WAITING = "where state in ('queued', 'ready') and not deleted"


def upgrade() -> None:
    _replace(f"(experiment_id, state, revision desc, rank, id) {WAITING}")


def downgrade() -> None:
    _replace(f"(experiment_id, rank) {WAITING}")


def _replace(definition: str) -> None:
    """Make the index; the one of the same name serves until the new one is there."""
    with op.get_context().autocommit_block():
        op.execute(f"drop index concurrently if exists {NAME}_new")
        op.execute(f"create index concurrently {NAME}_new on suggestions {definition}")
        op.execute(f"drop index concurrently if exists {NAME}")
        op.execute(f"alter index {NAME}_new rename to {NAME}")

"""What asking and reporting no longer have to do.

The buffer's index has the order in which suggestions are taken. Taking one looked at each that was
ready, whether it was open or observed already, before it sorted them; in the index's order it looks
at the first. Online, as in 0008.

The key of a request no longer refers to its token by a constraint: to check it, every request of a
token marked the token's row as being in use, one after the other. Tokens are revoked and never
deleted, and keys live for two days.

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
REFERENCE = "fk_idempotency_keys_token_id"
WAITING = "where state in ('queued', 'ready') and not deleted"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        _replace(f"(experiment_id, state, revision desc, rank, id) {WAITING}")
        op.execute(f"alter table idempotency_keys drop constraint if exists {REFERENCE}")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        _replace(f"(experiment_id, rank) {WAITING}")
        op.execute(
            f"alter table idempotency_keys add constraint {REFERENCE} "
            "foreign key (token_id) references tokens (id) not valid"
        )


def _replace(definition: str) -> None:
    """Make the index; the one of the same name serves until the new one is there."""
    op.execute(f"drop index concurrently if exists {NAME}_new")
    op.execute(f"create index concurrently {NAME}_new on suggestions {definition}")
    op.execute(f"drop index concurrently if exists {NAME}")
    op.execute(f"alter index {NAME}_new rename to {NAME}")

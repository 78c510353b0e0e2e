"""The first tables: tenants, experiments, suggestions, observations, idempotency keys.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "organizations",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
    )
    op.create_table(
        "clients",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("organization_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_clients_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clients")),
    )
    op.create_index(
        op.f("ix_clients_organization_id"), "clients", ["organization_id"], unique=False
    )
    op.create_table(
        "experiments",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="active", nullable=False),
        sa.Column("development", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("spec", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "retired",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "metadata", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column(
            "created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column(
            "updated", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "observation_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column("failure_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("design_position", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("fit_epoch", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("refreshed", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "engine_state",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=True,
        ),
        sa.CheckConstraint("state in ('active', 'deleted')", name=op.f("ck_experiments_state")),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name=op.f("fk_experiments_client_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
    )
    op.create_index("ix_experiments_client_id_id", "experiments", ["client_id", "id"], unique=False)
    op.create_index(
        "ix_experiments_client_id_updated",
        "experiments",
        ["client_id", "updated", "id"],
        unique=False,
    )
    op.create_table(
        "suggestions",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "assignments",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
        ),
        sa.Column("assignments_hash", sa.LargeBinary(), nullable=False),
        sa.Column("repeat", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "observations_seen", sa.BigInteger(), server_default=sa.text("0"), nullable=False
        ),
        sa.Column(
            "computed", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column(
            "explanation", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column(
            "metadata", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("opened", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state in ('queued', 'ready', 'open', 'closed')", name=op.f("ck_suggestions_state")
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name=op.f("fk_suggestions_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suggestions")),
    )
    op.create_index(
        "ix_suggestions_listed",
        "suggestions",
        ["experiment_id", "id"],
        unique=False,
        postgresql_where=sa.text("state in ('open', 'closed')"),
    )
    op.create_index("ix_suggestions_experiment_id", "suggestions", ["experiment_id"], unique=False)
    op.create_index(
        "ix_suggestions_ready",
        "suggestions",
        ["experiment_id", "rank"],
        unique=False,
        postgresql_where=sa.text("state in ('queued', 'ready') and not deleted"),
    )
    op.create_index(
        "ix_suggestions_unique_open",
        "suggestions",
        ["experiment_id", "assignments_hash", "repeat"],
        unique=True,
        postgresql_where=sa.text("state = 'open' and not deleted"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("development", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role in ('read', 'write', 'admin')", name=op.f("ck_tokens_role")),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_tokens_client_id")),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name=op.f("fk_tokens_experiment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
    )
    op.create_index(op.f("ix_tokens_client_id"), "tokens", ["client_id"], unique=False)
    op.create_index(op.f("ix_tokens_experiment_id"), "tokens", ["experiment_id"], unique=False)
    op.create_index("ix_tokens_unique_hash", "tokens", ["hash"], unique=True)
    op.create_table(
        "idempotency_keys",
        sa.Column("token_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["token_id"], ["tokens.id"], name=op.f("fk_idempotency_keys_token_id")
        ),
        sa.PrimaryKeyConstraint("token_id", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created", "idempotency_keys", ["created"], unique=False)
    op.create_table(
        "observations",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("experiment_id", sa.BigInteger(), nullable=False),
        sa.Column("suggestion_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "assignments",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
        ),
        sa.Column("assignments_hash", sa.LargeBinary(), nullable=False),
        sa.Column(
            "values", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.Column(
            "metadata", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column(
            "created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name=op.f("fk_observations_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["suggestion_id"], ["suggestions.id"], name=op.f("fk_observations_suggestion_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_observations")),
    )
    op.create_index(
        "ix_observations_assignments",
        "observations",
        ["experiment_id", "assignments_hash"],
        unique=False,
    )
    op.create_index(
        "ix_observations_experiment_id_id", "observations", ["experiment_id", "id"], unique=False
    )
    op.create_index(
        "ix_observations_suggestion_id", "observations", ["suggestion_id"], unique=False
    )


def downgrade() -> None:
    op.drop_index("ix_observations_suggestion_id", table_name="observations")
    op.drop_index("ix_observations_experiment_id_id", table_name="observations")
    op.drop_index("ix_observations_assignments", table_name="observations")
    op.drop_table("observations")
    op.drop_index("ix_idempotency_keys_created", table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_index("ix_tokens_unique_hash", table_name="tokens")
    op.drop_index(op.f("ix_tokens_experiment_id"), table_name="tokens")
    op.drop_index(op.f("ix_tokens_client_id"), table_name="tokens")
    op.drop_table("tokens")
    op.drop_index(
        "ix_suggestions_unique_open",
        table_name="suggestions",
        postgresql_where=sa.text("state = 'open' and not deleted"),
    )
    op.drop_index(
        "ix_suggestions_ready",
        table_name="suggestions",
        postgresql_where=sa.text("state in ('queued', 'ready') and not deleted"),
    )
    op.drop_index("ix_suggestions_experiment_id", table_name="suggestions")
    op.drop_index(
        "ix_suggestions_listed",
        table_name="suggestions",
        postgresql_where=sa.text("state in ('open', 'closed')"),
    )
    op.drop_table("suggestions")
    op.drop_index("ix_experiments_client_id_updated", table_name="experiments")
    op.drop_index("ix_experiments_client_id_id", table_name="experiments")
    op.drop_table("experiments")
    op.drop_index(op.f("ix_clients_organization_id"), table_name="clients")
    op.drop_table("clients")
    op.drop_table("organizations")

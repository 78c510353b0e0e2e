"""Every table on one page.

    organizations ─< clients ─< tokens ─< browser_sessions, sign_in_links · idempotency_keys
               │        │  └─< permissions >─ users
               └────────┼──< users ─< tokens
                        ├──< tags
                        ├──< projects ─< project_notes
                        │         └──< experiments, training_runs ─< run_checkpoints, files
                        └──< experiments ─< suggestions ─< checkpoints
                                   ├─────< queued_suggestions
                                   ├─────< observations
                                   ├─────< edits
                                   └────── insights

The queue's own tables live in the schema `jobs` and belong to procrastinate; a migration makes
them. `audit_entries` refer to all of it without a constraint. Each rule that a race could break is
a constraint here, by name, and the code that can meet the violation names it too. Times are the
database's clock.
"""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.store.columns import SpecColumn

#: The queue keeps its tables in a schema of its own.
QUEUE_SCHEMA = "jobs"
#: No two open suggestions of an experiment are equal; see `store.opening`.
UNIQUE_OPEN = "ix_suggestions_unique_open"
#: No two projects of a client have the same name in addresses; see `store.projects`.
UNIQUE_SLUG = "ix_projects_unique_slug"
#: No two requests of a token take effect under one key; see `store.idempotency`.
UNIQUE_KEY = "pk_idempotency_keys"
#: No two tags of a client have the same name; see `store.tags`.
UNIQUE_TAG = "ix_tags_unique_name"
#: No two users of an organization have the same address; see `store.users`.
UNIQUE_EMAIL = "ix_users_unique_email"


EMPTY = text("'{}'::jsonb")


class Base(DeclarativeBase):
    """What the tables have in common."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy reads a plain dictionary
        int: BigInteger,
        str: Text,
        datetime.datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(none_as_null=True),
        ExperimentSpec: SpecColumn,
    }


class Organization(Base):
    """Those who share an installation and a bill."""

    __tablename__ = "organizations"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())


class Client(Base):
    """A team: what belongs to one client does not exist for another."""

    __tablename__ = "clients"

    id: Mapped[int] = mapped_column(primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"), index=True)
    name: Mapped[str]
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    deleted: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    #: What it may have at most, where that is not what the installation grants; see
    #: `service.quotas`.
    quotas: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    #: It has as many observations as it may; every request learns of it along with its token.
    is_full: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    #: Everything that it has is being taken away, and at last it is.
    erase: Mapped[bool] = mapped_column(server_default=text("false"), default=False)


class Token(Base):
    """A key to the API; only its hash is kept."""

    __tablename__ = "tokens"
    __table_args__ = (
        CheckConstraint("role in ('read', 'write', 'admin')", name="role"),
        # Authentication of every request.
        Index("ix_tokens_unique_hash", "hash", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"), index=True)
    #: SHA-256 of the secret.
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    #: The first characters of the secret, for people to tell tokens apart.
    prefix: Mapped[str]
    name: Mapped[str | None]
    role: Mapped[str]
    #: A development token makes development experiments, which get random points.
    development: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    #: When set, the token reaches this experiment alone.
    experiment_id: Mapped[int | None] = mapped_column(ForeignKey("experiments.id"), index=True)
    #: When set, the token reaches this training run alone.
    training_run_id: Mapped[int | None] = mapped_column(
        ForeignKey("training_runs.id", name="fk_tokens_training_run_id"), index=True
    )
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    expires: Mapped[datetime.datetime | None]
    revoked: Mapped[datetime.datetime | None]
    #: Whose it is, when it was made for somebody.
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)
    #: The token that it was made with; absent for those that the operator made.
    issued_by: Mapped[int | None] = mapped_column(ForeignKey("tokens.id"), index=True)
    #: The token that took its place when it was rotated.
    replaced_by: Mapped[int | None] = mapped_column(ForeignKey("tokens.id"), index=True)
    #: For how long it is renewed, when it may be.
    lease_seconds: Mapped[int | None]


class User(Base):
    """A person of an organization."""

    __tablename__ = "users"
    __table_args__ = (
        Index(
            UNIQUE_EMAIL,
            "organization_id",
            text("lower(email)"),
            unique=True,
            postgresql_where=text("not deleted"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"), index=True)
    name: Mapped[str]
    email: Mapped[str]
    deleted: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())


class ClientPermission(Base):
    """What a user may do in a client; the tokens made for them there can do no more."""

    __tablename__ = "permissions"
    __table_args__ = (
        CheckConstraint("role in ('read', 'write', 'admin')", name="role"),
        # One for each; also the foreign key.
        Index("ix_permissions_unique_user", "user_id", "client_id", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    role: Mapped[str]


class BrowserSession(Base):
    """Somebody who is signed in to the dashboard; may do what the token may, while that works."""

    __tablename__ = "browser_sessions"

    #: SHA-256 of what the cookie holds.
    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    token_id: Mapped[int] = mapped_column(ForeignKey("tokens.id"), index=True)
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    expires: Mapped[datetime.datetime] = mapped_column(index=True)


class SignInLink(Base):
    """A link that signs in once, and only soon; the row is gone when it was used."""

    __tablename__ = "sign_in_links"

    #: SHA-256 of the code in the link.
    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    token_id: Mapped[int] = mapped_column(ForeignKey("tokens.id"), index=True)
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    expires: Mapped[datetime.datetime] = mapped_column(index=True)


class Tag(Base):
    """A coloured word that a client marks training runs and experiments with."""

    __tablename__ = "tags"
    __table_args__ = (Index(UNIQUE_TAG, "client_id", "name", unique=True),)

    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    name: Mapped[str]
    #: As `#RRGGBB`.
    color: Mapped[str]


class Project(Base):
    """What a client keeps together: experiments, and the trainings that belong to no experiment."""

    __tablename__ = "projects"
    __table_args__ = (Index(UNIQUE_SLUG, "client_id", "slug", unique=True),)

    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    #: What users call its id; never changes.
    slug: Mapped[str]
    name: Mapped[str]
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata")
    deleted: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    #: When the project itself changed, or lost something; see `store.projects` for the rest.
    updated: Mapped[datetime.datetime] = mapped_column(server_default=func.now())


class ProjectNote(Base):
    """What somebody wrote about a project."""

    __tablename__ = "project_notes"
    __table_args__ = (
        # The list of a project, newest first; also the foreign key.
        Index("ix_project_notes_project_id_id", "project_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    contents: Mapped[str]
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())


class Experiment(Base):
    """What is optimised, how far it has come, and what the engine remembers of it."""

    __tablename__ = "experiments"
    __table_args__ = (
        CheckConstraint("state in ('active', 'deleted')", name="state"),
        # The lists of a client, by id and by last change.
        Index("ix_experiments_client_id_id", "client_id", "id"),
        Index("ix_experiments_client_id_updated", "client_id", "updated", "id"),
        # What a project holds and when that changed last; also the foreign key.
        Index("ix_experiments_project", "client_id", "project", "updated"),
        ForeignKeyConstraint(
            ["client_id", "project"],
            ["projects.client_id", "projects.slug"],
            name="fk_experiments_project",
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    #: The slug of its project, of the same client.
    project: Mapped[str | None]
    name: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="active", default="active")
    development: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    #: What SigOpt calls an AIExperiment: training runs report to it, and nobody else.
    runs_only: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    spec: Mapped[ExperimentSpec]
    #: Parameters and categories that were removed: `{"parameters": {name: parameter},
    #: "categories": {parameter: {category: enum_index}}}`. Their numbers are never given anew.
    retired: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    #: Named so because `metadata` is SQLAlchemy's own.
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata")
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    updated: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    #: Grows with every observation made, changed or deleted.
    revision: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    #: Observations that are not deleted, and the failed among them.
    observation_count: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    failure_count: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    #: Everything random about this experiment follows from it.
    seed: Mapped[int]
    #: How many points of the space-filling (or random, or grid) sequence are used up.
    design_position: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    #: A refresh may write its result only while this is what it read: the newest one wins.
    fit_epoch: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    #: When the last refresh began; what was handed out since tells the demand.
    refreshed: Mapped[datetime.datetime | None]
    #: `engine.state.State` as JSON.
    engine_state: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    #: Failures among `failure_count` that say nothing about their configuration.
    transient_count: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    #: Grows when what was reported before is no longer so, since an observation was changed or
    #: deleted, and when the spec changes. Whoever keeps what he read of the observations reads all
    #: of them anew then, and what was checked against the spec is checked again.
    rewrites: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    #: What was found among the observations up to one of them; see `store.findings`. Deferred:
    #: few of those who read an experiment need it.
    summary: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    #: How much a refresh still attempts, 0 being everything; see `service.ladder`.
    rung: Mapped[int] = mapped_column(Integer, server_default=text("0"), default=0)
    #: Numbers of its tags, in the order in which they were put on it.
    tags: Mapped[list[int]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    #: The token that made it; unknown of those from before this column.
    created_by: Mapped[int | None] = mapped_column(
        ForeignKey("tokens.id", name="fk_experiments_created_by", use_alter=True), index=True
    )
    #: When the rung may be left again.
    rung_until: Mapped[datetime.datetime | None]
    #: Refreshes that failed on this rung, and when the first of them did.
    refresh_failures: Mapped[int] = mapped_column(Integer, server_default=text("0"), default=0)
    refresh_failing_since: Mapped[datetime.datetime | None]
    #: Nothing new is handed out, and nothing computed, until it goes on.
    paused: Mapped[bool] = mapped_column(server_default=text("false"), default=False)


#: The states of a suggestion that was handed out; the condition of ix_suggestions_listed.
HANDED_OUT = ("open", "lapsed", "closed")
#: Those of the buffer; the condition of ix_suggestions_ready.
WAITING = ("queued", "ready")


class Suggestion(Base):
    """A configuration on its way: queued or ready, open, closed; or lapsed, its lease over."""

    __tablename__ = "suggestions"
    __table_args__ = (
        CheckConstraint("state in ('queued', 'ready', 'open', 'lapsed', 'closed')", name="state"),
        # No two open suggestions of an experiment are equal. `repeat` is above 0 only when the
        # space is used up or the caller gave the assignments.
        Index(
            UNIQUE_OPEN,
            "experiment_id",
            "assignments_hash",
            "repeat",
            unique=True,
            postgresql_where=text("state = 'open' and not deleted"),
        ),
        # Taking the best ready one: the order in which they are served.
        Index(
            "ix_suggestions_ready",
            "experiment_id",
            "state",
            text("revision desc"),
            "rank",
            "id",
            postgresql_where=text("state in ('queued', 'ready') and not deleted"),
        ),
        # The list of handed-out suggestions; the newest first.
        Index(
            "ix_suggestions_listed",
            "experiment_id",
            "id",
            postgresql_where=text("state in ('open', 'lapsed', 'closed')"),
        ),
        # What a worker holds: to give it back its own, and to renew its leases.
        Index(
            "ix_suggestions_worker",
            "experiment_id",
            "worker_id",
            postgresql_where=text(
                "state in ('open', 'lapsed') and worker_id is not null and not deleted"
            ),
        ),
        # Leases that have run out.
        Index(
            "ix_suggestions_lease_expires",
            "lease_expires",
            postgresql_where=text("state = 'open' and lease_expires is not null"),
        ),
        # The foreign key; the other indexes leave rows out.
        Index("ix_suggestions_experiment_id", "experiment_id"),
    )

    #: Given anew when the suggestion is handed out, so that ids follow that order.
    id: Mapped[int] = mapped_column(primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id", ondelete="CASCADE"))
    state: Mapped[str]
    deleted: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    assignments: Mapped[dict[str, Any]]
    assignments_hash: Mapped[bytes] = mapped_column(LargeBinary)
    repeat: Mapped[int] = mapped_column(Integer, server_default=text("0"), default=0)
    #: What the task costs that is to be run; only in multitask experiments.
    task_cost: Mapped[float | None]
    #: How it was made: model, space_filling, random, grid, queued, user.
    source: Mapped[str]
    #: Place in its buffer, best first.
    rank: Mapped[int] = mapped_column(Integer, server_default=text("0"), default=0)
    #: `experiment.revision` and number of observations when it was computed.
    revision: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    observations_seen: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    computed: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    #: Why this point: predictions, probability of success, engine version and seed.
    explanation: Mapped[dict[str, Any] | None]
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata")
    #: When it was handed out.
    opened: Mapped[datetime.datetime | None]
    #: Who holds it, by a name that outlives the process; only with a lease or by request.
    worker_id: Mapped[str | None]
    #: How long the holder may be silent, and until when it now may.
    lease_seconds: Mapped[float | None]
    lease_expires: Mapped[datetime.datetime | None]
    #: How often this configuration was handed out before and met a transient failure.
    attempt: Mapped[int] = mapped_column(Integer, server_default=text("0"), default=0)
    #: The training was told to stop early, so its last values are not what it would have reached.
    stopped: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    #: How long whoever asked for it waited; unknown of those from before this column.
    waited_seconds: Mapped[float | None]


class TrainingRun(Base):
    """One training, as it logged itself; in an experiment it has a suggestion and reports."""

    __tablename__ = "training_runs"
    __table_args__ = (
        CheckConstraint("state in ('active', 'completed', 'failed')", name="state"),
        # The lists of a client and of a project, and when the latter changed last.
        Index("ix_training_runs_client_id_id", "client_id", "id"),
        Index("ix_training_runs_project", "client_id", "project", "updated"),
        # The progress of an experiment; also the foreign keys.
        Index("ix_training_runs_experiment_id", "experiment_id"),
        Index("ix_training_runs_suggestion_id", "suggestion_id"),
        Index("ix_training_runs_observation_id", "observation_id"),
        ForeignKeyConstraint(
            ["client_id", "project"],
            ["projects.client_id", "projects.slug"],
            name="fk_training_runs_project",
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    project: Mapped[str]
    experiment_id: Mapped[int | None] = mapped_column(ForeignKey("experiments.id"))
    suggestion_id: Mapped[int | None] = mapped_column(ForeignKey("suggestions.id"))
    observation_id: Mapped[int | None] = mapped_column(ForeignKey("observations.id"))
    #: Its suggestion was drawn for it, not made of its assignments.
    optimized: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    name: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="active", default="active")
    deleted: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    favorite: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    updated: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    #: When it completed or failed for the first time.
    completed: Mapped[datetime.datetime | None]
    #: Everything that it logged, as the wire has it; see `service.training_runs`.
    assignments: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    assignments_meta: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    assignments_sources: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    values: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata")
    dev_metadata: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    sys_metadata: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    datasets: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    logs: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    model: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    source_code: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    #: Numbers of its files, oldest first.
    files: Mapped[list[int]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    #: Numbers of its tags, in the order in which they were put on it.
    tags: Mapped[list[int]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    checkpoint_count: Mapped[int] = mapped_column(Integer, server_default=text("0"), default=0)


class File(Base):
    """Something that a training run keeps: a picture, a model. Its bytes are a table further."""

    __tablename__ = "files"
    __table_args__ = (
        # The room that a client's files take; also the foreign key.
        Index("ix_files_client_id", "client_id"),
        Index("ix_files_training_run_id", "training_run_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    training_run_id: Mapped[int] = mapped_column(ForeignKey("training_runs.id", ondelete="CASCADE"))
    name: Mapped[str | None]
    filename: Mapped[str | None]
    content_type: Mapped[str]
    content_length: Mapped[int]
    #: MD5 of the bytes, in base64.
    content_md5: Mapped[str]
    #: With this the addresses of its bytes are signed.
    key: Mapped[bytes] = mapped_column(LargeBinary)
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    #: When its bytes came.
    uploaded: Mapped[datetime.datetime | None]


class FileContent(Base):
    """The bytes of a file."""

    __tablename__ = "file_contents"

    file_id: Mapped[int] = mapped_column(
        ForeignKey("files.id", ondelete="CASCADE"), primary_key=True
    )
    content: Mapped[bytes] = mapped_column(LargeBinary)


class RunCheckpoint(Base):
    """What a training run measured on its way."""

    __tablename__ = "run_checkpoints"
    __table_args__ = (
        # The list of a run; also the foreign key.
        Index("ix_run_checkpoints_training_run_id_id", "training_run_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    training_run_id: Mapped[int] = mapped_column(ForeignKey("training_runs.id", ondelete="CASCADE"))
    #: `{metric: {"value": number, "value_stddev": number or null}}`
    values: Mapped[dict[str, Any]]
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata")
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())


class QueuedSuggestion(Base):
    """A configuration that a user wants served before everything else; gone when it is served."""

    __tablename__ = "queued_suggestions"
    __table_args__ = (
        # The queue of an experiment, oldest first; also the foreign key.
        Index("ix_queued_suggestions_experiment_id_id", "experiment_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id", ondelete="CASCADE"))
    assignments: Mapped[dict[str, Any]]
    task_cost: Mapped[float | None]
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())


class Observation(Base):
    """What a training reported."""

    __tablename__ = "observations"
    __table_args__ = (
        # Lists, history and counts of an experiment.
        Index("ix_observations_experiment_id_id", "experiment_id", "id"),
        # Has this configuration been tried?
        Index("ix_observations_assignments", "experiment_id", "assignments_hash"),
        Index("ix_observations_suggestion_id", "suggestion_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id", ondelete="CASCADE"))
    suggestion_id: Mapped[int | None] = mapped_column(ForeignKey("suggestions.id"))
    assignments: Mapped[dict[str, Any]]
    assignments_hash: Mapped[bytes] = mapped_column(LargeBinary)
    #: What the task costs that was run, the full one 1; only in multitask experiments.
    task_cost: Mapped[float | None]
    #: `{metric key: {"value": number, "value_stddev": number or null}}`; empty when failed.
    values: Mapped[dict[str, Any]]
    failed: Mapped[bool] = mapped_column(Boolean)
    #: It failed for a reason that has nothing to do with the configuration.
    transient: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata")
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    deleted: Mapped[bool] = mapped_column(server_default=text("false"), default=False)


class Edit(Base):
    """That thresholds or parameters of an experiment were edited; see `store.edits`."""

    __tablename__ = "edits"
    __table_args__ = (
        # Those of an experiment, newest first; also the foreign key.
        Index("ix_edits_experiment_id_id", "experiment_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id", ondelete="CASCADE"))
    #: See `spec.differences`.
    differences: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())


class Insight(Base):
    """What the models said about an experiment when they were asked last; see `store.insights`."""

    __tablename__ = "insights"

    experiment_id: Mapped[int] = mapped_column(
        ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    #: How many observations there were when a worker last tried, also in vain.
    tried: Mapped[int]
    #: How many observations the rest is drawn from, and when; the rest is empty without them.
    observations: Mapped[int | None]
    computed: Mapped[datetime.datetime | None]
    #: `{metric key: {parameter: share}}`
    importances: Mapped[dict[str, Any] | None]
    #: `{parameter: share}`; empty when nothing failed.
    failure: Mapped[dict[str, Any] | None]
    #: `{metric key: {"observations", "explained", "coverage"}}`
    calibrations: Mapped[dict[str, Any] | None]


class Checkpoint(Base):
    """What a training measured on its way, before it was done."""

    __tablename__ = "checkpoints"
    __table_args__ = (
        # The curve of a training; one point a step.
        Index("ix_checkpoints_unique_step", "suggestion_id", "step", unique=True),
        # All curves of an experiment; also the foreign key.
        Index("ix_checkpoints_experiment_id_step", "experiment_id", "step"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id", ondelete="CASCADE"))
    suggestion_id: Mapped[int] = mapped_column(ForeignKey("suggestions.id", ondelete="CASCADE"))
    #: How far the training was, in a unit of the user's own: an epoch, a number of batches.
    step: Mapped[int]
    #: `{metric key: number}`, of the metrics that were measured.
    values: Mapped[dict[str, Any]]
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata")
    should_stop: Mapped[bool] = mapped_column(Boolean)
    #: Why, in words; empty when it should go on.
    stopping_reasons: Mapped[list[str]] = mapped_column(JSONB)
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())


class IdempotencyKey(Base):
    """A request that took effect, and the answer it got: a retry gets the same one."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        PrimaryKeyConstraint("token_id", "key", name=UNIQUE_KEY),
        # The purge of old ones.
        Index("ix_idempotency_keys_created", "created"),
    )

    #: No foreign key, which every request of a token would have to take turns for.
    token_id: Mapped[int]
    key: Mapped[str]
    #: SHA-256 of method, path and body.
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int] = mapped_column(Integer)
    answer: Mapped[bytes] = mapped_column(LargeBinary)
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())


class AuditEntry(Base):
    """That somebody changed something. A trigger refuses to change or delete these.

    Without foreign keys: an entry outlives what it is about.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (
        CheckConstraint("origin in ('api', 'dashboard', 'command')", name="origin"),
        # The list of an organization, newest first.
        Index("ix_audit_entries_organization_id_id", "organization_id", "id"),
        # What is past its time.
        Index("ix_audit_entries_created", "created"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    created: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    organization_id: Mapped[int]
    #: Whose client it was about.
    client_id: Mapped[int | None]
    #: The token that did it; absent when it was the operator, by a command.
    token_id: Mapped[int | None]
    origin: Mapped[str]
    #: From where the request came, as far as the API can see.
    address: Mapped[str | None]
    #: Such as `token.revoke`.
    action: Mapped[str]
    #: What it was done to: `token`, `experiment`, ...
    kind: Mapped[str]
    object_id: Mapped[int]
    #: What was changed from what to what; never a secret.
    details: Mapped[dict[str, Any]]

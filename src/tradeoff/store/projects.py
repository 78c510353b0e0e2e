"""Queries of projects."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Select, func, select
from sqlalchemy.exc import IntegrityError

from tradeoff.errors import Conflict, NotFound
from tradeoff.spec.values import shown
from tradeoff.store.database import Session
from tradeoff.store.tables import UNIQUE_SLUG, Experiment, Project, ProjectNote, TrainingRun


@dataclass(frozen=True, slots=True)
class Overview:
    """What a project holds.

    Attributes:
        experiment_count: experiments that are not deleted.
        training_run_count: training runs that are not deleted.
        updated: when the project or anything in it changed last.
    """

    experiment_count: int
    training_run_count: int
    updated: datetime.datetime


def insert(
    session: Session, *, client_id: int, slug: str, name: str, metadata: dict[str, Any] | None
) -> Project:
    """A new project.

    Raises:
        Conflict: when the client has one of this slug, deleted or not.
    """
    row = Project(client_id=client_id, slug=slug, name=name, metadata_=metadata)
    try:
        with session.begin_nested():
            session.add(row)
            session.flush()
    except IntegrityError as error:
        if UNIQUE_SLUG not in str(error.orig):
            raise
        raise Conflict(f"There is a project {shown(slug)} in this client already") from error
    session.refresh(row)
    return row


def get(session: Session, client_id: int, slug: str) -> Project:
    """The project of this client, deleted or not.

    Raises:
        NotFound: when there is none.
    """
    # ix_projects_unique_slug
    query = select(Project).where(Project.client_id == client_id, Project.slug == slug)
    row = session.scalars(query).one_or_none()
    if row is None:
        raise NotFound(f"There is no project {shown(slug)}")
    return row


def lock(session: Session, project: Project) -> None:
    """Read a project anew and let this transaction alone change it."""
    session.refresh(project, with_for_update={"key_share": True})


def touch(session: Session, project: Project) -> None:
    """Note that the project itself changed now, or that something left it."""
    project.updated = session.scalar(select(func.now()))  # type: ignore[assignment]  # now() is never null
    session.flush()


def listing(client_id: int, *, with_deleted: bool) -> Select[Project]:
    """The projects of a client; the deleted ones only `with_deleted`."""
    # ix_projects_unique_slug
    query = select(Project).where(Project.client_id == client_id)
    return query if with_deleted else query.where(~Project.deleted)


def list_all(session: Session, client_id: int) -> Sequence[Project]:
    """The projects of a client that are not deleted, by name."""
    query = listing(client_id, with_deleted=False).order_by(Project.name, Project.id)
    return session.scalars(query).all()


def last_change() -> ColumnElement[datetime.datetime]:
    """When a project or anything in it changed last.

    Found when it is asked for: were it kept on the project's row, all who report to any of its
    experiments would wait for each other there.
    """
    # ix_experiments_project, from its end
    newest = (
        select(func.max(Experiment.updated))
        .where(Experiment.client_id == Project.client_id, Experiment.project == Project.slug)
        .correlate(Project)
        .scalar_subquery()
    )
    # ix_training_runs_project, from its end
    newest_run = (
        select(func.max(TrainingRun.updated))
        .where(TrainingRun.client_id == Project.client_id, TrainingRun.project == Project.slug)
        .correlate(Project)
        .scalar_subquery()
    )
    return func.greatest(Project.updated, newest, newest_run, type_=DateTime(timezone=True))


def list_overviews(session: Session, ids: Collection[int]) -> dict[int, Overview]:
    """What each of these projects holds, by its number."""
    # ix_experiments_project
    count = (
        select(func.count())
        .where(
            Experiment.client_id == Project.client_id,
            Experiment.project == Project.slug,
            Experiment.state == "active",
        )
        .correlate(Project)
        .scalar_subquery()
    )
    # ix_training_runs_project
    runs = (
        select(func.count())
        .where(
            TrainingRun.client_id == Project.client_id,
            TrainingRun.project == Project.slug,
            ~TrainingRun.deleted,
        )
        .correlate(Project)
        .scalar_subquery()
    )
    query = select(Project.id, count, runs, last_change()).where(Project.id.in_(ids))
    return {row[0]: Overview(row[1], row[2], row[3]) for row in session.execute(query)}


def insert_note(session: Session, project: Project, contents: str) -> ProjectNote:
    """A new note of a project."""
    row = ProjectNote(project_id=project.id, contents=contents)
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def list_notes(project_id: int) -> Select[ProjectNote]:
    """The notes of a project."""
    # ix_project_notes_project_id_id
    return select(ProjectNote).where(ProjectNote.project_id == project_id)

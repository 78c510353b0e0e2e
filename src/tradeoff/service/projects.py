"""Create, change and put away projects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradeoff.errors import NotFound
from tradeoff.store import projects, tables
from tradeoff.store.database import Session


def create(
    session: Session, *, client_id: int, slug: str, name: str, metadata: dict[str, Any] | None
) -> tables.Project:
    """A new project.

    Raises:
        Conflict: when the client has one of this id, deleted or not.
    """
    return projects.insert(session, client_id=client_id, slug=slug, name=name, metadata=metadata)


def change(session: Session, project: tables.Project, changes: Mapping[str, Any]) -> None:
    """Change what was given of `name`, `metadata` and `deleted`, and leave the rest."""
    projects.lock(session, project)
    if "name" in changes:
        project.name = changes["name"]
    if "metadata" in changes:
        project.metadata_ = changes["metadata"]
    if "deleted" in changes:
        project.deleted = changes["deleted"]
    projects.touch(session, project)


def require(session: Session, client_id: int, slug: str) -> tables.Project:
    """The project that a request's body names.

    Raises:
        BadInput: when the client has none of this id.
    """
    try:
        return projects.get(session, client_id, slug)
    except NotFound as error:
        raise error.in_field("project") from error


def move(session: Session, experiment: tables.Experiment, slug: str | None) -> None:
    """Let an experiment belong to another project, or with `None` to none.

    Raises:
        BadInput: when the client has no such project.
    """
    if slug == experiment.project:
        return
    if slug is not None:
        require(session, experiment.client_id, slug)
    if experiment.project is not None:
        note_loss(session, experiment.client_id, experiment.project)
    experiment.project = slug


def note_loss(session: Session, client_id: int, slug: str) -> None:
    """Note on a project that something leaves it; one that it joins sees that on its row."""
    projects.touch(session, projects.get(session, client_id, slug))


def add_note(session: Session, project: tables.Project, contents: str) -> tables.ProjectNote:
    """Keep a note about a project, beside those there are; the project changed with it."""
    projects.lock(session, project)
    projects.touch(session, project)
    return projects.insert_note(session, project, contents)

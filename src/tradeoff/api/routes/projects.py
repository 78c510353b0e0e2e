"""Projects: what belongs together."""

from __future__ import annotations

from tradeoff.api import paging, render
from tradeoff.api.wire.pagination import Pagination
from tradeoff.api.wire.projects import (
    Project,
    ProjectCreate,
    ProjectList,
    ProjectNote,
    ProjectNoteCreate,
    ProjectNoteList,
    ProjectUpdate,
)
from tradeoff.api.wire.queries import Fetch
from tradeoff.service import projects
from tradeoff.store import projects as stored
from tradeoff.store import tables
from tradeoff.store.database import Session


def create(session: Session, client: tables.Client, body: ProjectCreate) -> Project:
    """Create a project.

    Its `id` is yours to choose, once for each client: 409 says that there is one already.
    """
    row = projects.create(
        session, client_id=client.id, slug=body.id, name=body.name, metadata=body.metadata
    )
    return _render(session, row)


def fetch(
    session: Session, client: tables.Client, project: tables.Project, query: Fetch
) -> Project:
    """Fetch a project.

    Deleted ones can be fetched too.
    """
    return _render(session, project)


def fetch_list(session: Session, client: tables.Client, query: ProjectList) -> Pagination[Project]:
    """List projects.

    The one that changed last comes first.
    """
    select = stored.listing(client.id, with_deleted=query.deleted)
    if query.user is not None:
        # Tokens belong to no user yet, so nobody's projects are what was asked for.
        select = select.where(tables.Project.id < 0)
    by_change = query.sort == "updated"
    page = paging.fetch(
        session,
        select,
        query,
        id_column=tables.Project.id.expression,
        key=stored.last_change() if by_change else tables.Project.created.expression,
    )
    overviews = stored.list_overviews(session, [row.id for row in page.rows])
    return paging.envelope(page, lambda row: render.project(row, overviews[row.id]))


def update(
    session: Session, client: tables.Client, project: tables.Project, body: ProjectUpdate
) -> Project:
    """Change a project.

    Only the keys that are given change something. A deleted project leaves the list, and what it
    holds stays as it is.
    """
    changes = body.changes()
    if changes:
        projects.change(session, project, changes)
    return _render(session, project)


def create_note(
    session: Session, client: tables.Client, project: tables.Project, body: ProjectNoteCreate
) -> ProjectNote:
    """Write a note about a project.

    The notes before it are kept.
    """
    return render.project_note(projects.add_note(session, project, body.contents), project)


def fetch_notes(
    session: Session, client: tables.Client, project: tables.Project, query: ProjectNoteList
) -> Pagination[ProjectNote]:
    """List the notes about a project.

    The newest come first.
    """
    page = paging.fetch(
        session,
        stored.list_notes(project.id),
        query,
        id_column=tables.ProjectNote.id.expression,
    )
    return paging.envelope(page, lambda row: render.project_note(row, project))


def _render(session: Session, row: tables.Project) -> Project:
    return render.project(row, stored.list_overviews(session, [row.id])[row.id])

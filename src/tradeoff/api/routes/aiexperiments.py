"""AIExperiments: what is optimized with training runs."""

from __future__ import annotations

from tradeoff.api import paging, render
from tradeoff.api.routes.experiments import fetch_page, select_for
from tradeoff.api.wire.aiexperiments import (
    AIExperiment,
    AIExperimentCreate,
    AIExperimentList,
    AIExperimentUpdate,
)
from tradeoff.api.wire.base import Empty
from tradeoff.api.wire.experiments import ExperimentDelete
from tradeoff.api.wire.pagination import Pagination
from tradeoff.api.wire.queries import Fetch
from tradeoff.service import experiments, run_progress
from tradeoff.service.access import Principal
from tradeoff.store import tables
from tradeoff.store.database import Session


def create(
    session: Session,
    principal: Principal,
    client: tables.Client,
    project: tables.Project,
    body: AIExperimentCreate,
) -> AIExperiment:
    """Create an AIExperiment.

    Each training run that is created in it is given the next configuration to try.
    """
    row = experiments.create(
        session,
        principal,
        client_id=client.id,
        name=body.name,
        spec=body.to_spec(),
        metadata=body.metadata,
        project=project.slug,
        runs_only=True,
        paused=body.paused,
    )
    return _render(session, row)


def fetch(session: Session, aiexperiment: tables.Experiment, query: Fetch) -> AIExperiment:
    """Fetch an AIExperiment.

    Deleted ones can be fetched too.
    """
    return _render(session, aiexperiment)


def fetch_list(
    session: Session, principal: Principal, query: AIExperimentList
) -> Pagination[AIExperiment]:
    """List your AIExperiments.

    The newest come first. Only active ones are shown unless `state` says otherwise.
    """
    return _list(session, principal, query)


def fetch_list_of_client(
    session: Session, principal: Principal, client: tables.Client, query: AIExperimentList
) -> Pagination[AIExperiment]:
    """List the AIExperiments of a client."""
    return _list(session, principal, query)


def fetch_list_of_project(
    session: Session,
    principal: Principal,
    client: tables.Client,
    project: tables.Project,
    query: AIExperimentList,
) -> Pagination[AIExperiment]:
    """List the AIExperiments of a project."""
    return _list(session, principal, query, project=project.slug)


def _list(
    session: Session, principal: Principal, query: AIExperimentList, *, project: str | None = None
) -> Pagination[AIExperiment]:
    select = select_for(principal, query, project=project, runs_only=True)
    page = fetch_page(session, select, query)
    overviews = run_progress.overviews(session, page.rows)
    return paging.envelope(page, lambda row: render.aiexperiment(row, overviews[row.id]))


def update(
    session: Session, aiexperiment: tables.Experiment, body: AIExperimentUpdate
) -> AIExperiment:
    """Change an AIExperiment.

    Only the keys that are given change something. It stays in its project.
    """
    changes = body.changes()
    if changes:
        experiments.change(session, aiexperiment, changes)
    return _render(session, aiexperiment)


def delete(session: Session, aiexperiment: tables.Experiment, query: ExperimentDelete) -> Empty:
    """Delete an AIExperiment.

    It leaves the lists and takes no more work; setting its `state` to `active` brings it back.
    """
    experiments.delete(session, aiexperiment, include_content=query.include_runs)
    return Empty()


def _render(session: Session, row: tables.Experiment) -> AIExperiment:
    return render.aiexperiment(row, run_progress.overviews(session, [row])[row.id])

"""Experiments: what is optimized."""

from __future__ import annotations

from typing import Any

from tradeoff.api import paging, render
from tradeoff.api.wire.base import Empty
from tradeoff.api.wire.experiments import (
    Experiment,
    ExperimentCreate,
    ExperimentDelete,
    ExperimentFetch,
    ExperimentList,
    ExperimentUpdate,
    ListOfEitherKind,
)
from tradeoff.api.wire.pagination import Pagination
from tradeoff.api.wire.queries import Query, to_moment
from tradeoff.errors import Moved
from tradeoff.service import access, experiments, run_progress
from tradeoff.service.access import Principal
from tradeoff.store import experiments as stored
from tradeoff.store import tables
from tradeoff.store.database import Session
from tradeoff.store.paging import Page


def create(session: Session, principal: Principal, body: ExperimentCreate) -> Experiment:
    """Create an experiment.

    Its first suggestions are ready when this answers.
    """
    row = experiments.create(
        session,
        principal,
        client_id=principal.client_id,
        name=body.name,
        spec=body.to_spec(),
        metadata=body.metadata,
        project=body.project,
        runs_only=body.runs_only,
        paused=body.paused,
    )
    return _render(session, row)


def create_in_client(
    session: Session, principal: Principal, client: tables.Client, body: ExperimentCreate
) -> Experiment:
    """Create an experiment in a client."""
    return create(session, principal, body)


def fetch(session: Session, experiment: tables.Experiment, query: ExperimentFetch) -> Experiment:
    """Fetch an experiment.

    Deleted ones can be fetched too. AIExperiments are at an address of their own, where you are
    sent.
    """
    if experiment.runs_only:
        raise Moved(f"/v1/aiexperiments/{experiment.id}")
    return _render(session, experiment)


def fetch_list(
    session: Session, principal: Principal, query: ExperimentList
) -> Pagination[Experiment]:
    """List your experiments.

    The newest come first. Only active ones are shown unless `state` says otherwise.
    """
    return _list(session, principal, query)


def fetch_list_of_client(
    session: Session, principal: Principal, client: tables.Client, query: ExperimentList
) -> Pagination[Experiment]:
    """List the experiments of a client."""
    return _list(session, principal, query)


def fetch_list_of_project(
    session: Session,
    principal: Principal,
    client: tables.Client,
    project: tables.Project,
    query: ExperimentList,
) -> Pagination[Experiment]:
    """List the experiments of a project."""
    return _list(session, principal, query, project=project.slug)


def _list(
    session: Session, principal: Principal, query: ExperimentList, *, project: str | None = None
) -> Pagination[Experiment]:
    select = select_for(
        principal,
        query,
        # A token reaches its own kind alone, so the other kind is not there for it.
        development=principal.development,
        project=project,
        runs_only=None if query.include_ai else False,
        period_start=to_moment(query.period_start),
        period_end=to_moment(query.period_end),
    )
    if query.development is not None:
        select = select.where(tables.Experiment.development == query.development)
    page = fetch_page(session, select, query)
    overviews = run_progress.overviews_of_either_kind(session, page.rows)
    return paging.envelope(page, lambda row: render.experiment(row, overviews[row.id]))


def select_for(principal: Principal, query: ListOfEitherKind, **options: Any) -> Any:
    """The experiments of either kind that a list is of; `options` of `store.experiments.listing`.

    Raises:
        NotAllowed: for a guest of one run, who sees no experiments, not even a list of none.
    """
    if principal.training_run_id is not None:
        access.require_whole_client(principal)
    select = stored.listing(
        principal.client_id,
        state=query.state,
        search=query.search,
        experiment_id=principal.experiment_id,
        **options,
    )
    if query.user is not None:
        # Tokens belong to no user yet, so nobody's experiments are what was asked for.
        select = select.where(tables.Experiment.id < 0)
    return select


def fetch_page(session: Session, select: Any, query: ListOfEitherKind) -> Page[tables.Experiment]:
    """The page of such a list."""
    return paging.fetch(
        session,
        select,
        query,
        id_column=tables.Experiment.id.expression,
        key=tables.Experiment.updated.expression if query.sort == "recent" else None,
    )


def update(session: Session, experiment: tables.Experiment, body: ExperimentUpdate) -> Experiment:
    """Change an experiment.

    Only the keys that are given change something. What was reported keeps its values.
    """
    changes = body.changes()
    if changes:
        experiments.change(session, experiment, changes)
    return _render(session, experiment)


def delete(session: Session, experiment: tables.Experiment, query: ExperimentDelete) -> Empty:
    """Delete an experiment.

    It leaves the lists and takes no more work; setting its `state` to `active` brings it back.
    """
    experiments.delete(session, experiment, include_content=query.include_runs)
    return Empty()


def forget_model(session: Session, experiment: tables.Experiment, query: Query) -> Empty:
    """Forget what the model has learnt to be like.

    It is fitted from nothing to the observations, which stay; the next suggestions wait for it.
    """
    experiments.forget_model(session, experiment)
    return Empty()


def _render(session: Session, row: tables.Experiment) -> Experiment:
    overviews = run_progress.overviews_of_either_kind(session, [row])
    return render.experiment(row, overviews[row.id])

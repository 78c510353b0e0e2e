"""Importances: how much each parameter matters."""

from __future__ import annotations

from tradeoff.api import paging, render
from tradeoff.api.wire.importances import Importances, ImportancesRefresh, MetricImportances
from tradeoff.api.wire.pagination import Pagination
from tradeoff.api.wire.queries import Fetch
from tradeoff.service import insights
from tradeoff.store import tables
from tradeoff.store.database import Session


def fetch_list(
    session: Session, experiment: tables.Experiment, query: Fetch
) -> Pagination[MetricImportances]:
    """Ask how much each parameter matters for each metric.

    From five successful observations for each parameter on; before, and for experiments with
    conditionals and development experiments, 422 says why there is nothing. Workers compute them
    anew whenever a tenth more has been observed, together with how well the models predict
    observations that they were not shown.
    """
    found = insights.read(session, experiment)
    return paging.whole(render.metric_importances(found, experiment.spec))


def refresh(
    session: Session, experiment: tables.Experiment, body: ImportancesRefresh
) -> Pagination[MetricImportances]:
    """Have the importances computed anew.

    A worker does so as soon as one is free; the answer is what is known now.
    """
    found = insights.read(session, experiment)
    insights.request(session, experiment)
    return paging.whole(render.metric_importances(found, experiment.spec))


def fetch(session: Session, experiment: tables.Experiment, query: Fetch) -> Importances:
    """Ask how much each parameter matters for the optimized metric, and for failing."""
    return render.importances(insights.read(session, experiment), experiment.spec)

"""What matters, and how far the models can be trusted.

A worker asks the models now and then, and keeps what they say. Until it has, or without a worker,
trees of observations answer for the importances: less sure with few observations, but at once.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tradeoff.engine import forest
from tradeoff.engine.space import Space
from tradeoff.errors import Unprocessable
from tradeoff.spec import tasks
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.store import insights, observations, queue, tables
from tradeoff.store.database import Session

#: Importances are told from so many successful observations for each parameter on.
SUCCESSES_PER_PARAMETER = 5
#: The models are asked again when there are this many times the observations of the last time.
GROWTH = 1.1
#: A model that explains no more than this share is no better than the mean.
NOT_PREDICTIVE = 0.05
#: Trees take so many of the newest observations at most, fewer with many metrics.
MOST_ROWS, LEAST_ROWS, MOST_VALUES = 512, 64, 2_048

Shares = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well one metric's model predicts observations that it was not shown.

    Attributes:
        observations: how many were left out, one at a time.
        explained: share of their variance that it explains, at most 1; below 0 the average would
            have been a better prediction.
        coverage: share of them inside their 95 % interval.
    """

    observations: int
    explained: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Insights:
    """What is known of an experiment as a whole.

    Attributes:
        importances: by metric key the share of each parameter, of sum 1.
        failure: the share of each parameter in whether a configuration fails; `None` when nothing
            failed, or no model was asked.
        calibrations: by metric key; empty when no model was asked.
        method: who says so, the models or trees.
        observations: how many there were then, failed ones included.
        computed: when the models were asked; `None` for trees.
    """

    importances: Mapping[str, Shares]
    failure: Shares | None
    calibrations: Mapping[str, Calibration]
    method: Literal["model", "trees"]
    observations: int
    computed: datetime.datetime | None


def why_none(experiment: tables.Experiment) -> str | None:
    """Why nothing can be said of this experiment; `None` when something can."""
    if experiment.development:
        return "A development experiment has no importances, since no model is fitted to it"
    if experiment.spec.conditionals:
        return "An experiment with conditionals has no importances"
    successes = experiment.observation_count - experiment.failure_count
    due = SUCCESSES_PER_PARAMETER * len(experiment.spec.parameters)
    if successes < due:
        return (
            f"Importances need {due} successful observations, {SUCCESSES_PER_PARAMETER} for each "
            f"parameter; there are {successes} so far"
        )
    return None


def read(session: Session, experiment: tables.Experiment) -> Insights:
    """What is known of an experiment: what the models said last, or else what trees say now.

    Raises:
        Unprocessable: when nothing can be said yet, or ever; the message says why.
    """
    reason = why_none(experiment)
    if reason is not None:
        raise Unprocessable(reason)
    kept = find(session, experiment)
    return _by_trees(session, experiment) if kept is None else kept


def find(session: Session, experiment: tables.Experiment) -> Insights | None:
    """What the models said last, of any experiment; `None` when they were not asked.

    Nor does what they said of parameters count that the experiment no longer has.
    """
    row = insights.find(session, experiment.id)
    if row is None or not row.importances or not _is_about(experiment.spec, row):
        return None
    return Insights(
        importances=row.importances,
        failure=row.failure,
        calibrations={key: Calibration(**entry) for key, entry in (row.calibrations or {}).items()},
        method="model",
        observations=row.observations or 0,
        computed=row.computed,
    )


def _is_about(spec: ExperimentSpec, row: tables.Insight) -> bool:
    names = {parameter.name for parameter in spec.parameters}
    names |= {conditional.name for conditional in spec.conditionals}
    return all(shares.keys() == names for shares in (row.importances or {}).values())


def _by_trees(session: Session, experiment: tables.Experiment) -> Insights:
    spec = experiment.spec
    limit = max(LEAST_ROWS, min(MOST_ROWS, MOST_VALUES // len(spec.metrics)))
    rows = observations.list_last_successes(session, experiment.id, limit=limit)
    space = Space(spec)
    X = space.encode([tasks.join(assignments, cost) for assignments, _, cost in rows])  # noqa: N806  # the engine's name
    names = [parameter.name for parameter in spec.parameters]  # there are no conditionals
    importances = {}
    for metric in spec.metrics:
        y = np.array([values[metric.key]["value"] for _, values, _ in rows], dtype=float)
        shares = forest.importances(space, X, y, seed=experiment.seed)
        importances[metric.key] = dict(zip(names, map(float, shares), strict=True))
    return Insights(importances, None, {}, "trees", experiment.observation_count, None)


def request(session: Session, experiment: tables.Experiment) -> None:
    """Have the models asked as soon as a worker is free.

    Raises:
        Unprocessable: when nothing can be said yet, or ever.
    """
    reason = why_none(experiment)
    if reason is not None:
        raise Unprocessable(reason)
    queue.defer_analysis(session, experiment.id, client_id=experiment.client_id)


def request_if_due(session: Session, experiment: tables.Experiment) -> None:
    """Have the models asked when enough has been learnt since the last time."""
    if experiment.state != "active" or why_none(experiment) is not None:
        return
    row = insights.find(session, experiment.id)
    count = experiment.observation_count
    if row is not None:
        if count == row.tried:
            return
        is_stale = bool(row.importances) and not _is_about(experiment.spec, row)
        # Fewer than there were: they were deleted, and perhaps reported anew.
        if row.tried < count < GROWTH * row.tried and not is_stale:
            return
    queue.defer_analysis(session, experiment.id, client_id=experiment.client_id)


def keep(
    session: Session,
    experiment_id: int,
    *,
    observations: int,
    importances: dict[str, Any],
    failure: dict[str, Any] | None,
    calibrations: dict[str, Any],
) -> None:
    """Keep what the models said.

    Args:
        session: to work with.
        experiment_id: of which experiment.
        observations: how many it had when its history was read.
        importances: by metric key the share of each parameter.
        failure: the share of each parameter in failures.
        calibrations: by metric key the fields of a `Calibration`.
    """
    insights.put(
        session,
        experiment_id,
        observations=observations,
        importances=importances,
        failure=failure,
        calibrations=calibrations,
    )


def note_failure(session: Session, experiment_id: int, *, observations: int) -> None:
    """Note that the models could not be asked, so that it is not tried again at once."""
    insights.put_tried(session, experiment_id, observations=observations)

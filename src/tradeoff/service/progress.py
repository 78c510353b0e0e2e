"""How far an experiment has come, and what it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeoff.engine import pareto
from tradeoff.engine.space import Space
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import Metric
from tradeoff.store import observations, tables
from tradeoff.store.database import Session

Array = npt.NDArray[np.float64]

#: Several solutions are chosen among this share of the observations, the best ones.
SOLUTIONS_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an experiment stands.

    Attributes:
        observation_count: observations that are not deleted, failed ones included.
        budget_consumed: how much of the observation budget they used.
        first: the oldest of them.
        last: the newest of them.
        best: the best one, with exactly one optimized metric.
    """

    observation_count: int
    budget_consumed: float
    first: tables.Observation | None
    last: tables.Observation | None
    best: tables.Observation | None


def overview(session: Session, experiment: tables.Experiment) -> Progress:
    """Where one experiment stands."""
    return overviews(session, [experiment])[experiment.id]


def overviews(session: Session, experiments: Sequence[tables.Experiment]) -> dict[int, Progress]:
    """Where each of these experiments stands, by id."""
    counted = [experiment for experiment in experiments if experiment.observation_count > 0]
    ends = observations.list_ends(session, [experiment.id for experiment in counted])
    metrics = {
        experiment.id: experiment.spec.optimized_metrics[0]
        for experiment in counted
        if len(experiment.spec.optimized_metrics) == 1
    }
    best = observations.list_best(session, metrics)
    wanted = {row_id for pair in ends.values() for row_id in pair} | set(best.values())
    rows = observations.list_by_id(session, wanted) if wanted else {}
    progress = {}
    for experiment in experiments:
        first, last = ends.get(experiment.id, (-1, -1))
        progress[experiment.id] = Progress(
            observation_count=experiment.observation_count,
            budget_consumed=float(experiment.observation_count),
            first=rows.get(first),
            last=rows.get(last),
            best=rows.get(best.get(experiment.id, -1)),
        )
    return progress


def best(session: Session, experiment: tables.Experiment) -> list[tables.Observation]:
    """The observations worth taking: the efficient frontier, or the best one.

    Only observations that meet every threshold count. With several optimized metrics: all that
    no other beats, best in the first metric first. With none: every one that meets the
    constraints. With several solutions wanted: good ones that are far apart.
    """
    spec = experiment.spec
    candidates = [
        row
        for row in observations.list_successful(session, experiment.id)
        if _meets_thresholds(spec, row[1])
    ]
    if not candidates:
        return []
    ids = [candidates[index].id for index in _choose(spec, candidates)]
    rows = observations.list_by_id(session, ids)
    chosen = [rows[row_id] for row_id in ids]
    return _spread(spec, chosen) if (spec.num_solutions or 1) > 1 else chosen


def _meets_thresholds(spec: ExperimentSpec, values: dict[str, Any]) -> bool:
    return all(
        metric.key in values and metric.meets_threshold(values[metric.key]["value"])
        for metric in spec.metrics
        if metric.strategy != "store"
    )


def _choose(spec: ExperimentSpec, candidates: Sequence[Any]) -> list[int]:
    """The indexes of the candidates worth taking, in the order of showing."""
    optimized = spec.optimized_metrics
    if not optimized:
        column = _outcomes(spec.constraint_metrics[:1], candidates)[:, 0]
        return [int(index) for index in np.argsort(-column, kind="stable")]
    outcomes = _outcomes(optimized, candidates)
    if len(optimized) > 1:
        return _frontier(outcomes)
    wanted = spec.num_solutions or 1
    if wanted == 1:
        return [int(np.argmax(outcomes[:, 0]))]
    size = max(wanted, int(np.ceil(SOLUTIONS_SHARE * len(outcomes))))
    return [int(index) for index in np.argsort(-outcomes[:, 0], kind="stable")[:size]]


def _outcomes(metrics: Sequence[Metric], candidates: Sequence[Any]) -> Array:
    """`n x m` values of `metrics`, all to be maximised."""
    return np.array(
        [[metric.sign * row[1][metric.key]["value"] for metric in metrics] for row in candidates],
        dtype=float,
    )


def _frontier(outcomes: Array) -> list[int]:
    """The indexes of all non-dominated rows, exact ties included, best first metric first."""
    distinct, of_row = np.unique(outcomes, axis=0, return_inverse=True)
    efficient = pareto.non_dominated(distinct)[of_row.reshape(-1)]
    order = np.argsort(-outcomes[:, 0], kind="stable")
    return [int(index) for index in order if efficient[index]]


def _spread(spec: ExperimentSpec, good: Sequence[tables.Observation]) -> list[tables.Observation]:
    """Up to `num_solutions` of the good ones: the best, then always the farthest from those."""
    X = Space(spec).encode([row.assignments for row in good])  # noqa: N806  # the engine's name
    gaps = np.linalg.norm(X - X[0], axis=1)
    chosen = [0]
    while len(chosen) < min(spec.num_solutions or 1, len(good)):
        gaps[chosen] = -1.0
        chosen.append(int(np.argmax(gaps)))
        gaps = np.minimum(gaps, np.linalg.norm(X - X[chosen[-1]], axis=1))
    return [good[index] for index in chosen]

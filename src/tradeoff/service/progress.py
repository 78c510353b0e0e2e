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
    best = {experiment.id: _find_single_best(session, experiment) for experiment in counted}
    wanted = {row_id for pair in ends.values() for row_id in pair}
    wanted |= {row_id for row_id in best.values() if row_id is not None}
    rows = observations.list_by_id(session, wanted) if wanted else {}
    progress = {}
    for experiment in experiments:
        first, last = ends.get(experiment.id, (-1, -1))
        progress[experiment.id] = Progress(
            observation_count=experiment.observation_count,
            budget_consumed=float(experiment.observation_count),
            first=rows.get(first),
            last=rows.get(last),
            best=rows.get(best.get(experiment.id) or -1),
        )
    return progress


def _find_single_best(session: Session, experiment: tables.Experiment) -> int | None:
    optimized = experiment.spec.optimized_metrics
    if len(optimized) != 1:
        return None
    metric = optimized[0]
    return observations.find_best(
        session,
        experiment.id,
        metric_key=metric.key,
        maximize=metric.objective == "maximize",
    )


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
    chosen = _choose(spec, candidates)
    rows = observations.list_by_id(session, [candidates[index].id for index in chosen])
    return [rows[candidates[index].id] for index in chosen]


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
    if (spec.num_solutions or 1) > 1:
        return _spread(spec, candidates, outcomes[:, 0])
    return [int(np.argmax(outcomes[:, 0]))]


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


def _spread(spec: ExperimentSpec, candidates: Sequence[Any], y: Array) -> list[int]:
    """Up to `num_solutions` of the best fifth: the best, then always the farthest from those."""
    wanted = spec.num_solutions or 1
    size = max(wanted, int(np.ceil(SOLUTIONS_SHARE * len(y))))
    good = [int(index) for index in np.argsort(-y, kind="stable")[:size]]
    rows = Space(spec).encode([candidates[index].assignments for index in good])
    chosen = [0]
    while len(chosen) < min(wanted, len(good)):
        gaps = np.linalg.norm(rows[:, None, :] - rows[None, chosen, :], axis=-1).min(axis=1)
        gaps[chosen] = -1.0
        chosen.append(int(np.argmax(gaps)))
    return [good[index] for index in chosen]

"""How far an experiment has come, and what it found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeoff.engine import pareto
from tradeoff.engine.space import Space
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import Metric
from tradeoff.store import findings, observations, tables
from tradeoff.store.database import Session

Array = npt.NDArray[np.float64]

#: Several solutions are chosen among this share of the observations, the best ones.
SOLUTIONS_SHARE = 0.2
#: So many observations beyond what was kept are worth keeping what was found.
MANY_NEWS = 64


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an experiment stands.

    Attributes:
        observation_count: observations that are not deleted, failed ones included.
        budget_consumed: how much of the observation budget they used, each as much as its task
            costs; a failure that says nothing about its configuration used none.
        first: the oldest of them.
        last: the newest of them.
        best: the best one, of the full task, with exactly one optimized metric.
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
    best = _list_best(session, counted)
    costs = observations.sum_costs(session, [row.id for row in counted if row.spec.tasks])
    wanted = {row_id for pair in ends.values() for row_id in pair} | set(best.values())
    rows = observations.list_by_id(session, wanted) if wanted else {}
    progress = {}
    for experiment in experiments:
        first, last = ends.get(experiment.id, (-1, -1))
        progress[experiment.id] = Progress(
            observation_count=experiment.observation_count,
            budget_consumed=costs.get(
                experiment.id, float(experiment.observation_count - experiment.transient_count)
            ),
            first=rows.get(first),
            last=rows.get(last),
            best=rows.get(best.get(experiment.id, -1)),
        )
    return progress


def _list_best(session: Session, experiments: Sequence[tables.Experiment]) -> dict[int, int]:
    """The best success, by experiment, of each that optimizes exactly one metric."""
    wanted = {
        experiment.id: (experiment.spec.optimized_metrics[0], digest(experiment.spec))
        for experiment in experiments
        if len(experiment.spec.optimized_metrics) == 1
    }
    found = findings.list_best(session, wanted)
    for row_id, best in found.items():
        if best.news >= MANY_NEWS:
            finding = {"id": best.id, "score": best.score}
            known = {"rewrites": best.rewrites, "digest": wanted[row_id][1], "upto": best.upto}
            findings.keep(session, row_id, findings.BEST, {**finding, **known})
    return {row_id: best.id for row_id, best in found.items() if best.id is not None}


def digest(spec: ExperimentSpec) -> str:
    """The same for metrics that judge alike."""
    metrics = json.dumps([metric.model_dump(mode="json") for metric in spec.metrics])
    return hashlib.sha256(metrics.encode()).hexdigest()[:16]


def best(session: Session, experiment: tables.Experiment) -> list[tables.Observation]:
    """The observations worth taking: the efficient frontier, or the best one.

    Only observations that meet every threshold count. With several optimized metrics: all that
    no other beats, best in the first metric first. With none: every one that meets the
    constraints. With several solutions wanted: good ones that are far apart.
    """
    spec = experiment.spec
    if spec.optimized_metrics and (spec.num_solutions or 1) == 1:
        return _efficient(session, experiment)
    # Many of the observations are shown, or chosen among: little could be kept.
    ids = _choose(spec, permitted(session, experiment))
    rows = observations.list_by_id(session, ids)
    chosen = [rows[row_id] for row_id in ids]
    return _spread(spec, chosen) if chosen and (spec.num_solutions or 1) > 1 else chosen


def _efficient(session: Session, experiment: tables.Experiment) -> list[tables.Observation]:
    """What no other observation beats: chosen among what was so before, and what is new."""
    spec, judged = experiment.spec, digest(experiment.spec)
    known = findings.get_efficient(session, experiment.id, digest=judged)
    rows = observations.list_by_id(session, known.ids)
    # By id, since the first of equals is taken. One that was deleted this moment is left out.
    held = sorted((row for row in rows.values() if not row.deleted), key=lambda row: row.id)
    before = [
        (row.id, *(row.values[metric.key]["value"] for metric in _judging(spec))) for row in held
    ]
    news = findings.list_outcomes(
        session, experiment.id, [metric.key for metric in _judging(spec)], after=known.upto
    )
    ids = _choose(spec, Outcomes.of(spec, [*before, *news]))
    if len(news) >= MANY_NEWS:
        finding = {"ids": ids, "upto": news[-1].id, "rewrites": known.rewrites, "digest": judged}
        findings.keep(session, experiment.id, findings.EFFICIENT, finding)
    rows |= observations.list_by_id(session, [row_id for row_id in ids if row_id not in rows])
    return [rows[row_id] for row_id in ids]


def _judging(spec: ExperimentSpec) -> list[Metric]:
    """The metrics that have a say: the optimized ones first, then the constraints."""
    return [*spec.optimized_metrics, *spec.constraint_metrics]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What meets every threshold: `n` ids, ascending, and `n x m` values, larger is better."""

    ids: npt.NDArray[np.int64]
    values: Array

    @classmethod
    def of(cls, spec: ExperimentSpec, rows: Sequence[Any]) -> Outcomes:
        """Of rows of the id and the values of the metrics `_judging`."""
        metrics = _judging(spec)
        ids = np.array([row[0] for row in rows], dtype=np.int64)
        values = np.array([row[1:] for row in rows], dtype=float).reshape(-1, len(metrics))
        values *= np.array([metric.sign for metric in metrics], dtype=float)
        least = [
            -np.inf if metric.threshold is None else metric.sign * metric.threshold
            for metric in metrics
        ]
        permitted = (values >= np.array(least)).all(axis=1)  # a missing value is NaN
        return cls(ids[permitted], values[permitted])


def permitted(session: Session, experiment: tables.Experiment) -> Outcomes:
    """The successes that meet every threshold, with the values that judge them."""
    spec = experiment.spec
    keys = [metric.key for metric in _judging(spec)]
    return Outcomes.of(spec, findings.list_outcomes(session, experiment.id, keys))


def permitted_of(session: Session, experiments: Sequence[tables.Experiment]) -> dict[int, Outcomes]:
    """What `permitted` gives, of many experiments at once, by id."""
    wanted = {row.id: [metric.key for metric in _judging(row.spec)] for row in experiments}
    found = findings.list_outcomes_of(session, wanted)
    return {row.id: Outcomes.of(row.spec, found[row.id]) for row in experiments}


def _choose(spec: ExperimentSpec, outcomes: Outcomes) -> list[int]:
    """The ids of those worth taking, in the order of showing."""
    if not len(outcomes.ids):
        return []
    first, m = outcomes.values[:, 0], len(spec.optimized_metrics)
    wanted = spec.num_solutions or 1
    if m == 0:
        chosen = np.argsort(-first, kind="stable")
    elif m > 1:
        chosen = _frontier(outcomes.values[:, :m])
    elif wanted == 1:
        chosen = np.array([first.argmax()])
    else:
        size = max(wanted, int(np.ceil(SOLUTIONS_SHARE * len(first))))
        chosen = np.argsort(-first, kind="stable")[:size]
    return [int(row_id) for row_id in outcomes.ids[chosen]]


def _frontier(outcomes: Array) -> npt.NDArray[np.intp]:
    """The indexes of all non-dominated rows, exact ties included, best first metric first."""
    distinct, of_row = np.unique(outcomes, axis=0, return_inverse=True)
    efficient = pareto.non_dominated(distinct)[of_row.reshape(-1)]
    order = np.argsort(-outcomes[:, 0], kind="stable")
    return order[efficient[order]]


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

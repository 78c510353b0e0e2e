"""Experiments beside each other, measured from a common reference point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tradeoff.engine import pareto
from tradeoff.errors import BadInput
from tradeoff.service import convergence, progress
from tradeoff.service import points as service_points
from tradeoff.service.points import Mask, Points
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import Metric
from tradeoff.store import tables
from tradeoff.store.database import Session

LEAST, MOST = 2, 5
#: Above so many metrics an exact hypervolume takes too long.
MAX_METRICS = 3


@dataclass(frozen=True, slots=True)
class Compared:
    """One of several experiments.

    Attributes:
        experiment: itself.
        frontier: how many efficient observations it has; with one metric 1.
        best: the best value of each optimized metric, by its key.
        share: its hypervolume as a share of what all of them reach together, against a common
            reference point; `None` when they do not optimize the same metrics, or too many.
    """

    experiment: tables.Experiment
    frontier: int
    best: dict[str, float]
    share: float | None


def check_count(count: int) -> None:
    """Stop a comparison of too few or too many.

    Raises:
        BadInput: then.
    """
    if not LEAST <= count <= MOST:
        raise BadInput(f"experiment: choose {LEAST} to {MOST} of them, not {count}")


def compare(session: Session, experiments: Sequence[tables.Experiment]) -> list[Compared]:
    """These experiments beside each other, in their order.

    Raises:
        BadInput: when they are too few or too many.
    """
    check_count(len(experiments))
    fronts = [_front(session, experiment) for experiment in experiments]
    shares = _shares([experiment.spec for experiment in experiments], fronts)
    return [
        Compared(
            experiment=experiment,
            frontier=len(front),
            best={
                metric.key: metric.sign * float(front[:, column].max())
                for column, metric in enumerate(experiment.spec.optimized_metrics)
                if len(front)
            },
            share=share,
        )
        for experiment, front, share in zip(experiments, fronts, shares, strict=True)
    ]


def _front(session: Session, experiment: tables.Experiment) -> progress.Array:
    """The efficient outcomes, all to be maximised."""
    m = len(experiment.spec.optimized_metrics)
    values = progress.permitted(session, experiment).values[:, :m]
    return values[pareto.non_dominated(values)] if len(values) and m else values[:0]


def _shares(
    specs: Sequence[ExperimentSpec], fronts: Sequence[progress.Array]
) -> list[float | None]:
    m = len(specs[0].optimized_metrics)
    if not _judge_alike(specs) or not 2 <= m <= MAX_METRICS:
        return [None] * len(specs)
    # They may name their metrics in different orders.
    fronts = [
        front[:, np.argsort([metric.key for metric in spec.optimized_metrics])]
        for spec, front in zip(specs, fronts, strict=True)
    ]
    everything = np.concatenate(fronts)
    if not len(everything):
        return [None] * len(specs)
    reference = _reference(everything)
    whole = pareto.hypervolume(everything, reference)
    return [pareto.hypervolume(front, reference) / whole for front in fronts]


def _judge_alike(specs: Sequence[ExperimentSpec]) -> bool:
    """Whether all of them optimize the same metrics in the same directions."""
    asked = {frozenset((m.key, m.objective) for m in spec.optimized_metrics) for spec in specs}
    return len(asked) == 1


def _reference(everything: progress.Array) -> progress.Array:
    """A tenth of the range below the worst of every front, the beaten ones too.

    Above the beaten ones they would count nothing.
    """
    worst, span = everything.min(axis=0), np.ptp(everything, axis=0)
    span = np.where(span > 0, span, np.maximum(np.abs(worst), 1.0))
    return np.asarray(worst - pareto.REFERENCE_SLACK * span)


@dataclass(frozen=True, slots=True)
class Common:
    """What several experiments have in common.

    Attributes:
        measured: metrics that all of them judge by, in the same direction.
        optimized: those of them that all of them optimize.
        opposed: keys of metrics that some maximize and others minimize.
        alike: whether they optimize the same metrics and nothing else.
    """

    measured: tuple[Metric, ...]
    optimized: tuple[Metric, ...]
    opposed: tuple[str, ...]
    alike: bool


def common(specs: Sequence[ExperimentSpec]) -> Common:
    """What experiments of these specs have in common."""
    judged = [
        {metric.key: metric for metric in (*spec.optimized_metrics, *spec.constraint_metrics)}
        for spec in specs
    ]
    keys = [key for key in judged[0] if all(key in each for each in judged)]
    agreed = [key for key in keys if len({each[key].objective for each in judged}) == 1]
    measured = tuple(judged[0][key] for key in agreed)
    return Common(
        measured=measured,
        optimized=tuple(
            metric
            for metric in measured
            if all(each[metric.key].strategy == "optimize" for each in judged)
        ),
        opposed=tuple(key for key in keys if key not in agreed),
        alike=_judge_alike(specs),
    )


@dataclass(frozen=True, slots=True)
class Side:
    """What one of several experiments measured, and how it went.

    Attributes:
        experiment: itself.
        points: what was measured.
        efficient: `n`, by its own metrics and thresholds.
        best: `n` values for each metric that all of them optimize, by its key: the best feasible
            so far; NaN before.
        hypervolume: `n`, after each observation, from a reference point that all of them share;
            empty when they do not optimize the same two metrics or more.
        exact: whether the hypervolume is, or is estimated.
    """

    experiment: tables.Experiment
    points: Points
    efficient: Mask
    best: dict[str, progress.Array]
    hypervolume: progress.Array
    exact: bool


def follow(session: Session, experiments: Sequence[tables.Experiment]) -> list[Side]:
    """How each of these experiments went, in their order, measured alike.

    Raises:
        BadInput: when they are too few or too many.
    """
    check_count(len(experiments))
    found = common([experiment.spec for experiment in experiments])
    loaded = [service_points.load(session, experiment) for experiment in experiments]
    permitted = [service_points.feasible(points) for points in loaded]
    fronts = [
        service_points.efficient(points, mask)
        for points, mask in zip(loaded, permitted, strict=True)
    ]
    outcomes = [
        _outcomes(points, mask, found.optimized)
        for points, mask in zip(loaded, permitted, strict=True)
    ]
    volumes: list[tuple[progress.Array, bool]] = [(np.empty(0), True)] * len(loaded)
    efficient = np.concatenate([rows[front] for rows, front in zip(outcomes, fronts, strict=True)])
    if found.alike and len(found.optimized) >= 2 and len(efficient):
        reference = _reference(efficient)
        volumes = [convergence.hypervolumes(rows, reference) for rows in outcomes]
    return [
        Side(
            experiment=experiment,
            points=points,
            efficient=front,
            best={metric.key: _best(points, mask, metric) for metric in found.optimized},
            hypervolume=volume,
            exact=exact,
        )
        for experiment, points, mask, front, (volume, exact) in zip(
            experiments, loaded, permitted, fronts, volumes, strict=True
        )
    ]


def _outcomes(points: Points, permitted: Mask, metrics: Sequence[Metric]) -> progress.Array:
    """`n x m`, larger is better; minus infinity where it does not count."""
    turned = np.empty((len(permitted), len(metrics)))
    for column, metric in enumerate(metrics):
        turned[:, column] = metric.sign * points.column(metric.key)
    return np.where(permitted[:, None], turned, -np.inf)


def _best(points: Points, permitted: Mask, metric: Metric) -> progress.Array:
    """`n`: the best feasible value so far; NaN before."""
    turned = np.where(permitted, metric.sign * points.column(metric.key), -np.inf)
    best = np.maximum.accumulate(turned) if len(turned) else turned
    return np.where(np.isfinite(best), metric.sign * best, np.nan)

"""Experiments beside each other, measured from a common reference point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tradeoff.engine import pareto
from tradeoff.errors import BadInput
from tradeoff.service import progress
from tradeoff.spec.experiment import ExperimentSpec
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


def compare(session: Session, experiments: Sequence[tables.Experiment]) -> list[Compared]:
    """These experiments beside each other, in their order.

    Raises:
        BadInput: when they are too few or too many.
    """
    if not LEAST <= len(experiments) <= MOST:
        raise BadInput(f"experiment: choose {LEAST} to {MOST} of them, not {len(experiments)}")
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
    asked = {tuple((m.key, m.objective) for m in spec.optimized_metrics) for spec in specs}
    m = len(specs[0].optimized_metrics)
    if len(asked) > 1 or not 2 <= m <= MAX_METRICS:
        return [None] * len(specs)
    everything = np.concatenate(fronts)
    if not len(everything):
        return [None] * len(specs)
    # Below the worst of every front, the beaten ones too: those would count nothing else.
    worst, span = everything.min(axis=0), np.ptp(everything, axis=0)
    span = np.where(span > 0, span, np.maximum(np.abs(worst), 1.0))
    reference = worst - pareto.REFERENCE_SLACK * span
    whole = pareto.hypervolume(everything, reference)
    return [pareto.hypervolume(front, reference) / whole for front in fronts]

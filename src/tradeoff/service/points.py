"""What an experiment measured, as columns, and which of it is worth taking.

Every figure begins here. Numbers are read as columns, so that ten thousand observations take a
tenth of a second and no row is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tradeoff.engine import pareto
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import Metric
from tradeoff.spec.values import Value
from tradeoff.store import points as store_points
from tradeoff.store import tables
from tradeoff.store.database import Session

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: What a point can be. Of a transient failure nothing is learnt.
EFFICIENT, DOMINATED, INFEASIBLE = "efficient", "dominated", "infeasible"
FAILED, TRANSIENT = "failed", "transient"


@dataclass(frozen=True, slots=True)
class Points:
    """The observations of an experiment, oldest first.

    Attributes:
        metrics: `k` metrics, those that are optimized first, then constraints, then stored ones.
        ids: `n`.
        created: `n`, unix seconds.
        failed: `n`, for a reason that lies in the configuration.
        transient: `n`, failed for another reason.
        values: `n x k`, as measured; NaN where there is none.
        stddevs: `n x k`, standard deviations; NaN where none is known.
        assignments: `n` configurations, or none when they were not asked for.
    """

    metrics: tuple[Metric, ...]
    ids: npt.NDArray[np.int64]
    created: Array
    failed: Mask
    transient: Mask
    values: Array
    stddevs: Array
    assignments: tuple[Mapping[str, Value], ...] = ()

    def column(self, key: str) -> Array:
        """`n` values of one metric.

        Raises:
            KeyError: when there is no such metric.
        """
        return self.values[:, self.index(key)]

    def index(self, key: str) -> int:
        """Where a metric stands among `metrics`.

        Raises:
            KeyError: when there is no such metric.
        """
        for index, metric in enumerate(self.metrics):
            if metric.key == key:
                return index
        raise KeyError(key)


def load(session: Session, experiment: tables.Experiment, *, assignments: bool = False) -> Points:
    """The observations of an experiment that are not deleted."""
    spec = experiment.spec
    metrics = (*spec.optimized_metrics, *spec.constraint_metrics, *spec.stored_metrics)
    rows = store_points.list_columns(
        session, experiment.id, [metric.key for metric in metrics], assignments=assignments
    )
    return of_rows(metrics, rows)


def of_rows(metrics: tuple[Metric, ...], rows: Any) -> Points:
    """Points of rows as `store.points.list_columns` gives them."""
    end = 4 + 2 * len(metrics)
    numbers = np.array([row[:end] for row in rows], dtype=float).reshape(-1, end)
    failed, transient = numbers[:, 2] > 0, numbers[:, 3] > 0
    return Points(
        metrics=metrics,
        ids=numbers[:, 0].astype(np.int64),
        created=numbers[:, 1],
        failed=failed & ~transient,
        transient=transient,
        values=numbers[:, 4:end:2],
        stddevs=numbers[:, 5:end:2],
        assignments=tuple(row[end] for row in rows) if rows and len(rows[0]) > end else (),
    )


def turned(points: Points) -> Array:
    """`n x k` values with those of minimized metrics negated, so that larger is better."""
    signs = np.array([metric.sign for metric in points.metrics], dtype=float)
    return np.asarray(points.values * signs)


def feasible(points: Points) -> Mask:
    """`n`: which were measured and meet every threshold."""
    met = ~(points.failed | points.transient)
    for index, metric in enumerate(points.metrics):
        if metric.strategy == "store":
            continue
        values = metric.sign * points.values[:, index]
        least = -np.inf if metric.threshold is None else metric.sign * metric.threshold
        met &= values >= least  # a missing value is NaN
    return met


def efficient(points: Points, permitted: Mask | None = None) -> Mask:
    """`n`: which no other beats among the feasible ones; equals of an efficient one are too.

    With one optimized metric: the first of the best. With none: every feasible one.

    Args:
        points: all of them.
        permitted: `feasible(points)`, if the caller has it.
    """
    mask = feasible(points) if permitted is None else permitted
    m = optimized_count(points)
    chosen = np.flatnonzero(mask)
    if m == 0 or not len(chosen):
        return mask.copy()
    outcomes = turned(points)[chosen, :m]
    result = np.zeros(len(mask), dtype=bool)
    if m == 1:
        result[chosen[outcomes[:, 0].argmax()]] = True
        return result
    distinct, of_row = np.unique(outcomes, axis=0, return_inverse=True)
    result[chosen] = pareto.non_dominated(distinct)[of_row.reshape(-1)]
    return result


def optimized_count(points: Points) -> int:
    """How many metrics are optimized; they come first."""
    return sum(metric.strategy == "optimize" for metric in points.metrics)


def states(points: Points) -> npt.NDArray[np.str_]:
    """`n` words: what each point is."""
    permitted = feasible(points)
    words = np.full(len(points.ids), INFEASIBLE, dtype="<U10")
    words[permitted] = DOMINATED
    words[efficient(points, permitted)] = EFFICIENT
    words[points.failed] = FAILED
    words[points.transient] = TRANSIENT
    return words


def reference_point(points: Points, spec: ExperimentSpec) -> dict[str, float]:
    """What the hypervolume is measured from, by optimized metric, in the metrics' own units.

    A threshold where there is one; else a tenth of the frontier's range below its worst value.
    Empty while nothing feasible was measured.
    """
    permitted = feasible(points)
    m = len(spec.optimized_metrics)
    if m == 0 or not permitted.any():
        return {}
    found = pareto.reference_point(turned(points)[permitted][:, :m])
    return {
        metric.key: metric.sign * float(value) if metric.threshold is None else metric.threshold
        for metric, value in zip(spec.optimized_metrics, found, strict=True)
    }

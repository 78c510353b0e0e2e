"""How the search went in a few numbers: what a list shows of each experiment in a small line.

The hypervolume of the efficient frontier, or with one metric the best value, at a few moments. It
is kept, and computed anew when it is outdated by a twentieth; a list computes only as many as it
has time for, and the next look at it goes on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tradeoff.engine import pareto
from tradeoff.service import progress
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.store import findings, tables
from tradeoff.store.database import Session

Array = npt.NDArray[np.float64]

#: Moments of one course.
MOMENTS = 24
#: Above so many metrics an exact hypervolume takes too long for a list.
MAX_METRICS = 3
#: So long a list computes courses of large experiments. The last one may take longer.
PATIENCE_SECONDS = 0.1
#: Small experiments of so many observations in all are read by one query.
MOST_TOGETHER = 2_000


def courses(
    session: Session, experiments: Sequence[tables.Experiment]
) -> dict[int, tuple[float, ...]]:
    """The course of each of these experiments, by id, from 0 to 1; some may be missing, or old."""
    wanted = [row for row in experiments if row.observation_count >= 2 and _is_cheap(row.spec)]
    kept = findings.list_kept(session, [row.id for row in wanted], findings.COURSE)
    digests = {row.id: progress.digest(row.spec) for row in wanted}
    found: dict[int, tuple[float, ...]] = {}
    outdated = []
    for row in wanted:
        known, digest = kept.get(row.id), digests[row.id]
        if known is None or not findings.nearly_holds(known, row, digest=digest):
            outdated.append(row)
        if known is not None and known["digest"] == digest:
            # What was so a while ago is better than nothing.
            found[row.id] = tuple(known["values"])
    anew = _find(session, outdated)
    findings.keep_all(
        session,
        findings.COURSE,
        {
            row.id: {
                "rewrites": row.rewrites,
                "digest": digests[row.id],
                "count": row.observation_count,
                "values": anew[row.id],
            }
            for row in outdated
            if row.id in anew
        },
    )
    return {row_id: values for row_id, values in (found | anew).items() if values}


def _find(
    session: Session, experiments: Sequence[tables.Experiment]
) -> dict[int, tuple[float, ...]]:
    """The courses of as many of these experiments as there is time for: small ones together."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    found: dict[int, tuple[float, ...]] = {}
    together: list[tables.Experiment] = []
    room = MOST_TOGETHER
    for row in sorted(experiments, key=lambda row: row.observation_count):
        room -= row.observation_count
        if room >= 0:
            together.append(row)
    outcomes = progress.permitted_of(session, together) if together else {}
    for row in together:
        found[row.id] = course(row.spec, outcomes[row.id])
    for row in experiments:
        if row.id not in found and time.monotonic() < deadline:
            found[row.id] = course(row.spec, progress.permitted(session, row))
    return found


def course(spec: ExperimentSpec, outcomes: progress.Outcomes) -> tuple[float, ...]:
    """The course of one experiment; empty without a success that meets the thresholds."""
    m = len(spec.optimized_metrics)
    values = outcomes.values[:, :m]
    if not len(values):
        return ()
    ends = np.unique(np.linspace(1, len(values), min(MOMENTS, len(values))).astype(int))
    line = np.maximum.accumulate(values[:, 0])[ends - 1] if m == 1 else _volumes(values, ends)
    low, high = float(line.min()), float(line.max())
    if high <= low:
        return (0.5,) * len(line)
    return tuple(round(float(value), 3) for value in (line - low) / (high - low))


def _volumes(values: Array, ends: npt.NDArray[np.int_]) -> Array:
    """The hypervolume of the first so many rows, for each of `ends`."""
    reference = pareto.reference_point(values)
    front = values[:0]
    begin, volumes = 0, []
    for end in ends:
        front = np.concatenate([front, values[begin:end]])
        front = front[pareto.non_dominated(front)]
        volumes.append(pareto.hypervolume(front, reference))
        begin = end
    return np.array(volumes)


def _is_cheap(spec: ExperimentSpec) -> bool:
    return 1 <= len(spec.optimized_metrics) <= MAX_METRICS

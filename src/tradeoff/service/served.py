"""What was handed out last: who proposed it, how old it was by then, and how long one waited."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tradeoff.store import activity, tables
from tradeoff.store.database import Session

#: So many suggestions are looked at.
NEWEST = 200
#: And so many to tell how long one waits now.
NEWEST_WAITS = 20
#: Of all experiments so many, those in the buffers included.
NEWEST_OF_ALL = 2_000


@dataclass(frozen=True, slots=True)
class Served:
    """The suggestions handed out last.

    Attributes:
        count: how many they are, at most `NEWEST`.
        sources: how many of them each source made, most first.
        age_seconds: of the model's, from when they were computed until they were handed out, the
            median; `None` without one.
        workers: how many different ones asked, of those that name themselves.
    """

    count: int
    sources: Mapping[str, int]
    age_seconds: float | None
    workers: int


@dataclass(frozen=True, slots=True)
class Waits:
    """How long one waited for the suggestions handed out last.

    Attributes:
        count: how many they are.
        median_seconds: half of them came sooner.
        slow_seconds: nineteen of twenty came sooner.
    """

    count: int
    median_seconds: float
    slow_seconds: float


def read_waits(session: Session, experiment: tables.Experiment) -> Waits | None:
    """How long one waits for an experiment's suggestions now; `None` when that is not known."""
    return _sum_up(activity.list_waits(session, experiment.id, limit=NEWEST_WAITS))


def read_waits_of_all(session: Session) -> Waits | None:
    """How long one waited within the last hour, in all experiments."""
    return _sum_up(activity.list_waits_of_all(session, limit=NEWEST_OF_ALL))


def _sum_up(waits: Sequence[float]) -> Waits | None:
    if not waits:
        return None
    ordered = sorted(waits)
    slow = ordered[min(len(ordered) * 19 // 20, len(ordered) - 1)]
    return Waits(len(ordered), statistics.median(ordered), slow)


def read(session: Session, experiment: tables.Experiment) -> Served:
    """What an experiment handed out last."""
    rows = activity.list_served(session, experiment.id, limit=NEWEST)
    ages = [max(age, 0.0) for source, age, _ in rows if source == "model"]
    return Served(
        count=len(rows),
        sources=dict(Counter(source for source, _, _ in rows).most_common()),
        age_seconds=statistics.median(ages) if ages else None,
        workers=len({worker for _, _, worker in rows if worker is not None}),
    )

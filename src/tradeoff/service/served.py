"""What was handed out last: who proposed it, and how old it was by then."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tradeoff.store import activity, tables
from tradeoff.store.database import Session

#: So many suggestions are looked at.
NEWEST = 200


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

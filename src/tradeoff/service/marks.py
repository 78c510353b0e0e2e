"""What happened to an experiment on its way: edits of what is searched, and imports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tradeoff.service.points import Points
from tradeoff.spec.columns import ORIGIN
from tradeoff.spec.differences import Difference
from tradeoff.store import edits, tables
from tradeoff.store.database import Session

#: The newest edits and the newest moments of imports that are told.
MOST_EDITS, MOST_IMPORTS = 30, 1_000


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that happened.

    Attributes:
        moment: unix seconds.
        after: how many of the observations had come before.
        differences: what was edited; empty of an import.
        imported: how many observations came from elsewhere; 0 of an edit.
    """

    moment: float
    after: int
    differences: tuple[Difference, ...] = ()
    imported: int = 0


def find(session: Session, experiment: tables.Experiment, points: Points) -> list[Mark]:
    """What happened to an experiment whose observations are `points`, in the order of time."""
    moments = np.sort(points.created)
    found = [
        Mark(moment, int(moments.searchsorted(moment, "right")), tuple(edit.differences))
        for edit in edits.list_newest(session, experiment.id, limit=MOST_EDITS)
        for moment in [edit.created.timestamp()]
    ]
    imports = edits.list_imported(session, experiment.id, key=ORIGIN, most=MOST_IMPORTS)
    found += _together([(moment, int(moments.searchsorted(moment)), n) for moment, n in imports])
    return sorted(found, key=lambda mark: mark.moment)


def _together(imports: Iterable[tuple[float, int, int]]) -> list[Mark]:
    """One mark for imports that nothing else was reported between: large ones come in parts."""
    found: list[Mark] = []
    for moment, after, count in imports:
        last = found[-1] if found else None
        if last is not None and last.after + last.imported == after:
            found[-1] = Mark(last.moment, last.after, imported=last.imported + count)
        else:
            found.append(Mark(moment, after, imported=count))
    return found

"""What each client was told, and whether the database agrees.

Every observation carries a mark of its own. What was acknowledged must be stored once, under the
id that was told and for the suggestion that was meant; nobody else may have been handed the same
suggestion, nor an equal configuration while it was open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg2


@dataclass(slots=True)
class Entry:
    """One suggestion, as its client met it.

    Attributes:
        experiment: whose.
        suggestion: its id.
        assignments: as text, for comparing.
        opened: when it had come, on the generator's clock.
        mark: of the observation that was sent; empty when none was.
        reported: when that was sent; infinite when none was.
        observation: the id that was told; empty when it was not acknowledged.
    """

    experiment: str
    suggestion: str
    assignments: str
    opened: float
    mark: str = ""
    reported: float = float("inf")
    observation: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """An observation as the database has it."""

    mark: str
    observation: str
    suggestion: str


@dataclass(frozen=True)
class Audit:
    """What is wrong; all lists are empty when nothing is."""

    acknowledged: int = 0
    asked: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    served_twice: list[str] = field(default_factory=list)
    equal_while_open: list[str] = field(default_factory=list)
    miscounted: list[str] = field(default_factory=list)

    def lists(self) -> dict[str, list[str]]:
        """Each kind of fault with what was found of it."""
        return {name: found for name, found in asdict(self).items() if isinstance(found, list)}

    def faults(self) -> dict[str, list[str]]:
        """The kinds of which something was found."""
        return {name: found for name, found in self.lists().items() if found}


def audit(
    entries: Sequence[Entry],
    stored: Sequence[Stored],
    counts: Iterable[tuple[str, int, int]] = (),
) -> Audit:
    """Compare.

    Args:
        entries: of all clients that worked on these experiments.
        stored: every observation there that carries a mark.
        counts: of each experiment its id, its own counter, and the rows there are.
    """
    sent = {entry.mark for entry in entries if entry.mark}
    known = {(each.mark, each.observation, each.suggestion) for each in stored}
    acknowledged = [entry for entry in entries if entry.observation]
    times = Counter(each.mark for each in stored)
    handed = Counter(entry.suggestion for entry in entries)
    return Audit(
        acknowledged=len(acknowledged),
        asked=len(entries),
        lost=[
            entry.mark
            for entry in acknowledged
            if (entry.mark, entry.observation, entry.suggestion) not in known
        ],
        doubled=[mark for mark, count in times.items() if count > 1],
        unknown=[mark for mark in times if mark not in sent],
        served_twice=[number for number, count in handed.items() if count > 1],
        equal_while_open=_find_twins(entries),
        miscounted=[
            f"experiment {experiment} counts {counter}, there are {rows}"
            for experiment, counter, rows in counts
            if counter != rows
        ],
    )


def _find_twins(entries: Sequence[Entry]) -> list[str]:
    """Equal configurations that were open in two hands at one time."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.experiment, entry.assignments), []).append(entry)
    return [
        f"suggestions {first.suggestion} and {second.suggestion}"
        for group in groups.values()
        for position, first in enumerate(group)
        for second in group[position + 1 :]
        if first.suggestion != second.suggestion
        and first.opened < second.reported
        and second.opened < first.reported
    ]


def read(database_url: str, experiments: Sequence[str]) -> tuple[list[Stored], list[Any]]:
    """What is stored of some experiments: the marked observations, and the counters."""
    ids = [int(experiment) for experiment in experiments]
    connection = psycopg2.connect(database_url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "select metadata->>'mark', id::text, suggestion_id::text from observations "
                "where experiment_id = any(%s) and not deleted and metadata ? 'mark'",
                (ids,),
            )
            stored = [Stored(*row) for row in cursor]
            cursor.execute(
                "select id::text, observation_count, (select count(*) from observations "
                "where experiment_id = experiments.id and not deleted) "
                "from experiments where id = any(%s)",
                (ids,),
            )
            return stored, list(cursor)
    finally:
        connection.close()

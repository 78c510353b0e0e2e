"""What things cost, as measured; `benchmarks/RESULTS.md` says how and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Costs:
    """CPU seconds of one core, unless it says otherwise.

    Attributes:
        api_ask: of an API process, for handing a suggestion out ("Service under load").
        api_report: the same, for an observation.
        database_ask: of Postgres.
        database_report: of Postgres.
        first: engine seconds of a refresh's first suggestion at no observations.
        first_growth: and what each observation adds ("Speed of one suggestion").
        further: engine seconds of each further suggestion of a refresh, computed together.
        slow: seconds of the clock per second of CPU; 1 on cores of one's own.
        pair_bytes: what a suggestion and its observation take in Postgres, indexes included
            (`python -m benchmarks.capacity --sizes`).
    """

    api_ask: float = 2.33e-3
    api_report: float = 2.75e-3
    database_ask: float = 1.21e-3
    database_report: float = 1.37e-3
    first: float = 0.155
    first_growth: float = 0.64e-3
    further: float = 0.11
    slow: float = 1.0
    pair_bytes: float = 2_021

    def first_at(self, observations: int) -> float:
        """Engine seconds of the first suggestion of a refresh; a model uses 5,000 at most."""
        return self.first + self.first_growth * min(observations, 5_000)

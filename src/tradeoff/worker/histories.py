"""What the worker has read of its experiments, so that it need not read it again."""

from __future__ import annotations

from dataclasses import dataclass

from tradeoff.spec.history import History, Observation
from tradeoff.store import awaited, history, tables
from tradeoff.store.database import Session
from tradeoff.worker.recent import Recent

#: Of so many experiments and observations at most is anything kept; ten thousand observations are
#: some 15 MB, here and once more in the engine's process.
MOST_EXPERIMENTS, MOST_OBSERVATIONS = 32, 100_000


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was read: the observations up to the id `last`, while `rewrites` is what it was."""

    rewrites: int
    last: int
    observations: tuple[Observation, ...]


class Histories:
    """The histories that were read last; only what is new is read again."""

    def __init__(self) -> None:
        self._kept: Recent[int, _Kept] = Recent(most=MOST_EXPERIMENTS, largest=MOST_OBSERVATIONS)

    def load(self, session: Session, experiment: tables.Experiment) -> History:
        """The history of an experiment that was read in this session.

        The session must see one snapshot: `experiments.rewrites` tells whether what was read
        before still holds, so it has to be of the same moment as the observations.
        """
        kept = self._kept.get(experiment.id)
        if kept is None or kept.rewrites != experiment.rewrites:
            kept = _Kept(experiment.rewrites, 0, ())
        news, last = history.list_seen(session, experiment.id, after=kept.last)
        kept = _Kept(experiment.rewrites, last, kept.observations + news)
        self._kept.put(experiment.id, kept, size=len(kept.observations))
        pending = awaited.list_pending(session, experiment.id)
        return History(observations=kept.observations, pending=tuple(pending))

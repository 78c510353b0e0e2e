"""Ask the models of an experiment what matters, and how far they can be trusted."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass

from tradeoff import traces
from tradeoff.engine.state import State
from tradeoff.errors import NotFound
from tradeoff.service import insights
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.history import History
from tradeoff.store import clock, experiments, history
from tradeoff.store.database import Database
from tradeoff.worker.compute import EngineFailed, EngineProcess

logger = logging.getLogger(__name__)

#: Nobody waits for it, but a refresh may.
LIMIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is analysed, as of one moment."""

    spec: ExperimentSpec
    history: History
    state: State
    observations: int


class Analyst:
    """A worker's analyses.

    Args:
        database: where the experiments are.
        engine: to ask.
        limit_seconds: time limit of one computation.
    """

    def __init__(self, database: Database, engine: EngineProcess, *, limit_seconds: float) -> None:
        self._database = database
        self._engine = engine
        self._limit_seconds = min(limit_seconds, LIMIT_SECONDS)

    def request_if_due(self, experiment_id: int) -> None:
        """Put an analysis into the queue when enough was learnt since the last one."""
        with self._database.transaction() as session:
            try:
                experiment = experiments.get(session, experiment_id)
            except NotFound:
                return
            insights.request_if_due(session, experiment)

    def analyse(self, experiment_id: int) -> bool:
        """Analyse an experiment and keep what comes of it; gives whether anything did.

        A failure of the engine counts for nothing else: it is noted, and tried again when more
        has been observed.
        """
        subject = self._load(experiment_id)
        if subject is None:
            return False
        started = time.monotonic()
        try:
            with traces.span("engine", observations=subject.observations):
                found = self._engine.analyse(
                    subject.spec, subject.history, subject.state, limit_seconds=self._limit_seconds
                )
        except EngineFailed as error:
            logger.warning(
                "an analysis failed", extra={"experiment": experiment_id, "reason": str(error)}
            )
            with self._database.transaction() as session:
                insights.note_failure(session, experiment_id, observations=subject.observations)
            return False
        with self._database.transaction() as session:
            insights.keep(
                session,
                experiment_id,
                observations=subject.observations,
                importances=found.importances,
                failure=found.failure,
                calibrations={key: asdict(each) for key, each in found.calibrations.items()},
            )
        logger.info(
            "analysed",
            extra={
                "experiment": experiment_id,
                "observations": subject.observations,
                "seconds": round(time.monotonic() - started, 3),
            },
        )
        return True

    def _load(self, experiment_id: int) -> _Subject | None:
        with self._database.transaction() as session:
            clock.stop(session)
            try:
                experiment = experiments.get(session, experiment_id)
            except NotFound:
                return None
            remembered = experiment.engine_state
            initial = State.initial(experiment.seed)
            return _Subject(
                experiment.spec,
                history.load(session, experiment_id),
                initial if remembered is None else State.from_json(remembered),
                experiment.observation_count,
            )

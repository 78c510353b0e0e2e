"""How much a refresh attempts: less, the more often it failed.

Three failures on one rung within an hour lead to the next one for an hour, and so does a single one
for want of time or memory, which holds up a worker the longest; then everything is attempted again.
On the last rung no model is asked at all, so an experiment that no model bears holds no other one
back. The clock is the database's.
"""

from __future__ import annotations

import datetime

from tradeoff.store import clock, experiments, tables
from tradeoff.store.database import Session

#: The rungs: everything; a model of fewer observations; also a shorter search; no model.
FULL, SUBSET, LIGHT, WITHOUT_MODEL = range(4)
#: What suggestions say of the rung that they come from.
REASONS = {
    SUBSET: "the whole model failed: a model of fewer observations answers for an hour",
    LIGHT: "the model failed: fewer observations and a shorter search for an hour",
    WITHOUT_MODEL: "the model failed again and again: it rests for an hour",
}
#: So many failures within so long lead to the next rung, for so long.
FAILURES = 3
WINDOW = REST = datetime.timedelta(hours=1)


def read_rung(session: Session, experiment: tables.Experiment) -> int:
    """The rung of an experiment now."""
    return _rung_at(experiment, clock.read(session)) if experiment.rung else FULL


def note_failure(session: Session, experiment_id: int, *, overran: bool = False) -> int:
    """Count a refresh that failed; gives the rung of the next one.

    Args:
        session: to work with.
        experiment_id: whose refresh.
        overran: it took too much time or memory, and would again.

    Raises:
        NotFound: when the experiment is gone.
    """
    experiment = experiments.get(session, experiment_id)
    experiments.lock(session, experiment)
    now = clock.read(session)
    rung, since = _rung_at(experiment, now), experiment.refresh_failing_since
    if rung != experiment.rung or since is None or since <= now - WINDOW:
        since, before = now, 0
    else:
        before = experiment.refresh_failures
    if before + 1 < FAILURES and not overran:
        experiment.refresh_failures, experiment.refresh_failing_since = before + 1, since
        if rung == FULL:
            experiment.rung, experiment.rung_until = FULL, None
    else:
        experiment.refresh_failures, experiment.refresh_failing_since = 0, None
        experiment.rung, experiment.rung_until = min(rung + 1, WITHOUT_MODEL), now + REST
    session.flush()
    return experiment.rung


def forget_failures(session: Session, experiment: tables.Experiment) -> None:
    """Attempt everything again, whatever failed; the experiment must be locked."""
    experiment.rung, experiment.rung_until = FULL, None
    experiment.refresh_failures, experiment.refresh_failing_since = 0, None
    session.flush()


def _rung_at(experiment: tables.Experiment, now: datetime.datetime) -> int:
    until = experiment.rung_until
    return experiment.rung if until is not None and until > now else FULL

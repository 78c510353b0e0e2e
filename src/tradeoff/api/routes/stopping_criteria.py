"""Stopping criteria: whether it is time to end an experiment."""

from __future__ import annotations

from tradeoff.api.wire.queries import Fetch
from tradeoff.api.wire.stopping_criteria import StoppingCriteria
from tradeoff.service import stagnation
from tradeoff.store import tables
from tradeoff.store.database import Session


def fetch(session: Session, experiment: tables.Experiment, query: Fetch) -> StoppingCriteria:
    """Ask whether it is time to end an experiment.

    Nothing ends by itself: the answer is advice.
    """
    reasons = stagnation.reasons_to_stop(session, experiment)
    return StoppingCriteria.model_validate({"should_stop": bool(reasons), "reasons": reasons})

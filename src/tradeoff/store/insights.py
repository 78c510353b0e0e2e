"""Queries of what the models said about experiments."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert

from tradeoff.store.database import Session
from tradeoff.store.tables import Insight


def find(session: Session, experiment_id: int) -> Insight | None:
    """What was said of an experiment; `None` when nobody tried."""
    return session.get(Insight, experiment_id)


def put(
    session: Session,
    experiment_id: int,
    *,
    observations: int,
    importances: dict[str, Any],
    failure: dict[str, Any] | None,
    calibrations: dict[str, Any],
) -> None:
    """Keep what was said, instead of what was said before of no more observations."""
    said = {
        "tried": observations,
        "observations": observations,
        "computed": func.now(),
        "importances": importances,
        "failure": failure,
        "calibrations": calibrations,
    }
    _put(session, experiment_id, said)


def put_tried(session: Session, experiment_id: int, *, observations: int) -> None:
    """Note that the models could not be asked; what they said before stays."""
    _put(session, experiment_id, {"tried": observations})


def _put(session: Session, experiment_id: int, values: dict[str, Any]) -> None:
    statement = insert(Insight).values(experiment_id=experiment_id, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["experiment_id"], set_=values))

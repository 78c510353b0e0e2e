"""`spec.History` of an experiment, straight from columns."""

from __future__ import annotations

from sqlalchemy import func, select

from tradeoff.spec import history as spec_history
from tradeoff.spec import tasks
from tradeoff.store import awaited
from tradeoff.store.database import Session
from tradeoff.store.tables import Observation


def load(session: Session, experiment_id: int) -> spec_history.History:
    """Everything that was seen and is expected, oldest first; transient failures taught nothing."""
    observations, _ = list_seen(session, experiment_id)
    pending = awaited.list_pending(session, experiment_id)
    return spec_history.History(observations=observations, pending=tuple(pending))


def list_seen(
    session: Session, experiment_id: int, *, after: int = 0
) -> tuple[tuple[spec_history.Observation, ...], int]:
    """What was seen with larger ids than `after`, oldest first, and the last id there is."""
    # ix_observations_experiment_id_id, for both; the bound makes them agree without a snapshot.
    last = session.scalar(
        select(func.max(Observation.id)).where(Observation.experiment_id == experiment_id)
    )
    query = (
        select(
            Observation.assignments, Observation.values, Observation.failed, Observation.task_cost
        )
        .where(
            Observation.experiment_id == experiment_id,
            Observation.id > after,
            Observation.id <= (last or 0),
            ~Observation.deleted,
            ~Observation.transient,
        )
        .order_by(Observation.id)
    )
    observations = tuple(
        spec_history.Observation(
            assignments=tasks.join(row.assignments, row.task_cost),
            values={key: entry["value"] for key, entry in row[1].items()},
            stddevs={
                key: entry["value_stddev"]
                for key, entry in row[1].items()
                if entry.get("value_stddev") is not None
            },
            failed=row.failed,
        )
        for row in session.execute(query)
    )
    return observations, max(last or 0, after)

"""`spec.History` of an experiment, straight from columns."""

from __future__ import annotations

from sqlalchemy import select

from tradeoff.spec import history as spec_history
from tradeoff.store import suggestions
from tradeoff.store.database import Session
from tradeoff.store.tables import Observation


def load(session: Session, experiment_id: int) -> spec_history.History:
    """Everything that was seen and is expected, oldest first; transient failures taught nothing."""
    # ix_observations_experiment_id_id
    query = (
        select(Observation.assignments, Observation.values, Observation.failed)
        .where(
            Observation.experiment_id == experiment_id,
            ~Observation.deleted,
            ~Observation.transient,
        )
        .order_by(Observation.id)
    )
    observations = tuple(
        spec_history.Observation(
            assignments=row.assignments,
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
    pending = suggestions.list_pending(session, experiment_id)
    return spec_history.History(observations=observations, pending=tuple(pending))

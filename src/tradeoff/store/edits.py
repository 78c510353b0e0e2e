"""Queries of what was edited about experiments while they ran, and of what was imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Float, cast, func, select

from tradeoff.spec.differences import Difference
from tradeoff.store.database import Session
from tradeoff.store.tables import Edit, Observation


def insert(session: Session, experiment_id: int, differences: list[Difference]) -> None:
    """Keep that something was edited now."""
    session.add(Edit(experiment_id=experiment_id, differences=differences))
    session.flush()


def list_newest(session: Session, experiment_id: int, *, limit: int) -> Sequence[Edit]:
    """What was edited last, newest first."""
    # ix_edits_experiment_id_id, from its end
    query = select(Edit).where(Edit.experiment_id == experiment_id)
    return session.scalars(query.order_by(Edit.id.desc()).limit(limit)).all()


def list_imported(
    session: Session, experiment_id: int, *, key: str, most: int
) -> Sequence[tuple[float, int]]:
    """What was imported: unix seconds and how many observations, the newest `most`, oldest first.

    Args:
        session: to ask with.
        experiment_id: whose.
        key: of the metadata that tells an imported observation from others.
        most: moments.
    """
    # ix_observations_experiment_id_id. What came in one transaction has one moment.
    moment = cast(func.extract("epoch", Observation.created), Float)
    query = (
        select(moment, func.count())
        .where(
            Observation.experiment_id == experiment_id,
            ~Observation.deleted,
            Observation.metadata_.has_key(key),
        )
        .group_by(Observation.created)
        .order_by(Observation.created.desc())
        .limit(most)
    )
    return [(row[0], row[1]) for row in session.execute(query)][::-1]


def list_origins(
    session: Session, experiment_id: int, *, key: str
) -> Sequence[tuple[dict[str, Any], dict[str, Any]]]:
    """The assignments and the metadata of what was imported; see `list_imported`."""
    # ix_observations_experiment_id_id
    query = select(Observation.assignments, Observation.metadata_).where(
        Observation.experiment_id == experiment_id,
        ~Observation.deleted,
        Observation.metadata_.has_key(key),
    )
    return [(row[0], row[1]) for row in session.execute(query)]

"""How much a client has, and who has as many observations as they may."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, text

from tradeoff.store.database import Session
from tradeoff.store.tables import Client, Experiment, File

#: Only one process measures at a time; the number itself means nothing.
MEASURE_LOCK = 7_236_153


@dataclass(frozen=True, slots=True)
class Usage:
    """How much a client has.

    Attributes:
        experiments: that are not deleted.
        observations: of all its experiments, without those that were deleted.
        file_bytes: of all its files, uploaded or announced.
    """

    experiments: int
    observations: int
    file_bytes: int


def measure(session: Session, client_id: int) -> Usage:
    """How much a client has now."""
    # ix_experiments_client_id_id, ix_files_client_id
    experiments, observations = session.execute(
        select(
            func.count().filter(Experiment.state == "active"),
            func.coalesce(func.sum(Experiment.observation_count), 0),
        ).where(Experiment.client_id == client_id)
    ).one()
    file_bytes = session.scalar(
        select(func.coalesce(func.sum(File.content_length), 0)).where(File.client_id == client_id)
    )
    return Usage(experiments, int(observations), int(file_bytes or 0))


def lock(session: Session, client_id: int) -> Client:
    """The client, for which nobody else adds anything that is counted meanwhile."""
    # Not so strong that those wait who only refer to it.
    query = select(Client).where(Client.id == client_id).with_for_update(key_share=True)
    return session.scalars(query.execution_options(populate_existing=True)).one()


def note_full(session: Session, default: int | None) -> None:
    """Note for each client whether it has as many observations as it may.

    Args:
        session: to work in.
        default: how many those may have that have no quota of their own; `None`: any number.
    """
    if not session.scalar(text("select pg_try_advisory_xact_lock(:key)"), {"key": MEASURE_LOCK}):
        return
    session.execute(_NOTE_FULL, {"default": default})


# The clients are few; of those with a quota ix_experiments_client_id_id finds the experiments.
_NOTE_FULL = text(
    """
    with limited as (
        select id, coalesce(cast(quotas ->> 'observations' as bigint), cast(:default as bigint))
            as quota
        from clients
        where not deleted
    ), measured as (
        select limited.id,
               case when limited.quota is null then false else limited.quota <= (
                   select coalesce(sum(observation_count), 0)
                   from experiments
                   where client_id = limited.id
               ) end as is_full
        from limited
    )
    update clients
    set is_full = measured.is_full
    from measured
    where clients.id = measured.id and clients.is_full <> measured.is_full
    """
)

"""Queries of what is being tried: which suggestions are held, observed or awaited, and how many.

What a caller was given is held until its lease ends; its result is awaited until something is
known of the configuration, or the experiment's patience ends.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal, select, type_coerce
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import aliased

from tradeoff.spec import tasks
from tradeoff.store.database import Session
from tradeoff.store.tables import HANDED_OUT, WAITING, Experiment, Observation, Suggestion

#: An open suggestion that nobody reported on for so long is no longer expected back, unless the
#: experiment says otherwise.
OPEN_FOR = datetime.timedelta(days=7)
#: Of the last suggestions that were handed out, so many are looked at to tell how many are open.
MOST_COUNTED = 500


def is_overdue(row: Any) -> ColumnElement[bool]:
    """Whether the lease of `row` has run out, by the database's clock; `False` without one.

    Such a suggestion is lapsed, whether or not `leases.lapse` has come by to note it.
    """
    return func.coalesce(row.lease_expires < func.now(), False)


def is_held(row: Any) -> ColumnElement[bool]:
    """Whether `row` is open and not lapsed."""
    return and_(row.state == "open", ~row.deleted, ~is_overdue(row))


def is_queued(row: Any) -> ColumnElement[bool]:
    """Whether `row` is to be served again."""
    # ix_suggestions_ready has both states of the buffer in its condition.
    return and_(row.state.in_(WAITING), row.state == "queued", ~row.deleted)


def is_observed(row: Any = Suggestion) -> ColumnElement[bool]:
    """Whether something is known of the configuration of a suggestion, under whatever name.

    A transient failure tells nothing.
    """
    # ix_observations_assignments. One look at the index for each suggestion: as EXISTS it could
    # become a join that reads every observation of the experiment.
    found = select(literal(1)).where(
        Observation.experiment_id == row.experiment_id,
        Observation.assignments_hash == row.assignments_hash,
        ~Observation.deleted,
        ~Observation.transient,
    )
    return found.limit(1).correlate(row).scalar_subquery().is_not(None)


def is_awaited(experiment_id: Any, row: Any = Suggestion) -> ColumnElement[bool]:
    """Whether the result of a suggestion of this experiment that was handed out is awaited.

    Old clients report by assignments and leave every suggestion open; others vanish for ever.
    """
    seconds = type_coerce(Experiment.spec, JSONB)["suggestion_ttl_seconds"].as_float()
    patience = (
        select(func.coalesce(seconds, OPEN_FOR.total_seconds()))
        .where(Experiment.id == experiment_id)
        .scalar_subquery()
    )
    return and_(
        row.opened > func.now() - func.make_interval(0, 0, 0, 0, 0, 0, patience),
        ~is_observed(row),
    )


def open_count(experiment_id: Any) -> ColumnElement[int]:
    """How many open suggestions are still expected back, of the last `MOST_COUNTED`.

    The others may be very many: old clients that report by assignments close none.
    """
    # ix_suggestions_listed, from its end
    newest = (
        select(Suggestion)
        .where(Suggestion.experiment_id == experiment_id, Suggestion.state.in_(HANDED_OUT))
        .order_by(Suggestion.id.desc())
        .limit(MOST_COUNTED)
        .subquery()
    )
    row = aliased(Suggestion, newest)
    return (
        select(func.count())
        .select_from(row)
        .where(is_held(row), is_awaited(experiment_id, row))
        .scalar_subquery()
    )


def count_handed_out(session: Session, experiment_id: int) -> int:
    """How many suggestions are open or will be again, whether or not they are expected back."""
    # ix_suggestions_unique_open, ix_suggestions_ready
    query = select(func.count()).where(
        Suggestion.experiment_id == experiment_id, is_held(Suggestion)
    )
    again = select(func.count()).where(
        Suggestion.experiment_id == experiment_id,
        is_queued(Suggestion),
    )
    return session.scalar(select(query.scalar_subquery() + again.scalar_subquery())) or 0


def list_pending(session: Session, experiment_id: int) -> Sequence[dict[str, Any]]:
    """The points that a result is awaited of, oldest first.

    Those of the open suggestions that are still expected back, and of what is served again.
    """
    # ix_suggestions_unique_open, ix_suggestions_ready
    tried = (Suggestion.id, Suggestion.assignments, Suggestion.task_cost)
    expected = select(*tried).where(
        Suggestion.experiment_id == experiment_id,
        is_held(Suggestion),
        is_awaited(experiment_id),
    )
    again = select(*tried).where(
        Suggestion.experiment_id == experiment_id,
        is_queued(Suggestion),
        ~is_observed(),
    )
    both = expected.union_all(again).subquery()
    rows = session.execute(select(both.c.assignments, both.c.task_cost).order_by(both.c.id))
    return [tasks.join(assignments, cost) for assignments, cost in rows]


def count_open_since(session: Session, experiment_id: int, moment: datetime.datetime | None) -> int:
    """How many were handed out since `moment` and are not observed yet: the demand.

    What was handed out and observed is no demand for a larger buffer: a loop that reports as it
    asks outdates the buffer as fast as it empties it.
    """
    # ix_suggestions_unique_open
    query = select(func.count()).where(
        Suggestion.experiment_id == experiment_id, Suggestion.state == "open", ~Suggestion.deleted
    )
    if moment is not None:
        query = query.where(Suggestion.opened > moment)
    return session.scalar(query) or 0


def find_used(session: Session, experiment_id: int, digests: Collection[bytes]) -> set[bytes]:
    """Those of `digests` that are observed, open or ready in this experiment."""
    observed = select(Observation.assignments_hash).where(
        Observation.experiment_id == experiment_id,
        Observation.assignments_hash.in_(digests),
        ~Observation.deleted,
        ~Observation.transient,
    )
    kept = select(Suggestion.assignments_hash).where(
        Suggestion.experiment_id == experiment_id,
        Suggestion.assignments_hash.in_(digests),
        ~Suggestion.deleted,
    )
    # ix_observations_assignments, ix_suggestions_unique_open, ix_suggestions_ready: one condition
    # over all three states could use none of the last two.
    waiting = kept.where(Suggestion.state.in_(WAITING))
    return set(session.scalars(observed.union_all(kept.where(is_held(Suggestion)), waiting)))


def count_used(session: Session, experiment_id: int) -> int:
    """How many different configurations are observed or open in this experiment."""
    # ix_observations_assignments, ix_suggestions_unique_open
    observed = select(Observation.assignments_hash).where(
        Observation.experiment_id == experiment_id,
        ~Observation.deleted,
        ~Observation.transient,
    )
    waiting = select(Suggestion.assignments_hash).where(
        Suggestion.experiment_id == experiment_id, is_held(Suggestion)
    )
    return session.scalar(select(func.count()).select_from(observed.union(waiting).subquery())) or 0

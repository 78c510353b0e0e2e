"""Taking the best suggestion of the buffer that is new enough, each for one caller only."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    bindparam,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.orm import aliased

from tradeoff.store import leases
from tradeoff.store.awaited import is_held, is_observed, open_count
from tradeoff.store.buffer import KEPT
from tradeoff.store.database import Session
from tradeoff.store.entities import Form
from tradeoff.store.opening import TAKE_TRIES, Asker, insertion
from tradeoff.store.prepared import Query
from tradeoff.store.tables import WAITING, QueuedSuggestion, Suggestion

#: Of what is left in a buffer, so much is counted.
MOST_LEFT = 4

_FORM = Form(Suggestion)


@dataclass(frozen=True, slots=True)
class Freshness:
    """What a ready suggestion must know to be handed out.

    It must have seen all but at most `max(bandwidth, open suggestions) - 1` of the observations.

    Attributes:
        revision: of the experiment, at this moment.
        bandwidth: how many trainings are meant to run at once.
    """

    revision: int
    bandwidth: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken out of the buffer.

    Attributes:
        suggestion: now open.
        left: how many others, as new as this one, were ready; counted up to `MOST_LEFT`.
    """

    suggestion: Suggestion
    left: int


def is_fresh(session: Session, experiment_id: int, fresh: Freshness, *, revision: int) -> bool:
    """Whether what knows the experiment up to `revision` is new enough to be handed out."""
    if revision > fresh.revision - fresh.bandwidth:
        return True
    return revision > fresh.revision - (session.scalar(select(open_count(experiment_id))) or 0)


def take_ready(
    session: Session, experiment_id: int, *, fresh: Freshness | None, asker: Asker
) -> Taken | None:
    """Hand out the best suggestion of the buffer, each to one caller only.

    What is served again after a transient failure comes first, however old it is. Nothing is
    taken while something waits that a user queued.

    Args:
        session: to work with.
        experiment_id: whose buffer.
        fresh: how new it must be; `None` takes any.
        asker: who gets it.

    Returns:
        The suggestion, now open, or `None` when none is left that is new enough, different from
        every open one, and not observed meanwhile.
    """
    parameters = {"experiment_id": experiment_id, **asker.parameters()}
    if fresh is not None:
        parameters |= {"revision": fresh.revision, "bandwidth": fresh.bandwidth}
    for _ in range(TAKE_TRIES):
        found = _taking(fresh is None).run(session, **parameters)
        if not found:
            return None
        ((left, *opened),) = found
        if opened[0] is not None:
            return Taken(_FORM.load(session, opened), left)
        # An equal one stands in the way: it was opened at this very moment, and is seen at the
        # next look; or its lease ran out, and nobody has noted it.
        leases.lapse(session, experiment_id=experiment_id)
    return None


@functools.cache
def _taking(any_age: bool) -> Query:
    """One statement that moves the best of the buffer among the open ones.

    It gives no row when nothing fits, and a row without a suggestion when the best one could not
    be opened, since an equal one is open. Put together once, since every asker needs it.
    """
    experiment_id = bindparam("experiment_id", type_=BigInteger)
    twin = aliased(Suggestion)
    # ix_suggestions_unique_open; one look for each, as in `is_observed`
    taken_already = select(literal(1)).where(
        twin.experiment_id == Suggestion.experiment_id,
        twin.assignments_hash == Suggestion.assignments_hash,
        twin.repeat == Suggestion.repeat,
        is_held(twin),
    )
    # ix_queued_suggestions_experiment_id_id
    queued = exists().where(QueuedSuggestion.experiment_id == experiment_id)
    # ix_suggestions_ready, in its order: only the first that fits is looked at
    best = (
        select(Suggestion)
        .where(
            Suggestion.experiment_id == experiment_id,
            Suggestion.state.in_(WAITING),
            ~Suggestion.deleted,
            taken_already.limit(1).correlate(Suggestion).scalar_subquery().is_(None),
            ~is_observed(),
            ~queued,
        )
        .order_by(
            Suggestion.state,  # what is queued before what is ready
            Suggestion.revision.desc(),
            Suggestion.rank,
            Suggestion.id,
        )
        .limit(1)
        .with_for_update(skip_locked=True, of=Suggestion)
    )
    if not any_age:
        best = best.where(_is_fresh(experiment_id))
    chosen = best.cte("chosen")
    given = {name: chosen.c[name] for name in (*KEPT, "repeat", "attempt")}
    opened = insertion(given)
    # It moves and keeps no place in the buffer; a new id lets ids follow the order of handing out.
    moved = (
        delete(Suggestion)
        .where(Suggestion.id.in_(select(chosen.c.id)), exists(select(opened.c.id)))
        .cte("moved")
    )
    others = (
        select(literal(1))
        .where(
            Suggestion.experiment_id == experiment_id,
            Suggestion.state.in_(WAITING),
            Suggestion.state == "ready",
            ~Suggestion.deleted,
            Suggestion.revision >= chosen.c.revision,
            Suggestion.id != chosen.c.id,
        )
        .correlate(chosen)
        .limit(MOST_LEFT)
        .subquery()
    )
    left = select(func.count()).select_from(others).correlate(chosen).scalar_subquery()
    columns = (opened.c[name] for name in _FORM.columns)
    taken = select(left, *columns).select_from(chosen.outerjoin(opened, true())).add_cte(moved)
    return Query.of(taken)


def _is_fresh(experiment_id: Any) -> ColumnElement[bool]:
    """Whether a ready suggestion has seen enough; see `Freshness`."""
    revision = bindparam("revision", type_=BigInteger)
    return or_(
        Suggestion.state == "queued",
        # In this order: the open ones are counted only when it matters.
        Suggestion.revision > revision - bindparam("bandwidth", type_=BigInteger),
        Suggestion.revision > revision - open_count(experiment_id),
    )

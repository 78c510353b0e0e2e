"""Queries of what goes on in many experiments at once, for a list of them."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB

from tradeoff.store.awaited import is_held
from tradeoff.store.database import Session
from tradeoff.store.tables import HANDED_OUT, WAITING, Experiment, Observation, Suggestion

#: In the order of showing.
STATES = ("running", "waiting", "paused", "failing", "done")
#: So many failures in a row, and nothing since, make an experiment one that fails.
FAILING_AFTER = 5
#: Something was reported so recently that more is to be expected.
RECENT = datetime.timedelta(hours=1)
#: Open suggestions are counted up to here; old clients leave all of them open.
MOST_OPEN = 999
#: A suggestion that is open for so long is not being worked on.
OPEN_FOR = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Activity:
    """What goes on in an experiment.

    Attributes:
        state: one of `STATES`.
        open: suggestions that are being worked on.
        last: when something was reported last; `None` when nothing was.
    """

    state: str
    open: int
    last: datetime.datetime | None


def state() -> ColumnElement[str]:
    """The state of an experiment, in a query of experiments.

    `paused`: somebody paused it. `done`: the budget is used up. `failing`: the last reports were
    failures. `running`: something is being worked on, or was reported within the hour. `waiting`:
    none of it.
    """
    budget = type_coerce(Experiment.spec, JSONB)["observation_budget"].astext.cast(BigInteger)
    consumed = Experiment.observation_count - Experiment.transient_count
    return case(
        (Experiment.paused, "paused"),
        (and_(budget.is_not(None), consumed >= budget), "done"),
        (_fails(), "failing"),
        (or_(_open_count() > 0, _last() > func.now() - RECENT), "running"),
        else_="waiting",
    )


def list_activity(session: Session, experiment_ids: Collection[int]) -> dict[int, Activity]:
    """What goes on in each of these experiments."""
    query = select(Experiment.id, state(), _open_count(), _last()).where(
        Experiment.id.in_(experiment_ids)
    )
    return {row[0]: Activity(row[1], row[2], row[3]) for row in session.execute(query)}


def with_state(query: Select[Any], wanted: str) -> Select[Any]:
    """Of a query of experiments, those in one of `STATES`."""
    return query.where(state() == wanted)


def with_tag(query: Select[Any], tag_id: int) -> Select[Any]:
    """Of a query of experiments, those with a tag."""
    return query.where(Experiment.tags.contains([tag_id]))


def _last() -> ColumnElement[datetime.datetime]:
    # ix_observations_experiment_id_id, from its end
    return (
        select(Observation.created)
        .where(Observation.experiment_id == Experiment.id, ~Observation.deleted)
        .order_by(Observation.id.desc())
        .limit(1)
        .correlate(Experiment)
        .scalar_subquery()
    )


def _fails() -> ColumnElement[bool]:
    # ix_observations_experiment_id_id, from its end
    newest = (
        select(Observation.failed)
        .where(Observation.experiment_id == Experiment.id, ~Observation.deleted)
        .order_by(Observation.id.desc())
        .limit(FAILING_AFTER)
        .correlate(Experiment)
        .subquery()
    )
    all_failed = select(
        and_(func.count() == FAILING_AFTER, func.bool_and(newest.c.failed))
    ).select_from(newest)
    return and_(Experiment.failure_count >= FAILING_AFTER, all_failed.scalar_subquery())


def _open_count() -> ColumnElement[int]:
    # ix_suggestions_unique_open
    found = (
        select(literal(1))
        .where(
            Suggestion.experiment_id == Experiment.id,
            is_held(Suggestion),
            Suggestion.opened > func.now() - OPEN_FOR,
        )
        .limit(MOST_OPEN)
        .correlate(Experiment)
        .subquery()
    )
    return select(func.count()).select_from(found).scalar_subquery()


def list_stamps(session: Session, experiment_ids: Collection[int]) -> dict[int, str]:
    """A text for each of these experiments that changes whenever there is something new to show."""
    # ix_suggestions_listed, from its end
    last = (
        select(Suggestion.id)
        .where(Suggestion.experiment_id == Experiment.id, Suggestion.state.in_(HANDED_OUT))
        .order_by(Suggestion.id.desc())
        .limit(1)
        .correlate(Experiment)
        .scalar_subquery()
    )
    query = select(Experiment.id, Experiment.updated, Experiment.fit_epoch, last).where(
        Experiment.id.in_(experiment_ids)
    )
    return {
        row[0]: f"{row[1].timestamp():.6f}-{row[2]}-{row[3] or 0}" for row in session.execute(query)
    }


@dataclass(frozen=True, slots=True)
class Modelled:
    """The newest suggestion of the model.

    Attributes:
        computed: when.
        observations_seen: by the model.
        device: that computed it, `CPU` or `GPU`; `None` when that was not told.
    """

    computed: datetime.datetime
    observations_seen: int
    device: str | None


def find_modelled(session: Session, experiment_id: int) -> Modelled | None:
    """The newest suggestion of the model: one that is ready, else one that was handed out."""
    # ix_suggestions_ready, then ix_suggestions_listed from its end
    for states in (WAITING, HANDED_OUT):
        query = (
            select(
                Suggestion.computed,
                Suggestion.observations_seen,
                type_coerce(Suggestion.explanation, JSONB)["device"].astext,
            )
            .where(
                Suggestion.experiment_id == experiment_id,
                Suggestion.state.in_(states),
                Suggestion.source == "model",
            )
            .order_by(Suggestion.id.desc())
            .limit(1)
        )
        row = session.execute(query).first()
        if row is not None:
            return Modelled(row[0], row[1], row[2])
    return None


def list_served(session: Session, experiment_id: int, *, limit: int) -> Sequence[Any]:
    """The suggestions handed out last: rows of source, age in seconds when it was, and worker."""
    # ix_suggestions_listed, from its end
    age = func.extract("epoch", Suggestion.opened - Suggestion.computed)
    query = (
        select(Suggestion.source, cast(age, Float), Suggestion.worker_id)
        .where(
            Suggestion.experiment_id == experiment_id,
            Suggestion.state.in_(HANDED_OUT),
            Suggestion.opened.is_not(None),
            ~Suggestion.deleted,
        )
        .order_by(Suggestion.id.desc())
        .limit(limit)
    )
    return session.execute(query).all()


def list_waits(session: Session, experiment_id: int, *, limit: int) -> Sequence[float]:
    """How many seconds those waited who were handed the last suggestions of an experiment."""
    # ix_suggestions_listed, from its end
    query = (
        select(Suggestion.waited_seconds)
        .where(
            Suggestion.experiment_id == experiment_id,
            Suggestion.state.in_(HANDED_OUT),
            Suggestion.source != "user",
        )
        .order_by(Suggestion.id.desc())
        .limit(limit)
    )
    return [each for each in session.scalars(query) if each is not None]


def list_waits_of_all(session: Session, *, limit: int) -> Sequence[float]:
    """The same of all experiments, within the hour; of the newest `limit` suggestions there are."""
    # The primary key, from its end: what waits in the buffers is read along.
    newest = (
        select(Suggestion.waited_seconds, Suggestion.opened, Suggestion.source)
        .order_by(Suggestion.id.desc())
        .limit(limit)
        .subquery()
    )
    query = select(newest.c.waited_seconds).where(
        newest.c.opened > func.now() - RECENT,
        newest.c.waited_seconds.is_not(None),
        newest.c.source != "user",
    )
    return session.scalars(query).all()


def list_last_values(session: Session, experiment_id: int, *, limit: int) -> Sequence[Any]:
    """The column `values` of the newest successes, newest first."""
    # ix_observations_experiment_id_id, from its end
    query = (
        select(Observation.values)
        .where(
            Observation.experiment_id == experiment_id, ~Observation.deleted, ~Observation.failed
        )
        .order_by(Observation.id.desc())
        .limit(limit)
    )
    return session.scalars(query).all()


def list_failing(
    session: Session, client_id: int | None, *, limit: int = 50
) -> Sequence[Experiment]:
    """The experiments of a client, or of all, whose refreshes fail or just failed; newest first.

    Of a client by ix_experiments_client_id_id; of all along the primary key, for the operator.
    """
    query = (
        select(Experiment)
        .where(
            Experiment.state == "active",
            or_(
                and_(Experiment.rung > 0, Experiment.rung_until > func.now()),
                and_(
                    Experiment.refresh_failures > 0,
                    Experiment.refresh_failing_since > func.now() - RECENT,
                ),
            ),
        )
        .order_by(Experiment.id.desc())
        .limit(limit)
    )
    if client_id is not None:
        query = query.where(Experiment.client_id == client_id)
    return session.scalars(query).all()

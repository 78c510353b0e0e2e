"""Queries of experiments."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    Select,
    bindparam,
    cast,
    func,
    inspect,
    select,
    update,
)
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.util import identity_key

from tradeoff.errors import NotFound
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.store import buffer
from tradeoff.store.database import Session
from tradeoff.store.prepared import prepare
from tradeoff.store.tables import Experiment


def insert(
    session: Session,
    *,
    client_id: int,
    name: str,
    spec: ExperimentSpec,
    metadata: dict[str, Any] | None,
    development: bool,
    seed: int,
    project: str | None = None,
    runs_only: bool = False,
    created_by: int | None = None,
    paused: bool = False,
) -> Experiment:
    """A new experiment without suggestions."""
    row = Experiment(
        client_id=client_id,
        project=project,
        runs_only=runs_only,
        name=name,
        spec=spec,
        retired={},
        metadata_=metadata,
        development=development,
        seed=seed,
        created_by=created_by,
        paused=paused,
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    return row


def get(session: Session, experiment_id: int) -> Experiment:
    """The experiment with this id, deleted or not.

    One that came along with its token (`accounts.find_token`) needs no query.

    Raises:
        NotFound: when there is none.
    """
    row = session.identity_map.get(identity_key(Experiment, experiment_id))
    if row is None:
        row = session.scalars(_GET, {"id": experiment_id}).one_or_none()
    if row is None:
        raise NotFound(f"There is no experiment {experiment_id}")
    return row


_GET = prepare(select(Experiment).where(Experiment.id == bindparam("id")))


def lock(session: Session, experiment: Experiment) -> None:
    """Let this transaction alone change the experiment, and read its newest state.

    Whatever counts on the experiment's row (revision, counters, position in the design) is read
    after this, so that two requests at once cannot both act on the same numbers. The lock is the
    weaker kind, FOR NO KEY UPDATE: the foreign key of a suggestion being handed out at the same
    moment need not wait for it.
    """
    session.flush()
    row = session.connection().execute(_LOCK, {"id": experiment.id}).one()
    for name, value in zip(_READ, row, strict=True):
        set_committed_value(experiment, name, value)
    outdated = [name for name in _LARGE if name in experiment.__dict__]
    if outdated:
        session.expire(experiment, outdated)


#: What is read when it is asked for, not with each request.
_LARGE = ("engine_state", "summary")
_columns = {
    attribute.key: attribute.columns[0]
    for attribute in inspect(Experiment).column_attrs
    if attribute.key not in ("id", *_LARGE)
}
_READ = tuple(_columns)
# Every report asks this, so it is put together once.
_LOCK = prepare(
    select(*_columns.values())
    .where(Experiment.__table__.c.id == bindparam("id"))
    .with_for_update(key_share=True)
)


def touch(session: Session, experiment: Experiment) -> None:
    """Note that something about the experiment changed now."""
    changed = inspect(experiment).committed_state.keys()
    if not changed <= set(_COUNTERS):
        # Read anew when it is asked for.
        experiment.updated = func.now()
        session.flush()
        return
    counters = {name: getattr(experiment, name) for name in _COUNTERS}
    given = {f"new_{name}": value for name, value in counters.items()}
    updated = session.connection().execute(_TOUCH, {"row_id": experiment.id, **given})
    for name, value in {**counters, "updated": updated.scalar_one()}.items():
        set_committed_value(experiment, name, value)


_COUNTERS = ("revision", "observation_count", "failure_count", "transient_count", "rewrites")
# Every report ends with this.
_TOUCH = prepare(
    update(Experiment.__table__)  # type: ignore[arg-type]  # a table, in all but its type
    .where(Experiment.__table__.c.id == bindparam("row_id", type_=BigInteger))
    .values(
        updated=func.now(),
        **{name: bindparam(f"new_{name}", type_=BigInteger) for name in _COUNTERS},
    )
    .returning(Experiment.__table__.c.updated)
)


def now(session: Session) -> datetime.datetime:
    """The time, by the database's clock."""
    return session.execute(select(func.now())).scalar_one()


def listing(
    client_id: int,
    *,
    state: str = "active",
    search: str | None = None,
    development: bool | None = None,
    experiment_id: int | None = None,
    project: str | None = None,
    runs_only: bool | None = None,
    period_start: datetime.datetime | None = None,
    period_end: datetime.datetime | None = None,
) -> Select[Experiment]:
    """The experiments of a client.

    Args:
        client_id: whose.
        state: `active`, `deleted` or `all`.
        search: part of the name, in any case.
        development: only development or only production ones.
        experiment_id: only this one, for a token that is bound to it.
        project: only those of the project of this slug.
        runs_only: only those that are made of training runs, or only the others.
        period_start: created then or later.
        period_end: created before then.
    """
    # ix_experiments_client_id_id and ix_experiments_client_id_updated
    query = select(Experiment).where(Experiment.client_id == client_id)
    if state != "all":
        query = query.where(Experiment.state == state)
    if search:
        query = query.where(Experiment.name.icontains(search, autoescape=True))
    if development is not None:
        query = query.where(Experiment.development == development)
    if experiment_id is not None:
        query = query.where(Experiment.id == experiment_id)
    if project is not None:  # ix_experiments_project
        query = query.where(Experiment.project == project)
    if runs_only is not None:
        query = query.where(Experiment.runs_only == runs_only)
    if period_start is not None:
        query = query.where(Experiment.created >= period_start)
    if period_end is not None:
        query = query.where(Experiment.created < period_end)
    return query


def sort_key(name: str) -> ColumnElement[Any]:
    """What a list of experiments is ordered by.

    Args:
        name: `newest`, `recent` (the last change), `name`, `done` or `failed` (the share).

    Raises:
        KeyError: for any other name.
    """
    done = Experiment.observation_count - Experiment.transient_count
    failed = cast(Experiment.failure_count, Float) / func.nullif(Experiment.observation_count, 0)
    keys: dict[str, ColumnElement[Any]] = {
        # ix_experiments_client_id_id and ix_experiments_client_id_updated. The others sort all that
        # match; a list counts them, so it reads them anyway.
        "newest": Experiment.id.expression,
        "recent": Experiment.updated.expression,
        "name": Experiment.name.expression,
        "done": done,
        # What has no observations comes last either way: nothing is below nothing.
        "failed": func.coalesce(failed, -1.0, type_=Float),
    }
    return keys[name]


def advance_design(session: Session, experiment_id: int, count: int) -> int:
    """Use up `count` points of the experiment's sequence; gives the index of the first."""
    after = session.execute(
        update(Experiment)
        .where(Experiment.id == experiment_id)
        .values(design_position=Experiment.design_position + count)
        .returning(Experiment.design_position)
        .execution_options(synchronize_session=False)
    ).scalar_one()
    return after - count


def forget_model(session: Session, experiment: Experiment) -> None:
    """As `forget_fit`, and what was to be served again as well."""
    buffer.delete_queued(session, experiment.id)
    forget_fit(session, experiment)


def forget_fit(session: Session, experiment: Experiment) -> None:
    """Drop what was computed for this locked experiment, a refresh that is at work included."""
    buffer.delete_ready(session, experiment.id)
    experiment.engine_state = None
    experiment.fit_epoch += 1
    session.flush()


def begin_refresh(session: Session, experiment_id: int) -> int:
    """Note that a refresh begins now, and give its epoch: the newest one may write its result."""
    return session.execute(
        update(Experiment)
        .where(Experiment.id == experiment_id)
        .values(fit_epoch=Experiment.fit_epoch + 1, refreshed=func.now())
        .returning(Experiment.fit_epoch)
    ).scalar_one()


def update_engine_state(
    session: Session, experiment_id: int, *, epoch: int, state: dict[str, Any]
) -> bool:
    """Keep what the engine remembers; `False` when a newer refresh has begun since."""
    result = session.execute(
        update(Experiment)
        .where(Experiment.id == experiment_id, Experiment.fit_epoch == epoch)
        .values(engine_state=state)
        .returning(Experiment.id)
    )
    return result.first() is not None

"""Queries of suggestions, from the buffer to the list of a client."""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    text,
    true,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, distinct_on, insert
from sqlalchemy.orm import aliased
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.util import identity_key

from tradeoff.errors import NotFound
from tradeoff.spec import tasks
from tradeoff.spec.values import Value
from tradeoff.store.database import Session
from tradeoff.store.entities import Form
from tradeoff.store.prepared import Query, prepare
from tradeoff.store.tables import Experiment, Observation, QueuedSuggestion, Suggestion

#: An open suggestion that nobody reported on for so long is no longer expected back, unless the
#: experiment says otherwise.
OPEN_FOR = datetime.timedelta(days=7)
#: How often a configuration is served again after transient failures.
MAX_ATTEMPTS = 2
#: Of the last suggestions that were handed out, so many are looked at to tell how many are open.
MOST_COUNTED = 500
#: Leases lapsed by one statement.
LAPSE_BATCH = 1_000
#: Of what is left in a buffer, so much is counted.
MOST_LEFT = 4
#: How often taking a suggestion is tried again after losing a race for it.
TAKE_TRIES = 20


def hash_assignments(assignments: Mapping[str, Value]) -> bytes:
    """The same 16 bytes for the same configuration, however its numbers were written."""
    canonical = {
        # A zero has no sign here.
        name: value if isinstance(value, str) else float(value) + 0.0
        for name, value in assignments.items()
    }
    text_form = json.dumps(canonical, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text_form.encode()).digest()[:16]


@dataclass(frozen=True, slots=True)
class Draft:
    """A suggestion to be kept: what `put_ready` and `insert_open` write.

    Its assignments are a point of the engine: in a multitask experiment with the cost of the task,
    see `spec.tasks`.
    """

    assignments: Mapping[str, Value]
    source: str
    explanation: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who is handed a suggestion.

    Attributes:
        metadata: the asker's own, kept with the suggestion.
        worker_id: who holds it, by a name that outlives the process.
        lease_seconds: how long the holder may be silent; `None` for as long as it likes.
    """

    metadata: dict[str, Any] | None = None
    worker_id: str | None = None
    lease_seconds: float | None = None

    def parameters(self) -> dict[str, Any]:
        """By the names that `_of_asker` gives them."""
        return {
            "metadata": self.metadata,
            "worker_id": self.worker_id,
            "lease_seconds": self.lease_seconds,
        }


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


_FORM = Form(Suggestion)
#: The states of a suggestion that was handed out.
HANDED_OUT = ("open", "lapsed", "closed")
#: Those of the buffer; the condition of ix_suggestions_ready.
WAITING = ("queued", "ready")


def get(session: Session, experiment_id: int, suggestion_id: int) -> Suggestion:
    """A suggestion that was handed out.

    Raises:
        NotFound: when there is none, it was deleted, or belongs to another experiment.
    """
    row = session.identity_map.get(identity_key(Suggestion, suggestion_id))
    if row is None:
        row = session.scalars(_GET, {"id": suggestion_id}).one_or_none()
    if (
        row is None
        or row.deleted
        or row.experiment_id != experiment_id
        or row.state not in HANDED_OUT
    ):
        raise NotFound(f"There is no suggestion {suggestion_id} in this experiment")
    return row


_GET = prepare(select(Suggestion).where(Suggestion.id == bindparam("id")))


def load(session: Session, suggestion_ids: Collection[int]) -> Sequence[Suggestion]:
    """These suggestions at once; as long as they are held, `get` needs no query for them."""
    if not suggestion_ids:
        return []
    return session.scalars(select(Suggestion).where(Suggestion.id.in_(suggestion_ids))).all()


def listing(
    experiment_id: int,
    *,
    state: str | None = None,
    deleted: bool | None = False,
    ids: Collection[int] | None = None,
) -> Select[Suggestion]:
    """The suggestions that were handed out; `deleted` of `None` gives both kinds."""
    # ix_suggestions_listed
    query = select(Suggestion).where(
        Suggestion.experiment_id == experiment_id, Suggestion.state.in_(HANDED_OUT)
    )
    if state is not None:
        query = query.where(Suggestion.state == state)
    if state == "open":
        query = query.where(~is_overdue(Suggestion))
    if deleted is not None:
        query = query.where(Suggestion.deleted == deleted)
    if ids is not None:
        query = query.where(Suggestion.id.in_(ids))
    return query


def expiry(seconds: Any) -> ColumnElement[datetime.datetime]:
    """When a lease of so many seconds ends that begins now."""
    # seven arguments: years, months, weeks, days, hours, minutes, seconds
    return func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def is_overdue(row: Any) -> ColumnElement[bool]:
    """Whether the lease of `row` has run out, by the database's clock; `False` without one.

    Such a suggestion is lapsed, whether or not `lapse` has come by to note it.
    """
    return func.coalesce(row.lease_expires < func.now(), False)


def _is_held(row: Any) -> ColumnElement[bool]:
    """Whether `row` is open and not lapsed."""
    return and_(row.state == "open", ~row.deleted, ~is_overdue(row))


def _observed(row: Any = Suggestion) -> ColumnElement[bool]:
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
        ~_observed(row),
    )


def _expected(experiment_id: Any) -> ColumnElement[bool]:
    """Open suggestions of an experiment whose result is awaited."""
    return and_(
        Suggestion.experiment_id == experiment_id,
        _is_held(Suggestion),
        is_awaited(experiment_id),
    )


def _count_open(experiment_id: Any) -> ColumnElement[int]:
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
        .where(_is_held(row), is_awaited(experiment_id, row))
        .scalar_subquery()
    )


def is_fresh(session: Session, experiment_id: int, fresh: Freshness, *, revision: int) -> bool:
    """Whether what knows the experiment up to `revision` is new enough to be handed out."""
    if revision > fresh.revision - fresh.bandwidth:
        return True
    return revision > fresh.revision - (session.scalar(select(_count_open(experiment_id))) or 0)


def count_handed_out(session: Session, experiment_id: int) -> int:
    """How many suggestions are open or will be again, whether or not they are expected back."""
    # ix_suggestions_unique_open, ix_suggestions_ready
    query = select(func.count()).where(
        Suggestion.experiment_id == experiment_id, _is_held(Suggestion)
    )
    again = select(func.count()).where(
        Suggestion.experiment_id == experiment_id,
        Suggestion.state.in_(WAITING),
        Suggestion.state == "queued",
        ~Suggestion.deleted,
    )
    return session.scalar(select(query.scalar_subquery() + again.scalar_subquery())) or 0


def list_pending(session: Session, experiment_id: int) -> Sequence[dict[str, Any]]:
    """The points that a result is awaited of, oldest first.

    Those of the open suggestions that are still expected back, and of what is served again.
    """
    # ix_suggestions_unique_open, ix_suggestions_ready
    tried = (Suggestion.id, Suggestion.assignments, Suggestion.task_cost)
    expected = select(*tried).where(_expected(experiment_id))
    again = select(*tried).where(
        Suggestion.experiment_id == experiment_id,
        Suggestion.state.in_(WAITING),
        Suggestion.state == "queued",
        ~Suggestion.deleted,
        ~_observed(),
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


#: What is told of a suggestion that comes from no buffer.
OWN = (
    "experiment_id",
    "assignments",
    "task_cost",
    "assignments_hash",
    "source",
    "explanation",
    "revision",
    "observations_seen",
)
#: What a suggestion keeps when it is handed out, or served again.
KEPT = (
    "experiment_id",
    "assignments",
    "task_cost",
    "assignments_hash",
    "source",
    "explanation",
    "rank",
    "revision",
    "observations_seen",
    "computed",
)


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
        lapse(session, experiment_id=experiment_id)
    return None


@functools.cache
def _taking(any_age: bool) -> Query:
    """One statement that moves the best of the buffer among the open ones.

    It gives no row when nothing fits, and a row without a suggestion when the best one could not
    be opened, since an equal one is open. Put together once, since every asker needs it.
    """
    experiment_id = bindparam("experiment_id", type_=BigInteger)
    twin = aliased(Suggestion)
    # ix_suggestions_unique_open; one look for each, as in `_observed`
    taken_already = select(literal(1)).where(
        twin.experiment_id == Suggestion.experiment_id,
        twin.assignments_hash == Suggestion.assignments_hash,
        twin.repeat == Suggestion.repeat,
        twin.state == "open",
        ~twin.deleted,
        ~is_overdue(twin),
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
            ~_observed(),
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
    opened = _opening({**given, "state": literal("open"), **_of_asker()}).cte("opened")
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
        Suggestion.revision > revision - _count_open(experiment_id),
    )


def _of_asker() -> dict[str, ColumnElement[Any]]:
    """What is kept of an `Asker`, and the time of the handing out, by column."""
    seconds = bindparam("lease_seconds", type_=Float)
    return {
        "metadata": bindparam("metadata", type_=JSONB(none_as_null=True)),
        "worker_id": bindparam("worker_id", type_=Text),
        "lease_seconds": seconds,
        "lease_expires": expiry(seconds),
        "opened": func.now(),
    }


def _opening(given: Mapping[str, ColumnElement[Any]]) -> Any:
    """An INSERT of an open suggestion that leaves it out when it equals an open one.

    A violation of the index would end the transaction, or need a savepoint for each try.
    """
    return (
        insert(Suggestion)
        # The database's defaults: Python's would be parameters that nobody gives.
        .from_select(list(given), select(*given.values()), include_defaults=False)
        .on_conflict_do_nothing(
            index_elements=["experiment_id", "assignments_hash", "repeat"],
            index_where=text("state = 'open' and not deleted"),
        )
        .returning(Suggestion)
    )


@functools.cache
def _opening_of_own() -> Select[Any]:
    """`_opening`, of a suggestion that comes from no buffer."""
    types = Suggestion.__table__.c
    names = (*OWN, "repeat")
    given = {name: bindparam(name, type_=types[name].type) for name in names}
    opened = _opening({**given, "state": literal("open"), **_of_asker()}).cte("opened")
    return prepare(select(aliased(Suggestion, opened)))


def put_ready(
    session: Session,
    experiment_id: int,
    drafts: Iterable[Draft],
    *,
    revision: int,
    observations_seen: int,
    first_rank: int = 0,
) -> None:
    """Put `drafts` into the buffer, best first; those of rank 0 on replace what was in it."""
    if first_rank == 0:
        delete_ready(session, experiment_id)
    rows = [
        {
            "experiment_id": experiment_id,
            "state": "ready",
            **_tried(draft),
            "source": draft.source,
            "explanation": dict(draft.explanation),
            "rank": rank,
            "revision": revision,
            "observations_seen": observations_seen,
        }
        for rank, draft in enumerate(drafts, start=first_rank)
    ]
    if rows:
        session.execute(insert(Suggestion), rows)


def _tried(draft: Draft) -> dict[str, Any]:
    """The columns of what is to be tried."""
    assignments, cost = tasks.split(draft.assignments)
    digest = hash_assignments(draft.assignments)
    return {"assignments": assignments, "task_cost": cost, "assignments_hash": digest}


def delete_ready(session: Session, experiment_id: int) -> None:
    """Empty the buffer; what is handed out at this moment stays handed out.

    What is served again after a transient failure stays too, until it is measured otherwise.
    """
    # ix_suggestions_ready
    session.execute(
        delete(Suggestion)
        .where(
            Suggestion.experiment_id == experiment_id,
            Suggestion.state.in_(WAITING),
            or_(Suggestion.state == "ready", _observed()),
        )
        .execution_options(synchronize_session=False)
    )


def delete_queued(session: Session, experiment_id: int) -> None:
    """Serve nothing again: what failed belongs to another space, or to a past that is gone."""
    session.execute(
        delete(Suggestion)
        .where(Suggestion.experiment_id == experiment_id, Suggestion.state == "queued")
        .execution_options(synchronize_session=False)
    )


def insert_open(
    session: Session,
    experiment_id: int,
    draft: Draft,
    *,
    asker: Asker,
    revision: int,
    observations_seen: int,
    allow_repeat: bool,
) -> Suggestion | None:
    """Open a suggestion that comes from no buffer.

    Args:
        session: to work with.
        experiment_id: whose.
        draft: what to suggest.
        asker: who gets it.
        revision: of the experiment, at this moment.
        observations_seen: how many observations were known to whoever made `draft`.
        allow_repeat: open it even when an equal one is open, since the caller chose it or the
            space is used up.

    Returns:
        The suggestion, or `None` when an equal one is open.
    """
    digest = hash_assignments(draft.assignments)
    if allow_repeat:
        # One at a time, or they would fight for the next number.
        session.execute(
            select(Experiment.id)
            .where(Experiment.id == experiment_id)
            .with_for_update(key_share=True)
        )
    parameters = {
        "experiment_id": experiment_id,
        **_tried(draft),
        "source": draft.source,
        "explanation": dict(draft.explanation) or None,
        "revision": revision,
        "observations_seen": observations_seen,
        **asker.parameters(),
    }
    for _ in range(TAKE_TRIES):
        repeat = _next_repeat(session, experiment_id, digest) if allow_repeat else 0
        given = {**parameters, "repeat": repeat}
        row: Suggestion | None = session.scalars(_opening_of_own(), given).one_or_none()
        if row is not None:
            return row
        # An equal one was opened at this very moment, or its lease ran out without a note of it.
        if not lapse(session, experiment_id=experiment_id) and not allow_repeat:
            return None
    return None


def undelete(session: Session, suggestion: Suggestion) -> None:
    """Bring a deleted suggestion back; the experiment must be locked."""
    if suggestion.state == "open":
        suggestion.repeat = _next_repeat(
            session, suggestion.experiment_id, suggestion.assignments_hash
        )
    suggestion.deleted = False
    session.flush()


def _next_repeat(session: Session, experiment_id: int, digest: bytes) -> int:
    highest = session.scalar(
        select(func.max(Suggestion.repeat)).where(
            Suggestion.experiment_id == experiment_id,
            Suggestion.assignments_hash == digest,
            Suggestion.state == "open",
            ~Suggestion.deleted,
        )
    )
    return 0 if highest is None else highest + 1


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
    return set(session.scalars(observed.union_all(kept.where(_is_held(Suggestion)), waiting)))


def count_used(session: Session, experiment_id: int) -> int:
    """How many different configurations are observed or open in this experiment."""
    # ix_observations_assignments, ix_suggestions_unique_open
    observed = select(Observation.assignments_hash).where(
        Observation.experiment_id == experiment_id,
        ~Observation.deleted,
        ~Observation.transient,
    )
    waiting = select(Suggestion.assignments_hash).where(
        Suggestion.experiment_id == experiment_id, _is_held(Suggestion)
    )
    return session.scalar(select(func.count()).select_from(observed.union(waiting).subquery())) or 0


def update_closed(session: Session, suggestion_ids: Collection[int]) -> list[int]:
    """Close suggestions that were observed, lapsed ones included; gives those that were not yet."""
    closed = session.connection().execute(_CLOSE, {"ids": list(suggestion_ids)}).scalars().all()
    note_closed(session, closed)
    return list(closed)


def note_closed(session: Session, suggestion_ids: Iterable[int]) -> None:
    """Let what the session has loaded of these suggestions know that they are closed."""
    for suggestion_id in suggestion_ids:
        loaded = session.identity_map.get(identity_key(Suggestion, suggestion_id))
        if loaded is not None:
            set_committed_value(loaded, "state", "closed")


_columns = Suggestion.__table__.c
_CLOSE = prepare(
    update(Suggestion.__table__)  # type: ignore[arg-type]  # a table, in all but its type
    .where(
        _columns.id == any_(bindparam("ids", type_=ARRAY(BigInteger))),
        _columns.state.in_(("open", "lapsed")),
    )
    .values(state="closed")
    .returning(_columns.id)
)


def put_again(session: Session, suggestion_ids: Collection[int]) -> bool:
    """Let the configurations of these suggestions be served again; whether any will be.

    Each at most `MAX_ATTEMPTS` times, and none that something is known of, or that another one
    is going to be known of.
    """
    twin = aliased(Suggestion)
    # ix_suggestions_unique_open, ix_suggestions_ready
    equal = and_(
        twin.experiment_id == Suggestion.experiment_id,
        twin.assignments_hash == Suggestion.assignments_hash,
    )
    open_already = exists().where(equal, _is_held(twin))
    queued_already = exists().where(
        equal, twin.state.in_(WAITING), twin.state == "queued", ~twin.deleted
    )
    failed = (
        select(
            *(getattr(Suggestion, name) for name in KEPT),
            (Suggestion.attempt + 1).label("attempt"),
            literal("queued").label("state"),
        )
        .where(
            Suggestion.id.in_(suggestion_ids),
            Suggestion.attempt < MAX_ATTEMPTS,
            ~Suggestion.deleted,
            ~open_already,
            ~queued_already,
            ~_observed(),
        )
        .ext(distinct_on(Suggestion.assignments_hash))
    )
    statement = insert(Suggestion).from_select([*KEPT, "attempt", "state"], failed)
    return bool(session.scalars(statement.returning(Suggestion.id)).all())


def lapse(session: Session, *, experiment_id: int | None = None, limit: int = LAPSE_BATCH) -> int:
    """Note that leases have run out, at most `limit` of them; gives how many.

    Args:
        session: to work with.
        experiment_id: of this experiment alone.
        limit: at most so many.
    """
    # ix_suggestions_lease_expires
    overdue = (
        select(Suggestion.id)
        .where(
            Suggestion.state == "open",
            Suggestion.lease_expires.is_not(None),
            Suggestion.lease_expires < func.now(),
        )
        .order_by(Suggestion.lease_expires)
        .limit(limit)
        # Several may do it at once; each takes what the others leave.
        .with_for_update(skip_locked=True)
    )
    if experiment_id is not None:
        overdue = overdue.where(Suggestion.experiment_id == experiment_id)
    lapsed = session.scalars(
        update(Suggestion)
        .where(Suggestion.id.in_(overdue.scalar_subquery()))
        .values(state="lapsed")
        .returning(Suggestion.id)
    )
    return len(lapsed.all())


def update_deleted(session: Session, experiment_id: int, *, open_only: bool) -> None:
    """Delete what was handed out in an experiment."""
    states = ("open",) if open_only else HANDED_OUT
    session.execute(
        update(Suggestion)
        .where(
            Suggestion.experiment_id == experiment_id,
            Suggestion.state.in_(states),
            ~Suggestion.deleted,
        )
        .values(deleted=True)
    )


def notify_ready(session: Session, experiment_id: int) -> None:
    """Tell every waiting request, at the commit, that the buffer has something new."""
    session.execute(
        text("select pg_notify(:channel, :payload)"),
        {"channel": READY_CHANNEL, "payload": str(experiment_id)},
    )


#: Postgres' channel for `notify_ready`; `store.listening` listens to it.
READY_CHANNEL = "tradeoff_ready"

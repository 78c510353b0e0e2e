"""Queries of suggestions, from the buffer to the list of a client."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, select, text, update
from sqlalchemy import insert as sql_insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from tradeoff.errors import NotFound
from tradeoff.spec.values import Value
from tradeoff.store.database import Session
from tradeoff.store.tables import UNIQUE_OPEN, Experiment, Observation, Suggestion

#: An open suggestion that nobody reported on for so long is no longer expected back.
OPEN_FOR = datetime.timedelta(days=7)
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
    """A suggestion to be kept: what `put_ready` and `insert_open` write."""

    assignments: Mapping[str, Value]
    source: str
    explanation: Mapping[str, Any] = field(default_factory=dict)


def get(session: Session, experiment_id: int, suggestion_id: int) -> Suggestion:
    """A suggestion that was handed out.

    Raises:
        NotFound: when there is none, it was deleted, or belongs to another experiment.
    """
    row = session.get(Suggestion, suggestion_id)
    if (
        row is None
        or row.deleted
        or row.experiment_id != experiment_id
        or row.state not in ("open", "closed")
    ):
        raise NotFound(f"There is no suggestion {suggestion_id} in this experiment")
    return row


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
        Suggestion.experiment_id == experiment_id, Suggestion.state.in_(("open", "closed"))
    )
    if state is not None:
        query = query.where(Suggestion.state == state)
    if deleted is not None:
        query = query.where(Suggestion.deleted == deleted)
    if ids is not None:
        query = query.where(Suggestion.id.in_(ids))
    return query


def _observed() -> ColumnElement[bool]:
    """Whether the configuration of a suggestion was observed, under whatever name."""
    # ix_observations_assignments
    return exists().where(
        Observation.experiment_id == Suggestion.experiment_id,
        Observation.assignments_hash == Suggestion.assignments_hash,
        ~Observation.deleted,
    )


def _expected(experiment_id: int) -> ColumnElement[bool]:
    """Open suggestions whose result is still awaited.

    Old clients report by assignments and leave every suggestion open; others vanish for ever.
    """
    return and_(
        Suggestion.experiment_id == experiment_id,
        Suggestion.state == "open",
        ~Suggestion.deleted,
        Suggestion.opened > func.now() - OPEN_FOR,
        ~_observed(),
    )


def count_open(session: Session, experiment_id: int) -> int:
    """How many open suggestions are still expected back."""
    return session.scalar(select(func.count()).where(_expected(experiment_id))) or 0


def count_handed_out(session: Session, experiment_id: int) -> int:
    """How many suggestions are open, whether or not they are still expected back."""
    # ix_suggestions_unique_open
    query = select(func.count()).where(
        Suggestion.experiment_id == experiment_id, Suggestion.state == "open", ~Suggestion.deleted
    )
    return session.scalar(query) or 0


def count_ready(session: Session, experiment_id: int, *, least_revision: int) -> int:
    """How many suggestions of at least this revision wait in the buffer."""
    # ix_suggestions_ready
    query = select(func.count()).where(
        Suggestion.experiment_id == experiment_id,
        Suggestion.state == "ready",
        ~Suggestion.deleted,
        Suggestion.revision >= least_revision,
    )
    return session.scalar(query) or 0


def list_pending(session: Session, experiment_id: int) -> Sequence[dict[str, Any]]:
    """The assignments of the open suggestions that are still expected back, oldest first."""
    query = select(Suggestion.assignments).where(_expected(experiment_id)).order_by(Suggestion.id)
    return session.scalars(query).all()


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


def take_ready(
    session: Session,
    experiment_id: int,
    *,
    least_revision: int | None,
    metadata: dict[str, Any] | None,
) -> Suggestion | None:
    """Hand out the best ready suggestion, each to one caller only.

    Args:
        session: to work with.
        experiment_id: whose buffer.
        least_revision: how new it must be; `None` takes any.
        metadata: the asker's.

    Returns:
        The suggestion, now open, or `None` when none is left that is new enough, different from
        every open one, and not observed meanwhile.
    """
    twin = aliased(Suggestion)
    free = ~exists().where(
        twin.experiment_id == Suggestion.experiment_id,
        twin.assignments_hash == Suggestion.assignments_hash,
        twin.repeat == Suggestion.repeat,
        twin.state == "open",
        ~twin.deleted,
    )
    # ix_suggestions_ready
    best = (
        select(Suggestion.id)
        .where(
            Suggestion.experiment_id == experiment_id,
            Suggestion.state == "ready",
            ~Suggestion.deleted,
            free,
            ~_observed(),
        )
        .order_by(Suggestion.revision.desc(), Suggestion.rank, Suggestion.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=Suggestion)
    )
    if least_revision is not None:
        best = best.where(Suggestion.revision >= least_revision)
    for _ in range(TAKE_TRIES):
        try:
            with session.begin_nested():
                return _open_row(session, best, metadata)
        except IntegrityError as error:
            if UNIQUE_OPEN not in str(error.orig):
                raise
            # An equal one was opened at this very moment; look again.
    return None


def _open_row(
    session: Session, chosen: Select[int], metadata: dict[str, Any] | None
) -> Suggestion | None:
    taken = session.execute(
        update(Suggestion)
        .where(Suggestion.id == chosen.scalar_subquery())
        .values(
            # A new id, so that ids follow the order of handing out.
            id=func.nextval("suggestions_id_seq"),
            state="open",
            opened=func.now(),
            metadata_=metadata,
        )
        .returning(Suggestion.id)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    return None if taken is None else session.get_one(Suggestion, taken)


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
            "assignments": dict(draft.assignments),
            "assignments_hash": hash_assignments(draft.assignments),
            "source": draft.source,
            "explanation": dict(draft.explanation),
            "rank": rank,
            "revision": revision,
            "observations_seen": observations_seen,
        }
        for rank, draft in enumerate(drafts, start=first_rank)
    ]
    if rows:
        session.execute(sql_insert(Suggestion), rows)


def delete_ready(session: Session, experiment_id: int) -> None:
    """Empty the buffer; what is handed out at this moment stays handed out."""
    session.execute(
        delete(Suggestion).where(
            Suggestion.experiment_id == experiment_id, Suggestion.state == "ready"
        )
    )


def insert_open(
    session: Session,
    experiment_id: int,
    draft: Draft,
    *,
    metadata: dict[str, Any] | None,
    revision: int,
    observations_seen: int,
    allow_repeat: bool,
) -> Suggestion | None:
    """Open a suggestion that comes from no buffer.

    Args:
        session: to work with.
        experiment_id: whose.
        draft: what to suggest.
        metadata: the asker's.
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
    for _ in range(TAKE_TRIES):
        repeat = 0
        if allow_repeat:
            repeat = _next_repeat(session, experiment_id, digest)
        row = Suggestion(
            experiment_id=experiment_id,
            state="open",
            assignments=dict(draft.assignments),
            assignments_hash=digest,
            repeat=repeat,
            source=draft.source,
            explanation=dict(draft.explanation) or None,
            metadata_=metadata,
            revision=revision,
            observations_seen=observations_seen,
            opened=func.now(),
        )
        try:
            with session.begin_nested():
                session.add(row)
                session.flush()
        except IntegrityError as error:
            if UNIQUE_OPEN not in str(error.orig):
                raise
            if not allow_repeat:
                return None
            continue  # another repeat was opened at this very moment
        session.refresh(row)
        return row
    return None


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
    )
    kept = select(Suggestion.assignments_hash).where(
        Suggestion.experiment_id == experiment_id,
        Suggestion.assignments_hash.in_(digests),
        ~Suggestion.deleted,
    )
    # ix_observations_assignments, ix_suggestions_unique_open, ix_suggestions_ready: one condition
    # over all three states could use none of the last two.
    waiting = kept.where(Suggestion.state.in_(("queued", "ready")))
    return set(session.scalars(observed.union_all(kept.where(Suggestion.state == "open"), waiting)))


def count_used(session: Session, experiment_id: int) -> int:
    """How many different configurations are observed or open in this experiment."""
    # ix_observations_assignments, ix_suggestions_unique_open
    observed = select(Observation.assignments_hash).where(
        Observation.experiment_id == experiment_id, ~Observation.deleted
    )
    waiting = select(Suggestion.assignments_hash).where(
        Suggestion.experiment_id == experiment_id, Suggestion.state == "open", ~Suggestion.deleted
    )
    return session.scalar(select(func.count()).select_from(observed.union(waiting).subquery())) or 0


def update_closed(session: Session, suggestion_ids: Collection[int]) -> None:
    """Close suggestions that were observed."""
    session.execute(
        update(Suggestion)
        .where(Suggestion.id.in_(suggestion_ids), Suggestion.state == "open")
        .values(state="closed")
    )


def update_deleted(session: Session, experiment_id: int, *, open_only: bool) -> None:
    """Delete what was handed out in an experiment."""
    states = ("open",) if open_only else ("open", "closed")
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

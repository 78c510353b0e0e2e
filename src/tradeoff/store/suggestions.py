"""Queries of suggestions that were handed out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, any_, bindparam, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.util import identity_key

from tradeoff.errors import BadInput, NotFound
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.store.awaited import is_overdue
from tradeoff.store.database import Session
from tradeoff.store.opening import next_repeat
from tradeoff.store.prepared import prepare
from tradeoff.store.sorting import parameter_key
from tradeoff.store.tables import HANDED_OUT, Suggestion


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


def sort_key(spec: ExperimentSpec, name: str) -> ColumnElement[Any]:
    """What a list of suggestions is ordered by: `id`, `opened`, or `parameter-NAME`.

    Raises:
        BadInput: for any other name.
    """
    if name == "id":
        return Suggestion.id.expression
    if name == "opened":
        return Suggestion.opened.expression
    if name.startswith("parameter-"):
        return parameter_key(Suggestion.assignments, spec, name.removeprefix("parameter-"))
    raise BadInput(f"sort: must be id, opened or parameter-NAME, not {name!r}")


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


def undelete(session: Session, suggestion: Suggestion) -> None:
    """Bring a deleted suggestion back; the experiment must be locked."""
    if suggestion.state == "open":
        suggestion.repeat = next_repeat(
            session, suggestion.experiment_id, suggestion.assignments_hash
        )
    suggestion.deleted = False
    session.flush()

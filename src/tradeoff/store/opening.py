"""Opening suggestions: each held by one caller only, equal ones counted apart.

A suggestion is opened by an INSERT that leaves out what equals an open one; `store.taking` puts
it into the statement that takes from the buffer.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Float,
    Select,
    Text,
    bindparam,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import aliased

from tradeoff.store import leases
from tradeoff.store.database import Session
from tradeoff.store.drafts import Draft, hash_assignments, tried_columns
from tradeoff.store.prepared import prepare
from tradeoff.store.tables import Experiment, Suggestion

#: How often taking a suggestion is tried again after losing a race for it.
TAKE_TRIES = 20
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


@dataclass(frozen=True, slots=True)
class Asker:
    """Who is handed a suggestion.

    Attributes:
        metadata: the asker's own, kept with the suggestion.
        worker_id: who holds it, by a name that outlives the process.
        lease_seconds: how long the holder may be silent; `None` for as long as it likes.
        waited_seconds: how long the asker has waited so far; `None` when that is not known.
    """

    metadata: dict[str, Any] | None = None
    worker_id: str | None = None
    lease_seconds: float | None = None
    waited_seconds: float | None = None

    def parameters(self) -> dict[str, Any]:
        """By the names that `_of_asker` gives them."""
        return {
            "metadata": self.metadata,
            "worker_id": self.worker_id,
            "lease_seconds": self.lease_seconds,
            "waited_seconds": self.waited_seconds,
        }


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
        **tried_columns(draft),
        "source": draft.source,
        "explanation": dict(draft.explanation) or None,
        "revision": revision,
        "observations_seen": observations_seen,
        **asker.parameters(),
    }
    for _ in range(TAKE_TRIES):
        repeat = next_repeat(session, experiment_id, digest) if allow_repeat else 0
        given = {**parameters, "repeat": repeat}
        row: Suggestion | None = session.scalars(_opening_of_own(), given).one_or_none()
        if row is not None:
            return row
        # An equal one was opened at this very moment, or its lease ran out without a note of it.
        if not leases.lapse(session, experiment_id=experiment_id) and not allow_repeat:
            return None
    return None


def next_repeat(session: Session, experiment_id: int, digest: bytes) -> int:
    """The number that keeps one more of this configuration apart from the open ones."""
    highest = session.scalar(
        select(func.max(Suggestion.repeat)).where(
            Suggestion.experiment_id == experiment_id,
            Suggestion.assignments_hash == digest,
            Suggestion.state == "open",
            ~Suggestion.deleted,
        )
    )
    return 0 if highest is None else highest + 1


@functools.cache
def _opening_of_own() -> Select[Any]:
    """`insertion`, of a suggestion that comes from no buffer."""
    types = Suggestion.__table__.c
    names = (*OWN, "repeat")
    given = {name: bindparam(name, type_=types[name].type) for name in names}
    return prepare(select(aliased(Suggestion, insertion(given))))


def insertion(given: Mapping[str, ColumnElement[Any]]) -> CTE:
    """An INSERT of an open suggestion that leaves it out when it equals an open one.

    A violation of the index would end the transaction, or need a savepoint for each try.

    Args:
        given: the columns that are no `Asker`'s; his are parameters, see `Asker.parameters`.
    """
    values = {**given, "state": literal("open"), **_of_asker()}
    return (
        insert(Suggestion)
        # The database's defaults: Python's would be parameters that nobody gives.
        .from_select(list(values), select(*values.values()), include_defaults=False)
        .on_conflict_do_nothing(
            index_elements=["experiment_id", "assignments_hash", "repeat"],
            index_where=text("state = 'open' and not deleted"),
        )
        .returning(Suggestion)
        .cte("opened")
    )


def _of_asker() -> dict[str, ColumnElement[Any]]:
    """What is kept of an `Asker`, and the time of the handing out, by column."""
    seconds = bindparam("lease_seconds", type_=Float)
    return {
        "metadata": bindparam("metadata", type_=JSONB(none_as_null=True)),
        "worker_id": bindparam("worker_id", type_=Text),
        "lease_seconds": seconds,
        "lease_expires": leases.expiry(seconds),
        "opened": func.now(),
        "waited_seconds": bindparam("waited_seconds", type_=Float),
    }

"""What tests of the store do over and over."""

from __future__ import annotations

from tests.builders import insert_observations
from tradeoff.store import buffer, opening, taking
from tradeoff.store.database import Session
from tradeoff.store.drafts import Draft, hash_assignments
from tradeoff.store.opening import Asker
from tradeoff.store.tables import Suggestion
from tradeoff.store.taking import Freshness


def drafts(*numbers: float) -> list[Draft]:
    """One for each number, best first."""
    return [Draft({"x": number}, "model") for number in numbers]


def fill(session: Session, experiment_id: int, *numbers: float, revision: int = 0) -> None:
    """Replace the buffer."""
    buffer.put_ready(
        session, experiment_id, drafts(*numbers), revision=revision, observations_seen=revision
    )


def take(
    session: Session, experiment_id: int, least_revision: int | None = None
) -> Suggestion | None:
    """Take the best of the buffer, which knows `least_revision` at least."""
    fresh = None if least_revision is None else Freshness(least_revision, 1)
    taken = taking.take_ready(session, experiment_id, fresh=fresh, asker=Asker())
    return None if taken is None else taken.suggestion


def open_one(
    session: Session, experiment_id: int, number: float, *, allow_repeat: bool = False
) -> Suggestion | None:
    """Open a suggestion that comes from no buffer."""
    return opening.insert_open(
        session,
        experiment_id,
        *drafts(number),
        asker=Asker(),
        revision=0,
        observations_seen=0,
        allow_repeat=allow_repeat,
    )


def observe(session: Session, experiment_id: int, number: float) -> None:
    """Store a failure, with nothing counted or closed."""
    row = {
        "experiment_id": experiment_id,
        "assignments": {"x": number},
        "assignments_hash": hash_assignments({"x": number}),
        "values": {},
        "failed": True,
    }
    insert_observations(session, [row])

from __future__ import annotations

from sqlalchemy import func, update

from tests.store.acts import fill, observe, open_one
from tradeoff.store import awaited, observations, suggestions
from tradeoff.store.database import Session
from tradeoff.store.drafts import hash_assignments
from tradeoff.store.tables import Suggestion


def test_what_is_expected_back(session: Session, experiment_id: int) -> None:
    rows = [open_one(session, experiment_id, number) for number in range(5)]
    kept, observed, old, closed, deleted = (row for row in rows if row is not None)
    observe(session, experiment_id, observed.assignments["x"])
    session.execute(
        update(Suggestion)
        .where(Suggestion.id == old.id)
        .values(opened=func.now() - awaited.OPEN_FOR)
    )
    suggestions.update_closed(session, [closed.id])
    deleted.deleted = True
    session.flush()

    assert awaited.list_pending(session, experiment_id) == [{"x": 0}]
    assert kept.assignments == {"x": 0}
    assert awaited.count_handed_out(session, experiment_id) == 3
    assert awaited.count_open_since(session, experiment_id, None) == 3
    assert awaited.count_open_since(session, experiment_id, old.opened) == 2


def test_a_deleted_observation_makes_its_suggestion_expected_again(
    session: Session, experiment_id: int
) -> None:
    open_one(session, experiment_id, 1)
    observe(session, experiment_id, 1)
    assert awaited.list_pending(session, experiment_id) == []

    observations.update_deleted(session, experiment_id)

    assert awaited.list_pending(session, experiment_id) == [{"x": 1}]


def test_what_is_used(session: Session, experiment_id: int) -> None:
    observe(session, experiment_id, 1)
    open_one(session, experiment_id, 2)
    fill(session, experiment_id, 3)
    digests = [hash_assignments({"x": x}) for x in range(5)]

    used = awaited.find_used(session, experiment_id, digests)

    assert used == set(digests[1:4])
    assert awaited.find_used(session, experiment_id + 1, digests) == set()

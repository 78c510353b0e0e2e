from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.crowd import THREADS, at_once
from tests.store.acts import fill, open_one, take
from tradeoff.store import suggestions
from tradeoff.store.database import Database, Session
from tradeoff.store.drafts import hash_assignments


def test_ids_follow_the_order_of_handing_out(session: Session, experiment_id: int) -> None:
    fill(session, experiment_id, 1, 2)
    own = open_one(session, experiment_id, 9)
    first, second = take(session, experiment_id), take(session, experiment_id)
    last = open_one(session, experiment_id, 8)

    rows = [own, first, second, last]

    ids = [row.id for row in rows if row is not None]
    assert len(ids) == 4
    assert ids == sorted(ids)


def test_a_closed_or_deleted_one_leaves_room_for_an_equal_one(
    session: Session, experiment_id: int
) -> None:
    first = open_one(session, experiment_id, 1)
    assert first is not None
    assert open_one(session, experiment_id, 1) is None
    suggestions.update_closed(session, {first.id})
    second = open_one(session, experiment_id, 1)
    assert second is not None
    suggestions.update_deleted(session, experiment_id, open_only=True)

    assert open_one(session, experiment_id, 1) is not None


def test_the_database_refuses_two_equal_open_ones(session: Session, experiment_id: int) -> None:
    open_one(session, experiment_id, 1)

    with (
        pytest.raises(IntegrityError, match="ix_suggestions_unique_open"),
        session.begin_nested(),
    ):
        session.execute(
            text(
                "insert into suggestions (experiment_id, state, assignments, assignments_hash, "
                "source) values (:id, 'open', '{}', :hash, 'x')"
            ),
            {"id": experiment_id, "hash": hash_assignments({"x": 1})},
        )


def test_equal_ones_opened_at_once_are_one_or_counted_apart(
    wide: Database, experiment_id: int
) -> None:
    def open_same(index: int, allow_repeat: bool) -> int | None:
        with wide.transaction() as session:
            row = open_one(session, experiment_id, 7, allow_repeat=allow_repeat)
            return None if row is None else row.repeat

    alone = at_once(THREADS, lambda index: open_same(index, allow_repeat=False))
    repeated = at_once(THREADS, lambda index: open_same(index, allow_repeat=True))

    assert sorted(r for r in alone if r is not None) == [0]
    assert sorted(r for r in repeated if r is not None) == list(range(1, THREADS + 1))

from __future__ import annotations

import pytest

from tests.crowd import THREADS, at_once
from tests.store.acts import fill, observe, open_one, take
from tradeoff.store import buffer, suggestions, taking
from tradeoff.store.database import Database, Session
from tradeoff.store.drafts import Draft
from tradeoff.store.opening import Asker


def test_the_best_of_the_newest_is_taken_first(session: Session, experiment_id: int) -> None:
    fill(session, experiment_id, 2, 1, 3, revision=1)

    rows = [take(session, experiment_id) for _ in range(4)]

    assert [row and row.assignments["x"] for row in rows] == [2, 1, 3, None]


def test_what_is_taken_is_open_and_keeps_what_is_known_of_it(
    session: Session, experiment_id: int
) -> None:
    draft = Draft({"x": 1}, "model", {"why": [1]})
    buffer.put_ready(session, experiment_id, [draft], revision=4, observations_seen=3)

    taken = taking.take_ready(
        session, experiment_id, fresh=None, asker=Asker(metadata={"worker": 1})
    )

    assert taken is not None
    row = taken.suggestion
    assert (row.state, row.source, row.explanation) == ("open", "model", {"why": [1]})
    assert (row.revision, row.observations_seen, row.metadata_) == (4, 3, {"worker": 1})
    assert row.opened is not None
    assert suggestions.get(session, experiment_id, row.id) is row


@pytest.mark.parametrize(("least", "found"), [(None, True), (2, True), (3, True), (4, False)])
def test_only_what_is_new_enough_is_taken(
    session: Session, experiment_id: int, least: int | None, found: bool
) -> None:
    fill(session, experiment_id, 1, revision=3)

    assert (take(session, experiment_id, least) is not None) is found


def test_what_is_open_already_is_passed_over(session: Session, experiment_id: int) -> None:
    open_one(session, experiment_id, 1)
    fill(session, experiment_id, 1, 2)

    row = take(session, experiment_id)

    assert row is not None
    assert row.assignments == {"x": 2}
    assert take(session, experiment_id) is None


def test_what_was_observed_meanwhile_is_passed_over(session: Session, experiment_id: int) -> None:
    fill(session, experiment_id, 1, 2)
    observe(session, experiment_id, 1.0)

    row = take(session, experiment_id)

    assert row is not None
    assert row.assignments == {"x": 2}


def test_many_takers_get_different_suggestions_and_none_is_lost(
    wide: Database, experiment_id: int
) -> None:
    with wide.transaction() as session:
        fill(session, experiment_id, *range(3 * THREADS))

    def take_three(_: int) -> list[tuple[int, float]]:
        taken = []
        for _ in range(3):
            with wide.transaction() as session:
                row = take(session, experiment_id)
                assert row is not None
                taken.append((row.id, row.assignments["x"]))
        return taken

    taken = [each for rows in at_once(THREADS, take_three) for each in rows]

    assert len({row_id for row_id, _ in taken}) == 3 * THREADS
    assert {x for _, x in taken} == set(range(3 * THREADS))


def test_more_takers_than_suggestions_share_what_there_is(
    wide: Database, experiment_id: int
) -> None:
    with wide.transaction() as session:
        fill(session, experiment_id, *range(5))

    def take_one(_: int) -> float | None:
        with wide.transaction() as session:
            row = take(session, experiment_id)
            return None if row is None else float(row.assignments["x"])

    taken = at_once(THREADS, take_one)

    assert sorted(x for x in taken if x is not None) == [0, 1, 2, 3, 4]


def test_equal_ready_ones_are_opened_once(wide: Database, experiment_id: int) -> None:
    """A buffer should hold no twins; if it does, the index keeps them apart."""
    with wide.transaction() as session:
        fill(session, experiment_id, *[1] * THREADS, 2)

    def take_one(_: int) -> float | None:
        with wide.transaction() as session:
            row = take(session, experiment_id)
            return None if row is None else float(row.assignments["x"])

    taken = at_once(THREADS, take_one)

    assert taken.count(1) == 1
    assert taken.count(2) <= 1


def test_a_taker_that_fails_leaves_its_suggestion_to_others(
    shared_database: Database, experiment_id: int
) -> None:
    with shared_database.transaction() as session:
        fill(session, experiment_id, 1)

    def fail() -> None:
        with shared_database.transaction() as session:
            take(session, experiment_id)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    with shared_database.transaction() as session:
        row = take(session, experiment_id)

    assert row is not None


def test_taking_tells_how_many_are_left(session: Session, experiment_id: int) -> None:
    fill(session, experiment_id, 1, 2, 3, revision=5)

    found = [taking.take_ready(session, experiment_id, fresh=None, asker=Asker()) for _ in range(4)]

    assert [each and each.left for each in found] == [2, 1, 0, None]

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from sqlalchemy import event, func, select, text, update
from sqlalchemy.exc import IntegrityError

from tests.builders import insert_observations, make_experiment
from tests.conftest import Account
from tradeoff.errors import NotFound
from tradeoff.store import awaited, buffer, leases, observations, opening, suggestions, taking
from tradeoff.store.database import Database, Session, connect
from tradeoff.store.drafts import Draft, hash_assignments
from tradeoff.store.opening import Asker
from tradeoff.store.tables import Suggestion
from tradeoff.store.taking import Freshness

T = TypeVar("T")
THREADS = 16


@pytest.fixture(scope="module")
def wide(shared_database: Database) -> Iterator[Database]:
    """The shared database with a connection for each thread."""
    database = connect(shared_database.url, pool_size=THREADS + 2)
    yield database
    database.dispose()


@pytest.fixture
def experiment_id(shared_database: Database, shared_account: Account) -> int:
    """An experiment with an empty buffer."""
    row_id = make_experiment(shared_database, shared_account)
    with shared_database.transaction() as session:
        buffer.delete_ready(session, row_id)
    return row_id


def drafts(*numbers: float) -> list[Draft]:
    return [Draft({"x": number}, "model") for number in numbers]


def fill(session: Session, experiment_id: int, *numbers: float, revision: int = 0) -> None:
    buffer.put_ready(
        session, experiment_id, drafts(*numbers), revision=revision, observations_seen=revision
    )


def take(
    session: Session, experiment_id: int, least_revision: int | None = None
) -> Suggestion | None:
    fresh = None if least_revision is None else Freshness(least_revision, 1)
    taken = taking.take_ready(session, experiment_id, fresh=fresh, asker=Asker())
    return None if taken is None else taken.suggestion


def open_one(
    session: Session, experiment_id: int, number: float, *, allow_repeat: bool = False
) -> Suggestion | None:
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
    row = {
        "experiment_id": experiment_id,
        "assignments": {"x": number},
        "assignments_hash": hash_assignments({"x": number}),
        "values": {},
        "failed": True,
    }
    insert_observations(session, [row])


def at_once(count: int, act: Callable[[int], T]) -> list[T]:
    """Run `act` in `count` threads that begin together."""
    barrier = threading.Barrier(count)

    def run(index: int) -> T:
        barrier.wait()
        return act(index)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 3, "b": "x"}, {"b": "x", "a": 3.0}),
        ({"a": 0.0}, {"a": -0.0}),
        ({"a": 0}, {"a": -0.0}),
        ({"a": 1e22}, {"a": 10**22}),
    ],
)
def test_equal_configurations_have_equal_hashes(one: Any, other: Any) -> None:
    assert hash_assignments(one) == hash_assignments(other)


@pytest.mark.parametrize("other", [{"a": 4}, {"a": "3"}, {"b": 3}, {"a": 3, "b": 3}, {}])
def test_different_configurations_have_different_hashes(other: dict[str, Any]) -> None:
    assert hash_assignments({"a": 3}) != hash_assignments(other)


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


def test_ids_follow_the_order_of_handing_out(session: Session, experiment_id: int) -> None:
    fill(session, experiment_id, 1, 2)
    own = open_one(session, experiment_id, 9)
    first, second = take(session, experiment_id), take(session, experiment_id)
    last = open_one(session, experiment_id, 8)

    rows = [own, first, second, last]

    ids = [row.id for row in rows if row is not None]
    assert len(ids) == 4
    assert ids == sorted(ids)


def test_drafts_of_a_higher_rank_come_behind_what_is_there(
    session: Session, experiment_id: int
) -> None:
    fill(session, experiment_id, 1, 2)
    buffer.put_ready(
        session, experiment_id, drafts(3), revision=0, observations_seen=0, first_rank=2
    )

    rows = [take(session, experiment_id) for _ in range(4)]

    assert [row and row.assignments["x"] for row in rows] == [1, 2, 3, None]


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


@pytest.mark.parametrize("missing", ["unknown", "ready", "deleted", "foreign"])
def test_only_ones_own_handed_out_suggestions_can_be_got(
    session: Session, experiment_id: int, missing: str, shared_account: Account
) -> None:
    row = open_one(session, experiment_id, 1)
    assert row is not None
    asked, within = row.id, experiment_id
    if missing == "unknown":
        asked = 2**62
    elif missing == "ready":
        fill(session, experiment_id, 2)
        ready = select(Suggestion.id).where(
            Suggestion.experiment_id == experiment_id, Suggestion.state == "ready"
        )
        asked = session.scalars(ready).one()
    elif missing == "deleted":
        row.deleted = True
    else:
        within = experiment_id + 1

    with pytest.raises(NotFound) as caught:
        suggestions.get(session, within, asked)

    assert caught.value.message == f"There is no suggestion {asked} in this experiment"


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


def test_a_buffer_replaced_while_others_take_loses_and_doubles_nothing(
    wide: Database, experiment_id: int
) -> None:
    rounds, size = 15, 8
    done = threading.Event()
    numbers = iter(range(10**6))

    def refill() -> None:
        for revision in range(1, rounds + 1):
            with wide.transaction() as session:
                fill(
                    session,
                    experiment_id,
                    *(next(numbers) for _ in range(size)),
                    revision=revision,
                )
        done.set()

    taken: list[tuple[int, float]] = []

    def take_on() -> None:
        while not done.is_set():
            with wide.transaction() as session:
                row = take(session, experiment_id)
                if row is not None:
                    taken.append((row.id, row.assignments["x"]))

    with ThreadPoolExecutor(9) as pool:
        takers = [pool.submit(take_on) for _ in range(8)]
        pool.submit(refill).result()
        for taker in takers:
            taker.result()

    with wide.transaction() as session:
        ready = session.scalars(
            select(Suggestion.revision).where(
                Suggestion.experiment_id == experiment_id, Suggestion.state == "ready"
            )
        ).all()
        handed_out = awaited.count_handed_out(session, experiment_id)
    assert set(ready) <= {rounds}
    assert len(ready) <= size
    assert len(taken) == len(set(taken)) == len({x for _, x in taken}) == handed_out


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


def test_taking_tells_how_many_are_left(session: Session, experiment_id: int) -> None:
    fill(session, experiment_id, 1, 2, 3, revision=5)

    found = [taking.take_ready(session, experiment_id, fresh=None, asker=Asker()) for _ in range(4)]

    assert [each and each.left for each in found] == [2, 1, 0, None]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, [0, 1, 3]),
        ({"state": "open"}, [0, 3]),
        ({"state": "closed"}, [1]),
        ({"deleted": True}, [2]),
        ({"deleted": None}, [0, 1, 2, 3]),
        ({"ids": [0, 2]}, [0]),
        ({"ids": []}, []),
    ],
)
def test_listing(
    session: Session, experiment_id: int, filters: dict[str, Any], found: list[int]
) -> None:
    rows = [row for n in range(4) if (row := open_one(session, experiment_id, n)) is not None]
    fill(session, experiment_id, 99)
    suggestions.update_closed(session, [rows[1].id])
    rows[2].deleted = True
    session.flush()
    if "ids" in filters:
        filters = {"ids": [rows[index].id for index in filters["ids"]]}

    query = suggestions.listing(experiment_id, **filters).order_by(Suggestion.id)

    assert [rows.index(row) for row in session.scalars(query)] == found


Ask = Callable[[Session, int], object]
HOT: dict[str, tuple[str, Ask]] = {
    "taking": ("ix_suggestions_ready", lambda s, e: take(s, e, 0)),
    "used": (
        "ix_suggestions_unique_open",
        lambda s, e: awaited.find_used(s, e, [b"a", b"b"]),
    ),
    "open": ("ix_suggestions_unique_open", awaited.count_handed_out),
    "fresh": ("ix_observations_assignments", lambda s, e: take(s, e, 10)),
    "held": ("ix_suggestions_worker", lambda s, e: leases.list_held(s, e, "me")),
    "renewing": ("ix_suggestions_worker", lambda s, e: leases.renew_all(s, e, "me")),
    "lapsing": ("ix_suggestions_lease_expires", lambda s, e: leases.lapse(s)),
    "retried": (
        "ix_observations_suggestion_id",
        lambda s, e: observations.list_recent(s, e, [1, 2]),
    ),
    "pending": ("ix_suggestions_unique_open", awaited.list_pending),
    "demand": (
        "ix_suggestions_unique_open",
        lambda s, e: awaited.count_open_since(s, e, None),
    ),
}


@pytest.mark.parametrize("name", HOT)
def test_hot_queries_use_their_index(session: Session, experiment_id: int, name: str) -> None:
    """What was closed long ago, or belongs to others, costs the asker nothing."""
    index, ask = HOT[name]
    many = "from generate_series(1, 5000) n"
    for table, columns, values in (
        ("suggestions", "state, source, opened", "'closed', 'x', now()"),
        ("observations", "values, failed", "'{}', true"),
    ):
        session.execute(
            text(
                f"insert into {table} (experiment_id, assignments, assignments_hash, {columns})"
                f" select :id, '{{}}', decode(md5(n::text), 'hex'), {values} {many}"
            ),
            {"id": experiment_id},
        )
    for number in range(10):
        open_one(session, experiment_id, number)
    fill(session, experiment_id, *range(10, 15))
    session.execute(text("analyze suggestions, observations"))
    connection = session.connection()
    asked: list[tuple[str, Any]] = []

    @event.listens_for(connection, "before_cursor_execute")
    def note(_c: object, _cursor: object, sql: str, given: Any, *_more: object) -> None:
        asked.append((sql, given))

    ask(session, experiment_id)

    event.remove(connection, "before_cursor_execute", note)
    plans = [
        "\n".join(connection.exec_driver_sql(f"explain {sql}", given).scalars())
        for sql, given in asked
        if sql.lstrip().lower().startswith(("select", "update", "with"))
    ]
    assert any(index in plan for plan in plans), plans
    assert not any("Seq Scan on suggestions" in plan for plan in plans), plans

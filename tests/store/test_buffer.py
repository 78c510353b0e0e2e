from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select

from tests.store.acts import drafts, fill, take
from tradeoff.store import awaited, buffer
from tradeoff.store.database import Database, Session
from tradeoff.store.tables import Suggestion


def test_drafts_of_a_higher_rank_come_behind_what_is_there(
    session: Session, experiment_id: int
) -> None:
    fill(session, experiment_id, 1, 2)
    buffer.put_ready(
        session, experiment_id, drafts(3), revision=0, observations_seen=0, first_rank=2
    )

    rows = [take(session, experiment_id) for _ in range(4)]

    assert [row and row.assignments["x"] for row in rows] == [1, 2, 3, None]


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

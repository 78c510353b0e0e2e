"""A model that always keeps up, so that asking is measured while the buffer is warm.

    python -m benchmarks.service.stand_in      the plan as one line of JSON on standard input

A fit takes a good part of a second, and clients without think time use up whatever it gives long
before the next one. This publishes buffers as a worker does after a refresh (`fill_buffer`, and
the job taken from the queue, so that reports have to enqueue it again), but draws its points
instead of computing them. It ends when its standard input does.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Sequence

from sqlalchemy import text

from benchmarks.service.site import BUFFER, spec
from tradeoff.engine import design
from tradeoff.service import suggestions
from tradeoff.spec.values import Value
from tradeoff.store.database import Database, connect
from tradeoff.store.drafts import Draft

#: Published anew when fewer than this are fresh.
LOW = 16
#: Points drawn at once: each drawing goes through those before it.
DRAW = 8 * BUFFER
PAUSE_SECONDS = 0.01

#: Experiments with what is still fresh in their buffers by most of what freshness allows.
LOOK = text(
    "select e.id, e.revision, e.observation_count, (select count(*) from suggestions s "
    "where s.experiment_id = e.id and s.state = 'ready' and not s.deleted "
    "and s.revision > e.revision - :window) as fresh from experiments e where e.id = any(:ids)"
)
TAKE_JOB = text(
    "delete from jobs.procrastinate_jobs where queueing_lock = :lock and status = 'todo'"
)


class StandIn:
    """Keeps the buffers of some experiments warm.

    Args:
        database: where they are.
        experiments: their ids.
        window: how many observations a suggestion may have missed.
        seed: of its points; never used before on these experiments, since the API serves nothing
            that was observed already.
    """

    def __init__(
        self, database: Database, experiments: Sequence[int], *, window: int, seed: int
    ) -> None:
        self._database = database
        self._ids = list(experiments)
        self._window, self._seed = window, seed
        self._drawn = 0
        self._points: list[dict[str, Value]] = []

    def look(self) -> int:
        """Publish where it is needed; gives how often it was."""
        with self._database.transaction() as session:
            rows = session.execute(LOOK, {"ids": self._ids, "window": self._window}).all()
        low = [row for row in rows if row.fresh < LOW]
        for row in low:
            self._publish(row.id, row.revision, row.observation_count)
        return len(low)

    def _publish(self, experiment: int, revision: int, seen: int) -> None:
        if not self._points:
            self._points = design.space_filling(
                spec(), seed=self._seed, start=self._drawn, count=DRAW
            )
            self._drawn += DRAW
        points, self._points = self._points[:BUFFER], self._points[BUFFER:]
        drafts = [Draft(point, "model", {"stand_in": True}) for point in points]
        with self._database.transaction() as session:
            session.execute(TAKE_JOB, {"lock": f"refresh-{experiment}"})
            suggestions.fill_buffer(
                session, experiment, drafts, revision=revision, observations_seen=seen
            )


def main() -> None:
    """Keep buffers warm until standard input ends."""
    plan = json.loads(sys.stdin.readline())
    stop = threading.Event()
    threading.Thread(target=_await_end, args=(stop,), daemon=True).start()
    database = connect(plan["database_url"], pool_size=1)
    stand_in = StandIn(database, plan["experiments"], window=plan["window"], seed=plan["seed"])
    while not stop.is_set():
        if not stand_in.look():
            time.sleep(PAUSE_SECONDS)
    database.dispose()


def _await_end(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


if __name__ == "__main__":
    main()

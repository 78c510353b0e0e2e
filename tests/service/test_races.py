"""Many at once, on real connections: nothing is lost, doubled or refused."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from tests.builders import make_experiment
from tests.conftest import Account
from tests.crowd import THREADS, at_once
from tests.service.acts import ONE, clear_queue, evaluations, finish_design
from tradeoff.errors import NotFound
from tradeoff.service import experiments, observations, suggestions
from tradeoff.service.observations import Report
from tradeoff.store import experiments as stored
from tradeoff.store import observations as stored_observations
from tradeoff.store import queue, tables
from tradeoff.store import suggestions as stored_suggestions
from tradeoff.store.database import Database, Session
from tradeoff.store.drafts import Draft


@pytest.fixture
def make(wide: Database, shared_account: Account) -> Iterator[Any]:
    yield lambda **fields: make_experiment(wide, shared_account, **{**ONE, **fields})
    with wide.transaction() as session:
        clear_queue(session)


def model(wide: Database, experiment_id: int) -> None:
    """Take an experiment past its design, with an empty buffer."""
    with wide.transaction() as session:
        finish_design(session, stored.get(session, experiment_id))


def serve(
    wide: Database, experiment_id: int, *, accept_stale: bool = True
) -> tuple[int, dict[str, Any]] | None:
    with wide.transaction() as session:
        row = suggestions.serve(
            session, stored.get(session, experiment_id), accept_stale=accept_stale
        )
        return None if row is None else (row.id, row.assignments)


def tell(wide: Database, experiment_id: int, **fields: Any) -> int:
    with wide.transaction() as session:
        report = Report(**{"values": evaluations(loss=1.0), **fields})
        return observations.report(session, stored.get(session, experiment_id), report).id


LEVELS = [{"name": "x", "type": "int", "bounds": {"min": 1, "max": THREADS}}]
GRID = [{"name": "x", "type": "int", "grid": list(range(THREADS))}]


@pytest.mark.parametrize(
    ("fields", "past_design"),
    [
        ({}, False),
        ({}, True),
        ({"type": "random"}, False),
        ({"type": "grid", "parameters": GRID}, False),
        ({"parameters": LEVELS}, False),
        ({"type": "random", "parameters": LEVELS}, False),
    ],
)
def test_askers_at_once_never_get_the_same(
    wide: Database, make: Any, fields: dict[str, Any], past_design: bool
) -> None:
    experiment_id = make(**fields)
    if past_design:
        model(wide, experiment_id)

    served = at_once(THREADS, lambda _: serve(wide, experiment_id))

    found = [each for each in served if each is not None]
    assert len({row_id for row_id, _ in found}) == THREADS
    assert len({assignments["x"] for _, assignments in found}) == THREADS


def test_more_askers_than_points_repeat_evenly_or_nearly(wide: Database, make: Any) -> None:
    """Distinct while there are unused points; then every one still gets an answer."""
    few = [{"name": "x", "type": "int", "bounds": {"min": 1, "max": 4}}]
    experiment_id = make(parameters=few)

    served = at_once(THREADS, lambda _: serve(wide, experiment_id))

    found = Counter(each[1]["x"] for each in served if each is not None)
    assert found.total() == THREADS
    assert set(found) == {1, 2, 3, 4}


def test_users_at_once_may_open_the_same(wide: Database, make: Any) -> None:
    experiment_id = make()

    def add(_: int) -> int:
        with wide.transaction() as session:
            return suggestions.add(session, stored.get(session, experiment_id), {"x": 0.5}).repeat

    assert sorted(at_once(THREADS, add)) == list(range(THREADS))


def test_reports_at_once_are_all_counted(wide: Database, make: Any) -> None:
    experiment_id = make()

    def tell_three(index: int) -> None:
        for number in range(3):
            failed = number == 0
            values = [] if failed else evaluations(loss=1.0)
            tell(wide, experiment_id, assignments={"x": index}, failed=failed, values=values)

    at_once(THREADS, tell_three)

    with wide.transaction() as session:
        experiment = stored.get(session, experiment_id)
        assert experiment.observation_count == experiment.revision == 3 * THREADS
        assert experiment.failure_count == THREADS
        assert queue.read_state(session).waiting == 1


def test_two_who_delete_the_same_count_it_once(wide: Database, make: Any) -> None:
    experiment_id = make()
    row_id = tell(wide, experiment_id, assignments={"x": 0.5})
    loaded = threading.Barrier(4)

    def delete(_: int) -> bool:
        try:
            with wide.transaction() as session:
                experiment = stored.get(session, experiment_id)
                row = stored_observations.get(session, experiment_id, row_id)
                loaded.wait(30)
                observations.delete(session, experiment, row)
        except NotFound:
            return False
        return True

    assert at_once(4, delete).count(True) == 1

    with wide.transaction() as session:
        assert stored.get(session, experiment_id).observation_count == 0


def test_two_who_correct_the_same_count_its_failure_once(wide: Database, make: Any) -> None:
    experiment_id = make()
    row_id = tell(wide, experiment_id, assignments={"x": 0.5})
    loaded = threading.Barrier(4)

    def fail(_: int) -> None:
        with wide.transaction() as session:
            experiment = stored.get(session, experiment_id)
            row = stored_observations.get(session, experiment_id, row_id)
            loaded.wait(30)
            observations.change(session, experiment, row, {"failed": True, "values": None})

    at_once(4, fail)

    with wide.transaction() as session:
        assert stored.get(session, experiment_id).failure_count == 1


def test_a_report_is_checked_against_the_space_of_its_moment(wide: Database, make: Any) -> None:
    """Not against the one that was read before another request changed it."""
    experiment_id = make()
    changed, read = threading.Event(), threading.Event()

    def report() -> dict[str, Any]:
        with wide.transaction() as session:
            experiment = stored.get(session, experiment_id)
            read.set()
            changed.wait(30)
            row = observations.report(
                session,
                experiment,
                Report(assignments={"x": 0.5, "new": 3}, values=evaluations(loss=1.0)),
            )
            return row.assignments

    with ThreadPoolExecutor(1) as pool:
        reported = pool.submit(report)
        read.wait(30)
        with wide.transaction() as session:
            new = {
                "name": "new",
                "type": "int",
                "bounds": {"min": 0, "max": 9},
                "default_value": 1,
            }
            experiments.change(
                session, stored.get(session, experiment_id), {"parameters": [{"name": "x"}, new]}
            )
        changed.set()

        assert reported.result() == {"x": 0.5, "new": 3}


def test_an_asker_and_a_reporter_do_not_wait_for_each_other_in_a_circle(
    wide: Database, make: Any
) -> None:
    """The asker needs the experiment's row and the queue's place; so does the reporter."""
    experiment_id = make()
    model(wide, experiment_id)
    locked, asked = threading.Event(), threading.Event()

    def report() -> None:
        with wide.transaction() as session:
            experiment = stored.get(session, experiment_id)
            stored.lock(session, experiment)
            locked.set()
            asked.wait(1)  # the asker is as far as it comes
            report_now = Report(assignments={"x": 0.5}, values=evaluations(loss=1.0))
            observations.report(session, experiment, report_now)

    def ask() -> None:
        locked.wait(30)
        with wide.transaction() as session:
            session.execute(text("set local deadlock_timeout = '200ms'"))
            suggestions.serve(session, stored.get(session, experiment_id), accept_stale=True)
        asked.set()

    with ThreadPoolExecutor(2) as pool:
        for done in (pool.submit(report), pool.submit(ask)):
            done.result()  # neither is told to try again

    with wide.transaction() as session:
        assert queue.read_state(session).waiting == 1


class Crowd:
    """People and machines that work on one experiment, each in their own way."""

    rounds = 6

    def __init__(self, wide: Database, experiment_id: int) -> None:
        self.wide = wide
        self.experiment_id = experiment_id
        self.served: list[int] = []

    def loop(self, index: int) -> None:
        for number in range(self.rounds):
            got = serve(self.wide, self.experiment_id, accept_stale=number % 2 == 0)
            if got is not None:
                self.served.append(got[0])
                tell(self.wide, self.experiment_id, suggestion_id=got[0])

    def report_batches(self, index: int) -> None:
        for _ in range(self.rounds):
            found = [serve(self.wide, self.experiment_id) for _ in range(3)]
            ids = [got[0] for got in found if got is not None]
            self.served += ids
            with self.wide.transaction() as session:
                reports = [Report(suggestion_id=row_id, failed=True) for row_id in reversed(ids)]
                observations.report_many(session, stored.get(session, self.experiment_id), reports)

    def correct(self, index: int) -> None:
        for number in range(self.rounds):
            tried = {"x": 1 + index + number / 100}
            row_id = tell(self.wide, self.experiment_id, assignments=tried)
            with self.wide.transaction() as session:
                experiment = stored.get(session, self.experiment_id)
                row = stored_observations.get(session, self.experiment_id, row_id)
                if number % 2:
                    observations.delete(session, experiment, row)
                else:
                    observations.change(session, experiment, row, {"failed": True, "values": None})

    def open_and_tidy(self, index: int) -> None:
        for number in range(self.rounds):
            with self.wide.transaction() as session:
                experiment = stored.get(session, self.experiment_id)
                row = suggestions.add(session, experiment, {"x": 50 + number})
                suggestions.delete(session, row)

    def refresh(self, index: int) -> None:
        """As a worker does, without an engine."""
        for number in range(2 * self.rounds):
            with self.wide.transaction() as session:
                clear = "delete from jobs.procrastinate_jobs where queueing_lock = :lock"
                session.execute(text(clear), {"lock": f"refresh-{self.experiment_id}"})
            with self.wide.transaction() as session:
                experiment = stored.get(session, self.experiment_id)
                stored.lock(session, experiment)
                revision = experiment.revision
                epoch = stored.begin_refresh(session, self.experiment_id)
            drafts = [Draft({"x": 1000 * number + k}, "model") for k in range(8)]
            with self.wide.transaction() as session:
                assert stored.update_engine_state(
                    session, self.experiment_id, epoch=epoch, state={}
                )
                suggestions.fill_buffer(
                    session, self.experiment_id, drafts, revision=revision, observations_seen=0
                )


def test_everybody_at_once_for_a_while(wide: Database, make: Any) -> None:
    """Askers, reporters, correctors, deleters and a worker; nobody meets a conflict."""
    experiment_id = make(parallel_bandwidth=4)
    model(wide, experiment_id)
    crowd = Crowd(wide, experiment_id)
    acts = [crowd.loop] * 4 + [crowd.report_batches] * 2 + [crowd.correct] * 2
    acts += [crowd.open_and_tidy, crowd.refresh]

    at_once(len(acts), lambda index: acts[index](index))

    with wide.transaction() as session:
        check_books(session, experiment_id)
    assert len(set(crowd.served)) == len(crowd.served) > 0


def check_books(session: Session, experiment_id: int) -> None:
    """The counters are what the rows say, and no two open suggestions are equal."""
    experiment = stored.get(session, experiment_id)
    rows = session.scalars(stored_observations.listing(experiment_id)).all()
    assert experiment.observation_count == len(rows)
    assert experiment.failure_count == sum(row.failed for row in rows)
    still_open = session.scalars(stored_suggestions.listing(experiment_id, state="open")).all()
    assert len({row.assignments_hash for row in still_open}) == len(still_open)
    reported = {row.suggestion_id for row in rows} - {None}
    closed = session.query(tables.Suggestion.id).filter_by(
        experiment_id=experiment_id, state="closed"
    )
    assert reported == {row.id for row in closed}

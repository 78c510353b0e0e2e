"""The migration that lets experiments be paused, from the step before with rows."""

from __future__ import annotations

from tests.store.test_migration_projects import make_old_experiment
from tests.store.test_migrations import empty_url, run, upgrade_to

__all__ = ["empty_url"]

#: As the queue does it.
REGISTER = "insert into jobs.procrastinate_workers default values"


def test_pausing_comes_to_a_used_database(empty_url: str) -> None:
    upgrade_to(empty_url, "0020")
    experiment_id = make_old_experiment(empty_url)
    suggest = (
        "insert into suggestions (experiment_id, state, assignments, assignments_hash, source) "
        "values (%s, 'open', '{}', %s, 'model')"
    )
    run(empty_url, suggest, experiment_id, b"before")
    run(empty_url, REGISTER)

    upgrade_to(empty_url, "0021")

    assert run(empty_url, "select paused from experiments") == [(False,)]
    # The release before writes on: it knows of neither column, and its workers tell nothing.
    run(empty_url, suggest, experiment_id, b"after")
    run(empty_url, REGISTER)
    assert run(empty_url, "select waited_seconds from suggestions") == [(None,), (None,)]
    assert run(empty_url, "select device from jobs.procrastinate_workers") == [(None,), (None,)]


def test_a_worker_tells_its_device_by_its_connection(empty_url: str) -> None:
    upgrade_to(empty_url, "0021")

    run(empty_url, "set local tradeoff.device = 'CPU of a test'; " + REGISTER)

    told = run(empty_url, "select device from jobs.procrastinate_workers")
    assert told == [("CPU of a test",)]

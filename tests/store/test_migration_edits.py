"""The migration that brings edits of experiments, from the step before with rows."""

from __future__ import annotations

from tests.store.test_migration_projects import make_old_experiment
from tests.store.test_migrations import empty_url, run, upgrade_to

__all__ = ["empty_url"]


def test_edits_come_to_a_used_database_and_go_with_their_experiment(empty_url: str) -> None:
    upgrade_to(empty_url, "0016")
    experiment_id = make_old_experiment(empty_url)

    upgrade_to(empty_url, "0017")

    insert = "insert into edits (experiment_id, differences) values (%s, '[]')"
    run(empty_url, insert, experiment_id)
    # The release before edits experiments and knows nothing of it.
    run(empty_url, "update experiments set name = 'new', rewrites = rewrites + 1")
    assert run(empty_url, "select count(*) from edits") == [(1,)]
    run(empty_url, "delete from experiments")
    assert run(empty_url, "select count(*) from edits") == [(0,)]

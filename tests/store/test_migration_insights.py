"""The migrations that bring what models say, tasks, and notes, from the step before with rows."""

from __future__ import annotations

from tests.store.test_migration_projects import make_old_experiment
from tests.store.test_migrations import empty_url, run, upgrade_to

__all__ = ["empty_url"]


def test_insights_come_to_a_used_database(empty_url: str) -> None:
    upgrade_to(empty_url, "0011")
    experiment_id = make_old_experiment(empty_url)

    upgrade_to(empty_url, "0012")

    run(
        empty_url,
        "insert into insights (experiment_id, tried, importances) select id, 5, '{}' "
        "from experiments",
    )
    run(empty_url, "delete from experiments where id = %s", experiment_id)
    assert run(empty_url, "select count(*) from insights") == [(0,)]


def test_tasks_come_to_a_used_database(empty_url: str) -> None:
    upgrade_to(empty_url, "0012")
    make_old_experiment(empty_url)
    observation = (
        "insert into observations (experiment_id, assignments, assignments_hash, values, failed) "
        "select id, '{}', '', '{}', false from experiments"
    )
    run(empty_url, observation)

    upgrade_to(empty_url, "0013")

    run(empty_url, observation)  # the release before still writes
    assert run(empty_url, "select task_cost from observations") == [(None,), (None,)]


def test_notes_come_to_a_used_database(empty_url: str) -> None:
    upgrade_to(empty_url, "0014")
    make_old_experiment(empty_url)
    run(empty_url, "insert into projects (client_id, slug, name) select id, 'p', 'P' from clients")

    upgrade_to(empty_url, "0015")

    run(empty_url, "insert into project_notes (project_id, contents) select id, 'a' from projects")
    run(empty_url, "delete from projects")
    assert run(empty_url, "select count(*) from project_notes") == [(0,)]

"""The migrations that bring projects and what belongs to them, from the step before with rows."""

from __future__ import annotations

import pytest

from tests.builders import make_spec
from tests.store.test_migrations import empty_url, run, upgrade_to

__all__ = ["empty_url"]


def make_old_experiment(url: str) -> int:
    """A client with an experiment, as the release before writes it; gives the experiment's id."""
    ((experiment_id,),) = run(
        url,
        "with o as (insert into organizations (name) values ('Acme') returning id), "
        "c as (insert into clients (organization_id, name) select id, 'Acme' from o returning id) "
        "insert into experiments (client_id, name, spec, seed) "
        "select id, 'old', %s, 1 from c returning id",
        make_spec().model_dump_json(),
    )
    assert isinstance(experiment_id, int)
    return experiment_id


def test_projects_come_to_a_used_database(empty_url: str) -> None:
    upgrade_to(empty_url, "0004")
    experiment_id = make_old_experiment(empty_url)

    upgrade_to(empty_url, "0005")

    assert run(empty_url, "select id, project from experiments") == [(experiment_id, None)]
    # The release before still writes.
    run(empty_url, "update experiments set name = 'new', updated = now()")
    run(
        empty_url,
        "insert into projects (client_id, slug, name) select client_id, 'p', 'P' from experiments",
    )
    run(empty_url, "update experiments set project = 'p'")
    with pytest.raises(Exception, match="fk_experiments_project"):
        run(empty_url, "update experiments set project = 'q'")


def test_tags_and_the_queue_come_to_a_used_database(empty_url: str) -> None:
    upgrade_to(empty_url, "0005")
    make_old_experiment(empty_url)

    upgrade_to(empty_url, "0006")

    tag = "insert into tags (client_id, name, color) select id, 'a', '#000000' from clients"
    run(empty_url, tag)
    run(
        empty_url,
        "insert into queued_suggestions (experiment_id, assignments) "
        "select id, '{}' from experiments",
    )
    with pytest.raises(Exception, match="ix_tags_unique_name"):
        run(empty_url, tag)


def test_experiments_that_there_were_are_not_made_of_runs(empty_url: str) -> None:
    upgrade_to(empty_url, "0006")
    experiment_id = make_old_experiment(empty_url)

    upgrade_to(empty_url, "0007")

    assert run(empty_url, "select id, runs_only from experiments") == [(experiment_id, False)]


def test_training_runs_come_to_a_used_database(empty_url: str) -> None:
    upgrade_to(empty_url, "0008")
    make_old_experiment(empty_url)
    run(
        empty_url,
        "insert into projects (client_id, slug, name) select id, 'p', 'P' from clients",
    )

    upgrade_to(empty_url, "0009")

    run(
        empty_url,
        "insert into training_runs (client_id, project, name) select id, 'p', 'run' from clients",
    )
    assert run(empty_url, "select state, assignments, tags from training_runs") == [
        ("active", {}, [])
    ]
    with pytest.raises(Exception, match="ck_training_runs_state"):
        run(empty_url, "update training_runs set state = 'paused'")
    with pytest.raises(Exception, match="fk_training_runs_project"):
        run(empty_url, "update training_runs set project = 'q'")


def test_files_come_to_a_used_database(empty_url: str) -> None:
    upgrade_to(empty_url, "0009")
    make_old_experiment(empty_url)
    for statement in (
        "insert into projects (client_id, slug, name) select id, 'p', 'P' from clients",
        "insert into training_runs (client_id, project, name) select id, 'p', 'run' from clients",
        "insert into tokens (client_id, hash, prefix, role) "
        "select id, 'h', 'p', 'read' from clients",
    ):
        run(empty_url, statement)

    upgrade_to(empty_url, "0010")

    assert run(empty_url, "select files from training_runs") == [([],)]
    assert run(empty_url, "select training_run_id from tokens") == [(None,)]

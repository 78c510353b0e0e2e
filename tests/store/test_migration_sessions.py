"""The migration that brings the sessions of browsers, from the step before with rows."""

from __future__ import annotations

from tests.store.test_migration_projects import make_old_experiment
from tests.store.test_migrations import empty_url, run, upgrade_to

__all__ = ["empty_url"]


def test_sessions_of_browsers_come_to_a_used_database(empty_url: str) -> None:
    upgrade_to(empty_url, "0015")
    make_old_experiment(empty_url)
    token = (
        "insert into tokens (client_id, hash, prefix, role) "
        "select id, decode(%s, 'hex'), 'tdo_', 'write' from clients returning id"
    )
    ((token_id,),) = run(empty_url, token, "00")

    upgrade_to(empty_url, "0016")

    for table in ("browser_sessions", "sign_in_links"):
        run(
            empty_url,
            f"insert into {table} (hash, token_id, expires) values ('x', %s, now())",
            token_id,
        )
    # The release before still makes tokens.
    run(empty_url, token, "01")
    assert run(empty_url, "select count(*) from tokens") == [(2,)]

"""The migrations of the audit log and the quotas, each from the step before with rows."""

from __future__ import annotations

import pytest

from tests.store.test_migration_projects import make_old_experiment
from tests.store.test_migrations import empty_url, run, upgrade_to

__all__ = ["empty_url"]

ENTRY = (
    "insert into audit_entries (organization_id, origin, action, kind, object_id, details) "
    "select id, %s, 'client.create', 'client', 1, '{}' from organizations"
)


def test_the_audit_log_comes_to_a_used_database_and_only_grows(empty_url: str) -> None:
    upgrade_to(empty_url, "0016")
    make_old_experiment(empty_url)

    upgrade_to(empty_url, "0018")

    run(empty_url, ENTRY, "api")
    with pytest.raises(Exception, match="ck_audit_entries_origin"):
        run(empty_url, ENTRY, "elsewhere")
    for change in (
        "update audit_entries set token_id = 1",
        "delete from audit_entries",
        "truncate audit_entries",
    ):
        with pytest.raises(Exception, match="can only be added to"):
            run(empty_url, change)
    assert run(empty_url, "select count(*) from audit_entries") == [(1,)]
    # The release before still works.
    run(empty_url, "update experiments set name = 'new'")


def test_quotas_come_to_a_used_database(empty_url: str) -> None:
    upgrade_to(empty_url, "0018")
    make_old_experiment(empty_url)

    upgrade_to(empty_url, "0019")

    assert run(empty_url, "select quotas, is_full from clients") == [({}, False)]
    # The release before still makes clients.
    run(empty_url, "insert into clients (organization_id, name) select id, 'N' from organizations")


def test_what_entries_tell_can_be_taken_away_and_nothing_else(empty_url: str) -> None:
    upgrade_to(empty_url, "0019")
    make_old_experiment(empty_url)
    run(empty_url, ENTRY, "api")

    upgrade_to(empty_url, "0020")

    assert run(empty_url, "select erase from clients") == [(False,)]
    change = "update audit_entries set token_id = 7, action = 'x', details = '{\"x\": 1}'"
    with pytest.raises(Exception, match="can only be added to"):
        run(empty_url, change)
    run(empty_url, f"set local tradeoff.forget_audit = 'on'; {change}")
    assert run(empty_url, "select token_id, action, details from audit_entries") == [
        (None, "client.create", {})
    ]

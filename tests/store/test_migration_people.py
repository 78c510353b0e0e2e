"""The migration that brings users and the life of tokens, from the step before with rows."""

from __future__ import annotations

import pytest

from tests.store.test_migration_projects import make_old_experiment
from tests.store.test_migrations import empty_url, run, upgrade_to

__all__ = ["empty_url"]

OLD_TOKEN = (
    "insert into tokens (client_id, hash, prefix, role) select id, %s, 'tdo_abcd', 'read' "
    "from clients"
)


def test_users_come_to_a_used_database(empty_url: str) -> None:
    upgrade_to(empty_url, "0013")
    make_old_experiment(empty_url)
    run(empty_url, OLD_TOKEN, b"old")

    upgrade_to(empty_url, "0014")

    assert run(empty_url, "select user_id, issued_by, replaced_by, lease_seconds from tokens") == [
        (None, None, None, None)
    ]
    # The release before still writes.
    run(empty_url, OLD_TOKEN, b"new")
    user = "insert into users (organization_id, name, email) select id, 'A', %s from organizations"
    run(empty_url, user, "a@x.org")
    with pytest.raises(Exception, match="ix_users_unique_email"):
        run(empty_url, user, "A@X.org")
    run(empty_url, "update users set deleted = true")
    run(empty_url, user, "A@X.org")
    permission = (
        "insert into permissions (client_id, user_id, role) "
        "select c.id, u.id, %s from clients c, users u where not u.deleted"
    )
    run(empty_url, permission, "read")
    with pytest.raises(Exception, match="ix_permissions_unique_user"):
        run(empty_url, permission, "admin")
    with pytest.raises(Exception, match="ck_permissions_role"):
        run(empty_url, "update permissions set role = 'owner'")

"""A client that is erased leaves nothing but that it was done."""

from __future__ import annotations

import base64
import hashlib

import pytest
from sqlalchemy import text

from tests.api.belongings import make_belongings
from tests.api.caller import Caller, ok, refusal
from tests.api.test_accounts import make_token
from tests.builders import make_admin
from tests.conftest import Account
from tradeoff.service import accounts, upkeep
from tradeoff.store import accounts as stored
from tradeoff.store import queue
from tradeoff.store.database import Database

MARK = "erase-me-7f31"
#: People belong to the organization, and not to one client of it.
NOT_OF_CLIENTS = {"users"}


@pytest.fixture
def doomed(api: Caller, shared: Database) -> Caller:
    """An administrator of another client in the organization of `api`, which has a bit of all."""
    with shared.transaction() as session:
        organization = stored.get_client(session, api.client_id).organization_id
        client, _ = accounts.create_client(session, name=MARK, organization_id=organization)
    account = Account(client.id, "", "")
    return Caller(api.http, make_admin(shared, account), client.id)


def tables_that_tell(shared: Database, word: str) -> set[str]:
    """The tables, the queue's as well, with a row in which a word stands, also as bytes."""
    with shared.transaction() as session:
        names = session.execute(
            text(
                "select schemaname || '.' || tablename from pg_tables "
                "where schemaname in ('public', 'jobs')"
            )
        ).scalars()
        return {
            name.removeprefix("public.")
            for name in names
            if session.scalar(
                text(f"select exists (select from {name} t where t::text ~ :either)"),
                {"either": f"{word}|{word.encode().hex()}"},
            )
        }


def test_nothing_is_left_of_an_erased_client(api: Caller, doomed: Caller, shared: Database) -> None:
    admin = make_token(shared, api, role="admin")
    owned = make_belongings(doomed, mark=MARK)
    own = make_belongings(admin, mark="stays")
    content = MARK.encode()
    run = f"/v1/training_runs/{owned['training_run']}"
    file = ok(
        doomed.post(
            f"{run}/files",
            {
                "name": MARK,
                "content_type": "text/plain",
                "content_length": len(content),
                "content_md5": base64.b64encode(
                    hashlib.md5(content, usedforsecurity=False).digest()
                ).decode(),
            },
        )
    )
    uploaded = doomed.http.put(file["upload"]["url"], content=content)
    assert uploaded.status_code == 200, uploaded.text
    experiment = f"/v1/experiments/{owned['experiment']}"
    ok(doomed.put(experiment, {"metadata": {"changed": MARK}}, headers={"Idempotency-Key": "k"}))
    ok(doomed.post(f"{experiment}/tokens"))
    with shared.transaction() as session:
        queue.defer_refresh(session, int(owned["experiment"]), client_id=doomed.client_id)
    told = tables_that_tell(shared, MARK)
    assert {
        "clients",
        "experiments",
        "observations",
        "idempotency_keys",
        "audit_entries",
        "file_contents",
    } <= told
    before = len(ok(admin.get("/v1/experiments"))["data"])

    ok(admin.delete(f"/v1/clients/{doomed.client_id}", erase=True))

    refused = doomed.get("/v1/tokens/self")
    assert refusal(refused, 403)
    refusal(admin.get(f"/v1/clients/{doomed.client_id}/permissions"), 404)
    upkeep.do_once(shared)
    assert tables_that_tell(shared, MARK) <= NOT_OF_CLIENTS
    with shared.transaction() as session:
        for name, column in session.execute(
            text(
                "select table_name, column_name from information_schema.columns "
                "where table_schema = 'public' and column_name in ('client_id', 'experiment_id') "
                "and table_name <> 'audit_entries'"
            )
        ):
            of = doomed.client_id if column == "client_id" else owned["experiment"]
            left = session.scalar(
                text(f"select count(*) from {name} where {column} = :number"), {"number": of}
            )
            assert left == 0, name
        keys = "select count(*) from idempotency_keys where token_id not in (select id from tokens)"
        assert not session.scalar(text(keys))
        waiting = "select count(*) from jobs.procrastinate_jobs where args ->> 'client_id' = :own"
        assert not session.scalar(text(waiting), {"own": str(doomed.client_id)})
    organization = ok(admin.get("/v1/tokens/self"))["organization"]
    log = ok(admin.get(f"/v1/organizations/{organization}/audit_log", client=doomed.client_id))[
        "data"
    ]
    assert log[0]["action"] == "client.erase"
    assert {(str(each["details"]), each["address"]) for each in log} == {("{}", None)}
    # Others have all of theirs.
    assert len(ok(admin.get("/v1/experiments"))["data"]) == before
    ok(admin.get(f"/v1/experiments/{own['experiment']}/observations/{own['observation']}"))


def test_nobody_erases_the_client_that_he_acts_for(doomed: Caller, shared: Database) -> None:
    refused = doomed.delete(f"/v1/clients/{doomed.client_id}", erase=True)

    assert "of another client" in refusal(refused)
    upkeep.do_once(shared)
    ok(doomed.get("/v1/tokens/self"))


def test_a_client_that_is_only_deleted_keeps_what_it_has(
    api: Caller, doomed: Caller, shared: Database
) -> None:
    doomed.single(name=MARK)
    admin = make_token(shared, api, role="admin")

    ok(admin.delete(f"/v1/clients/{doomed.client_id}"))

    upkeep.do_once(shared)
    assert "experiments" in tables_that_tell(shared, MARK)

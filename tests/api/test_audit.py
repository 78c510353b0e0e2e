"""Who changed what: what is written down, who reads it, and what is never in it."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from sqlalchemy import text

from tests.api.caller import Caller, ok, path_of, refusal
from tests.api.test_accounts import make_token
from tradeoff.service import accounts, upkeep
from tradeoff.service.retention import Retention
from tradeoff.store import accounts as stored
from tradeoff.store.database import Database


@pytest.fixture
def admin(api: Caller, shared: Database) -> Caller:
    """An administrator of the client."""
    return make_token(shared, api, role="admin")


def log_of(admin: Caller, **query: Any) -> list[dict[str, Any]]:
    organization = ok(admin.get("/v1/tokens/self"))["organization"]
    found: list[dict[str, Any]] = ok(
        admin.get(f"/v1/organizations/{organization}/audit_log", **query)
    )["data"]
    return found


def test_a_changed_experiment_tells_what_was_before_and_after(api: Caller, admin: Caller) -> None:
    path = path_of(api.experiment())
    own = ok(api.get("/v1/tokens/self"))["id"]
    ok(api.put(path, {"metrics": [{"name": "accuracy", "threshold": 0.9}, {"name": "ms"}]}))
    ok(api.put(path, {"name": "renamed", "parameters": [{"name": "lr"}, {"name": "filters"}]}))
    ok(api.put(path, {"name": "renamed"}))
    ok(api.delete(f"{path}/observations"))
    ok(api.delete(path))

    entries = log_of(admin, kind="experiment", object_id=path.rpartition("/")[2])

    assert [entry["action"] for entry in entries] == [
        "experiment.delete",
        "observations.delete_all",
        "experiment.update",
        "experiment.update",
    ]
    assert {(entry["token"], entry["origin"], entry["client"]) for entry in entries} == {
        (own, "api", str(api.client_id))
    }
    assert entries[0]["address"] == "127.0.0.1"
    threshold = entries[3]["details"].pop("metric accuracy")
    assert (threshold["from"]["threshold"], threshold["to"]["threshold"]) == (None, 0.9)
    assert entries[3]["details"] == {}
    assert entries[2]["details"]["name"] == {"from": "diatoms", "to": "renamed"}
    assert entries[2]["details"]["parameter act"]["to"] is None


def test_a_refused_change_leaves_no_entry(api: Caller, admin: Caller) -> None:
    path = path_of(api.experiment())
    before = log_of(admin)

    refusal(api.put(path, {"metrics": [{"name": "accuracy", "objective": "minimize"}]}))
    refusal(api.put(path, {"name": "x", "project": "nowhere"}))

    assert log_of(admin) == before


def test_tokens_clients_and_users_are_followed_and_no_secret_is_kept(
    api: Caller, admin: Caller, shared: Database
) -> None:
    made = ok(admin.post(f"/v1/clients/{api.client_id}/tokens", {"lease_length": 3600}))
    ok(admin.put(f"/v1/tokens/{made['id']}", {"expires": "renew"}))
    fresh = ok(admin.put(f"/v1/tokens/{made['id']}", {"token": "rotate"}))
    ok(admin.delete(f"/v1/tokens/{fresh['id']}"))
    client = ok(admin.post("/v1/clients", {"name": "vision"}))["id"]
    ok(admin.put(f"/v1/clients/{client}", {"name": "touch"}))
    user = ok(admin.post("/v1/users", {"name": "Ada", "email": "ada@x.org"}))["id"]
    ok(admin.put(f"/v1/users/{user}", {"email": "lovelace@x.org"}))
    ok(admin.post(f"/v1/users/{user}/permissions", {"client": client, "role": "read"}))
    ok(admin.delete(f"/v1/users/{user}"))
    ok(admin.delete(f"/v1/clients/{client}"))

    own = ok(admin.get("/v1/tokens/self"))["id"]
    told = [(each["action"], each["object_id"]) for each in log_of(admin) if each["token"] == own]

    assert told == [
        ("client.delete", client),
        ("user.delete", user),
        ("user.permit", user),
        ("user.update", user),
        ("user.create", user),
        ("client.update", client),
        ("client.create", client),
        ("token.revoke", fresh["id"]),
        ("token.rotate", made["id"]),
        ("token.create", fresh["id"]),
        ("token.renew", made["id"]),
        ("token.create", made["id"]),
    ]
    with shared.transaction() as session:
        dump = session.scalar(text("select string_agg(a::text, ' ') from audit_entries a"))
    for hidden in (made["token"], fresh["token"], "ada@x.org", "lovelace@x.org", "Ada"):
        assert hidden not in dump


def test_what_the_operator_does_says_so(admin: Caller, shared: Database) -> None:
    (entry,) = log_of(admin, action="token.create", object_id=own_id(admin))

    assert (entry["origin"], entry["token"], entry["address"]) == ("command", None, None)
    assert entry["details"] == {"role": "admin"}


def own_id(caller: Caller) -> str:
    found: str = ok(caller.get("/v1/tokens/self"))["id"]
    return found


def test_an_administrator_beside_sees_administration_and_no_work(
    api: Caller, admin: Caller, shared: Database
) -> None:
    ok(api.put(path_of(api.experiment()), {"name": "of the client alone"}))
    with shared.transaction() as session:
        organization = stored.get_client(session, api.client_id).organization_id
        client, _ = accounts.create_client(session, name="beside", organization_id=organization)
        _, secret = accounts.create_token(session, client_id=client.id, role="admin")
    beside = Caller(api.http, secret, client.id)

    assert "experiment.update" in {each["action"] for each in log_of(admin)}
    assert {each["kind"] for each in log_of(beside)} == {"client", "token"}
    assert {each["client"] for each in log_of(beside, client=api.client_id)} == {str(api.client_id)}


def test_the_log_has_pages_and_filters(api: Caller, admin: Caller) -> None:
    for _ in range(3):
        ok(api.post(f"{path_of(api.single())}/tokens"))
    organization = ok(admin.get("/v1/tokens/self"))["organization"]
    address = f"/v1/organizations/{organization}/audit_log"

    first = ok(admin.get(address, limit=2, action="token.create"))
    second = ok(
        admin.get(address, limit=2, action="token.create", before=first["paging"]["before"])
    )

    # The client's first two, the administrator's, and the guests'.
    assert first["count"] == 6
    ids = [int(each["id"]) for each in first["data"] + second["data"]]
    assert len(ids) == 4
    assert ids == sorted(ids, reverse=True)
    created = first["data"][0]["created"]
    assert log_of(admin, since=created + 3600) == []
    assert log_of(admin, until=created - 3600) == []
    assert len(log_of(admin, since=created - 3600, until=created + 3600)) == 7
    assert "action" in refusal(admin.get(address, action=""))
    assert "since" in refusal(admin.get(address, since="yesterday"))


def test_old_entries_are_forgotten_when_told_and_others_stay(
    api: Caller, admin: Caller, shared: Database
) -> None:
    old = (
        "insert into audit_entries (created, organization_id, origin, action, kind, object_id, "
        "details) select now() - interval '31 days', organization_id, 'api', 'old.entry', 'x', 1, "
        "'{}' from clients where id = :client"
    )
    with shared.transaction() as session:
        session.execute(text(old), {"client": api.client_id})
    entries = log_of(admin)

    upkeep.do_once(shared)
    assert log_of(admin) == entries
    upkeep.do_once(shared, kept=Retention(audit=datetime.timedelta(days=32)))
    assert log_of(admin) == entries
    upkeep.do_once(shared, kept=Retention(audit=datetime.timedelta(days=30)))

    assert log_of(admin) == [each for each in entries if each["action"] != "old.entry"]
    assert len(log_of(admin)) == len(entries) - 1


def test_a_long_change_is_told_by_its_names(api: Caller, admin: Caller) -> None:
    path = path_of(api.experiment())
    ok(api.put(path, {"metadata": {f"key {i}": "x" * 500 for i in range(100)}}))

    (entry,) = log_of(admin, kind="experiment", object_id=path.rpartition("/")[2])

    assert entry["details"] == {"too_long": True, "names": ["metadata"]}

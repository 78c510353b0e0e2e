"""Clients, users and tokens, for an administrator; and what others may do with their own."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from tests.api.caller import Caller, ok, path_of, refusal
from tests.api.test_accounts import make_token
from tradeoff.store.database import Database

DAY = 24 * 3600


@pytest.fixture
def admin(api: Caller, shared: Database) -> Caller:
    """An administrator of the client."""
    return make_token(shared, api, role="admin")


def tokens_of(api: Caller) -> str:
    return f"/v1/clients/{api.client_id}/tokens"


def organization_of(api: Caller) -> str:
    return f"/v1/organizations/{ok(api.get('/v1/tokens/self'))['organization']}"


# --- Tokens --------------------------------------------------------------------------------------


def test_an_administrator_makes_tokens_and_their_secret_is_shown_once(
    api: Caller, admin: Caller
) -> None:
    made = ok(admin.post(tokens_of(api), {"role": "read", "name": "dashboards"}))

    assert (made["token_type"], made["permissions"], made["role"]) == ("client-api", "read", "read")
    assert (made["name"], made["expires"], made["lease_length"]) == ("dashboards", None, None)
    reader = api.as_token(made["token"])
    assert ok(reader.get("/v1/tokens/self")) == made
    refusal(reader.post("/v1/experiments", {}), 403)
    again = ok(admin.get(f"/v1/tokens/{made['id']}"))
    assert again == {**made, "token": made["token"][:12]}
    assert ok(admin.get(f"/v1/tokens/{made['token'][:12]}")) == again
    listed = ok(admin.get(tokens_of(api)))
    # The client's first two, the administrator's, the reader's.
    assert listed["count"] == 4
    assert again in listed["data"]
    shown = {token["token"] for token in listed["data"]}
    assert admin.token in shown
    assert all(len(token) == 12 for token in shown - {admin.token})


def test_a_token_sees_itself_and_what_it_made(api: Caller, admin: Caller) -> None:
    guest = ok(api.post(f"{path_of(api.single())}/tokens"))

    listed = ok(api.get(tokens_of(api)))["data"]

    assert [token["id"] for token in listed] == [
        guest["id"],
        ok(api.get("/v1/tokens/self"))["id"],
    ]
    assert listed[0]["token"] == guest["token"][:12]
    ok(api.get(f"/v1/tokens/{guest['id']}"))
    hidden = ok(admin.get("/v1/tokens/self"))["id"]
    missing = refusal(api.get("/v1/tokens/8000000000"), 404)
    for which in (hidden, admin.token, admin.token[:12], api.development_token):
        assert refusal(api.get(f"/v1/tokens/{which}"), 404) == missing
        assert refusal(api.put(f"/v1/tokens/{which}", {"token": "rotate"}), 404) == missing
        assert refusal(api.delete(f"/v1/tokens/{which}"), 404) == missing


def test_rotation_gives_a_new_secret_and_the_old_one_goes_on_for_a_day(
    api: Caller, admin: Caller
) -> None:
    made = ok(admin.post(tokens_of(api), {"name": "fleet"}))
    old = api.as_token(made["token"])

    fresh = ok(old.put("/v1/tokens/self", {"token": "rotate"}))

    new = api.as_token(fresh["token"])
    assert fresh["token"] != made["token"]
    assert (fresh["name"], fresh["role"], fresh["expires"]) == ("fleet", "write", None)
    ok(new.post("/v1/experiments", {"name": "x", "parameters": PARAMETERS}))
    ok(old.post("/v1/experiments", {"name": "x", "parameters": PARAMETERS}))
    ending = ok(old.get("/v1/tokens/self"))["expires"]
    assert abs(ending - time.time() - DAY) < 60
    # Whoever found the old one can do nothing to stay.
    refusal(old.put("/v1/tokens/self", {"token": "rotate"}), 409)
    refusal(admin.put(f"/v1/tokens/{made['id']}", {"lasts_forever": True}), 409)
    assert ok(new.delete(f"/v1/tokens/{fresh['id']}")) == {}
    refused = new.get("/v1/tokens/self")
    assert refusal(refused, 403)
    assert refused.json()["token_status"] == "revoked"


def test_of_two_rotations_at_once_one_wins(api: Caller, admin: Caller) -> None:
    made = ok(admin.post(tokens_of(api)))
    address = f"/v1/tokens/{made['id']}"

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: admin.put(address, {"token": "rotate"}), range(4)))

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    listed = ok(admin.get(tokens_of(api)))["data"]
    assert len([token for token in listed if int(token["id"]) > int(made["id"])]) == 1


def test_what_a_rotated_token_made_belongs_to_the_new_one(api: Caller) -> None:
    guest = ok(api.post(f"{path_of(api.single())}/tokens"))

    fresh = ok(api.put("/v1/tokens/self", {"token": "rotate"}))

    new = api.as_token(fresh["token"])
    ok(new.delete(f"/v1/tokens/{guest['id']}"))
    refusal(api.as_token(guest["token"]).get("/v1/experiments"), 403)


def test_root_tokens_are_rotated_and_not_deleted(api: Caller, admin: Caller) -> None:
    for caller in (api, admin):
        assert "root token" in refusal(caller.delete("/v1/tokens/self"), 403)
    fresh = ok(api.put("/v1/tokens/self", {"token": "rotate"}))
    assert "root token" in refusal(api.as_token(fresh["token"]).delete("/v1/tokens/self"), 403)
    # The old one has an end by now.
    assert ok(api.delete("/v1/tokens/self")) == {}
    refusal(api.get("/v1/tokens/self"), 403)


def test_leases_are_renewed_by_others_alone(api: Caller, admin: Caller) -> None:
    made = ok(admin.post(tokens_of(api), {"lease_length": 3600}))
    leased = api.as_token(made["token"])
    address = f"/v1/tokens/{made['id']}"
    assert (made["lease_length"], made["expires"] - made["created"]) == (3600, 3600)

    for change in ({"expires": "renew"}, {"lasts_forever": True}):
        answer = leased.put("/v1/tokens/self", change)
        assert "prolong" in refusal(answer, 403)
        assert answer.json()["token_status"] == "invalid_permissions"

    assert ok(admin.put(address, {"expires": "renew"}))["expires"] >= made["expires"]
    assert ok(admin.put(address, {"lasts_forever": True}))["expires"] is None
    again = ok(admin.put(address, {"lasts_forever": False}))["expires"]
    assert abs(again - time.time() - 3600) < 60
    assert "no lease" in refusal(admin.put("/v1/tokens/self", {"expires": "renew"}), 403)
    assert ok(admin.put("/v1/tokens/self", {"lasts_forever": False}))["expires"] is None


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"token": "tdo_mine"}, "token: must be 'rotate'"),
        ({"token": 1}, "token: "),
        ({"expires": "never"}, "expires: must be 'renew'"),
        ({"lasts_forever": "yes"}, "lasts_forever: must be true or false"),
        ({"role": "admin"}, "role: unknown key"),
    ],
)
def test_updates_of_tokens_that_cannot_be(api: Caller, body: dict[str, Any], told: str) -> None:
    assert told in refusal(api.put("/v1/tokens/self", body))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"role": "root"}, "role: "),
        ({"lease_length": 1}, "lease_length: must be a whole number of seconds from 60"),
        ({"lease_length": True}, "lease_length: "),
        ({"experiment": 8_000_000_000}, "experiment: there is no experiment 8000000000"),
        ({"user": 8_000_000_000}, "user: there is no user 8000000000"),
        ({"name": ""}, "name: "),
        ({"expires": 5}, "expires: unknown key"),
    ],
)
def test_tokens_that_cannot_be_made(
    api: Caller, admin: Caller, body: dict[str, Any], told: str
) -> None:
    assert told in refusal(admin.post(tokens_of(api), body))


def test_a_retried_request_makes_one_token_and_keeps_no_secret(
    api: Caller, admin: Caller, shared: Database
) -> None:
    headers = {"Idempotency-Key": "make-one"}

    first = ok(admin.post(tokens_of(api), {}, headers=headers))
    second = ok(admin.post(tokens_of(api), {}, headers=headers))
    guest = ok(api.post(f"{path_of(api.single())}/tokens", headers=headers))
    rotated = ok(api.put("/v1/tokens/self", {"token": "rotate"}, headers=headers | TWO))

    assert second == {**first, "token": first["token"][:12]}
    secrets = [first["token"], guest["token"], rotated["token"], api.token, admin.token]
    with shared.transaction() as session:
        tables = session.execute(
            text("select table_name from information_schema.tables where table_schema = 'public'")
        ).scalars()
        for table in tables:
            rows = session.execute(text(f'select * from "{table}"')).all()
            kept = b"\n".join(_bytes(value) for row in rows for value in row)
            for secret in secrets:
                assert secret.encode() not in kept, table


TWO = {"Idempotency-Key": "make-two"}
PARAMETERS = [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}]


def _bytes(value: Any) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


# --- Who may administer --------------------------------------------------------------------------


def test_what_takes_an_administrator(api: Caller, admin: Caller, shared: Database) -> None:
    user = ok(admin.post("/v1/users", {"name": "Ada", "email": "ada@x.org"}))["id"]
    bound = make_token(shared, api, role="admin", experiment_id=int(api.single()["id"]))
    developer = make_token(shared, api, role="admin", development=True)
    client, organization = f"/v1/clients/{api.client_id}", organization_of(api)

    for caller in (api, bound, developer):
        for answer in (
            caller.post(tokens_of(api)),
            caller.post("/v1/clients", {"name": "x"}),
            caller.put(client, {"name": "x"}),
            caller.delete(client),
            caller.get(f"{client}/permissions"),
            caller.get(f"{organization}/clients"),
            caller.post(f"{organization}/clients", {"name": "x"}),
            caller.get(f"{organization}/memberships"),
            caller.get(f"{organization}/permissions"),
            caller.post("/v1/users", {"name": "x", "email": "x@x.org"}),
        ):
            refusal(answer, 403)
            assert answer.json()["token_status"] == "invalid_permissions"
    # A user is hidden from those who neither are it nor administer.
    for answer in (
        api.get(f"/v1/users/{user}"),
        api.put(f"/v1/users/{user}", {}),
        api.delete(f"/v1/users/{user}"),
        api.post(f"/v1/users/{user}/permissions", {}),
    ):
        refusal(answer, 404)
    assert ok(api.get(client))["name"] == "Acme"


# --- Clients -------------------------------------------------------------------------------------


def test_clients_of_an_organization(api: Caller, admin: Caller) -> None:
    organization = organization_of(api)

    first = ok(admin.post("/v1/clients", {"name": "vision"}))
    second = ok(admin.post(f"{organization}/clients", {"name": "speech", "client_security": None}))

    assert first["organization"] == organization.rpartition("/")[2]
    listed = ok(admin.get(f"{organization}/clients"))
    assert [each["name"] for each in listed["data"]] == ["speech", "vision", "Acme"]
    secret = ok(admin.post(f"/v1/clients/{second['id']}/tokens"))
    speech = Caller(api.http, secret["token"], int(second["id"]))
    hidden = path_of(speech.single())
    # Administering is no way to the experiments of another client.
    refusal(admin.get(hidden), 404)
    refusal(admin.get(f"/v1/clients/{second['id']}"), 404)
    refusal(admin.get(f"/v1/clients/{second['id']}/experiments"), 404)
    assert ok(admin.put(f"/v1/clients/{second['id']}", {"name": "audio"}))["name"] == "audio"
    ok(admin.put(f"/v1/tokens/{secret['id']}", {"token": "rotate"}))

    assert ok(admin.delete(f"/v1/clients/{second['id']}")) == {}

    gone = speech.get(hidden)
    assert refusal(gone, 403)
    assert gone.json()["token_status"] == "revoked"
    refusal(admin.put(f"/v1/clients/{second['id']}", {"name": "x"}), 404)
    assert ok(admin.get(f"{organization}/clients"))["count"] == 2


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "name: "),
        ({"name": " "}, "name: "),
        ({"name": "x", "plan": 1}, "plan: unknown key"),
        (
            {"name": "x", "client_security": {"allow_users_to_see_experiments_by_others": False}},
            "must be true",
        ),
        ({"name": "x", "client_security": 5}, "client_security: must be an object"),
        ({"name": "x", "client_security": {"a": 1}}, "unknown key"),
    ],
)
def test_clients_that_cannot_be(admin: Caller, body: dict[str, Any], told: str) -> None:
    assert told in refusal(admin.post("/v1/clients", body))


# --- Users ---------------------------------------------------------------------------------------


def test_users_and_what_they_may_do(api: Caller, admin: Caller) -> None:
    body = {"name": "Ada", "email": "Ada@example.com", "role": "write"}

    user = ok(admin.post("/v1/users", body))

    address = f"/v1/users/{user['id']}"
    assert (user["object"], user["name"], user["email"]) == ("user", "Ada", "Ada@example.com")
    assert ok(admin.get(address)) == user
    (permission,) = ok(admin.get(f"{address}/permissions"))["data"]
    assert (permission["user"], permission["client"]["id"]) == (user, str(api.client_id))
    assert [permission[f"can_{what}"] for what in ("read", "write", "admin")] == [True, True, False]
    assert ok(admin.get(f"/v1/clients/{api.client_id}/permissions"))["data"] == [permission]
    assert ok(admin.get(f"{organization_of(api)}/permissions"))["data"] == [permission]
    (membership,) = ok(admin.get(f"{address}/memberships"))["data"]
    assert (membership["type"], membership["user"]) == ("member", user)
    assert ok(admin.get(f"{organization_of(api)}/memberships"))["data"] == [membership]
    assert "already" in refusal(admin.post("/v1/users", {**body, "email": "ada@EXAMPLE.com"}), 409)
    changed = ok(admin.put(address, {"email": "ada@example.org"}))
    assert changed == {**user, "email": "ada@example.org"}


def test_a_user_has_tokens_and_they_end_with_them(api: Caller, admin: Caller) -> None:
    user = ok(admin.post("/v1/users", {"name": "Ada", "email": "a@x.org", "role": "write"}))
    made = ok(admin.post(tokens_of(api), {"user": user["id"]}))
    ada = api.as_token(made["token"])

    assert made["user"] == user["id"]
    assert ok(ada.get("/v1/sessions"))["user"] == user
    assert ok(ada.get(f"/v1/users/{user['id']}")) == user
    assert ok(ada.put(f"/v1/users/{user['id']}", {"name": "Ada L."}))["name"] == "Ada L."
    refusal(ada.delete(f"/v1/users/{user['id']}"), 403)
    too_much = refusal(admin.post(tokens_of(api), {"user": user["id"], "role": "admin"}))
    assert f"user {user['id']} may write in client {api.client_id}, not admin" in too_much

    assert ok(admin.delete(f"/v1/users/{user['id']}")) == {}

    refusal(ada.get("/v1/sessions"), 403)
    refusal(admin.get(f"/v1/users/{user['id']}"), 404)
    # The address is free again.
    ok(admin.post("/v1/users", {"name": "Ada", "email": "a@x.org"}))


def test_less_permission_ends_the_tokens_that_had_more(api: Caller, admin: Caller) -> None:
    user = ok(admin.post("/v1/users", {"name": "Ada", "email": "a@x.org", "role": "read"}))
    address = f"/v1/users/{user['id']}/permissions"
    ok(admin.post(address, {"client": api.client_id, "role": "write"}))
    ada = api.as_token(ok(admin.post(tokens_of(api), {"user": user["id"]}))["token"])

    (left,) = ok(admin.post(address, {"client": api.client_id, "role": "read"}))["data"]

    assert left["role"] == "read"
    refusal(ada.get("/v1/sessions"), 403)
    assert ok(admin.post(address, {"client": api.client_id, "role": None}))["data"] == []
    nothing = refusal(admin.post(tokens_of(api), {"user": user["id"], "role": "read"}))
    assert "may do nothing" in nothing


def test_permissions_stay_in_the_organization(admin: Caller, other: Caller) -> None:
    user = ok(admin.post("/v1/users", {"name": "Ada", "email": "a@x.org"}))["id"]

    foreign = admin.post(f"/v1/users/{user}/permissions", {"client": other.client_id, "role": None})
    never = admin.post(f"/v1/users/{user}/permissions", {"client": 8_000_000_000, "role": None})

    assert refusal(foreign).replace(str(other.client_id), "") == refusal(never).replace(
        "8000000000", ""
    )


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"name": "x"}, "email: "),
        ({"email": "a@x.org"}, "name: "),
        ({"name": "x", "email": "nobody"}, "email: must be an address"),
        ({"name": "x", "email": "a@b@c"}, "email: must be an address"),
        ({"name": "x", "email": "a b@c"}, "email: must not contain spaces"),
        ({"name": "x", "email": 5}, "email: must be an address"),
        ({"name": "x", "email": "a@x.org", "role": "god"}, "role: "),
        ({"name": "x", "email": "a@x.org", "password": "hunter2"}, "no passwords here"),
    ],
)
def test_users_that_cannot_be(admin: Caller, body: dict[str, Any], told: str) -> None:
    answer = admin.post("/v1/users", body)

    assert told in refusal(answer)
    assert "hunter2" not in answer.text

"""Sessions, organizations and guest tokens: who is asking, and whom one lets in."""

from __future__ import annotations

import time

import pytest

from tests.api.caller import Caller, ok, path_of, refusal
from tests.api.test_accounts import make_token
from tradeoff.store.database import Database


def test_a_session_tells_who_is_asking(api: Caller) -> None:
    session = ok(api.get("/v1/sessions"))

    assert session == {
        "object": "session",
        "api_token": ok(api.get("/v1/tokens/self")),
        "client": ok(api.get(f"/v1/clients/{api.client_id}")),
        "user": None,
        "code": None,
        "needs_password_reset": False,
    }


@pytest.mark.parametrize("role", ["read", "write", "admin"])
def test_any_token_has_a_session(api: Caller, shared: Database, role: str) -> None:
    experiment = api.single()
    tokens = [
        make_token(shared, api, role=role),
        make_token(shared, api, role=role, experiment_id=int(experiment["id"])),
        api.as_token(api.development_token),
    ]

    for caller in tokens:
        session = ok(caller.get("/v1/sessions"))
        assert session["client"]["id"] == str(api.client_id)
        assert session["api_token"]["token"] == caller.token


def test_an_organization_is_fetched_and_listed(api: Caller, other: Caller) -> None:
    number = ok(api.get("/v1/tokens/self"))["organization"]

    organization = ok(api.get(f"/v1/organizations/{number}"))

    assert organization == {
        "object": "organization",
        "id": number,
        "name": "Acme",
        "created": organization["created"],
        "academic": False,
        "email_domains": [],
        "client_for_email_signup": None,
        "allow_signup_from_email_domains": False,
        "optimized_runs_in_billing_cycle": 0,
        "total_runs_in_billing_cycle": 0,
        "data_storage_bytes": 0,
    }
    assert ok(api.get("/v1/organizations"))["data"] == [organization]
    refusal(other.get(f"/v1/organizations/{number}"), 404)
    refusal(api.get("/v1/organizations/x"), 404)


def test_a_guest_reads_one_experiment_for_thirty_days(api: Caller) -> None:
    experiment, another = api.single(), api.single()
    path = path_of(experiment)
    api.observe(path, assignments={"x": 0.5}, value=1)

    token = ok(api.post(f"{path}/tokens"))

    assert token["token_type"] == "guest"
    assert (token["permissions"], token["scope"]) == ("read", "shared_experiment")
    assert (token["experiment"], token["client"]) == (experiment["id"], experiment["client"])
    assert token["all_experiments"] is False
    assert abs(token["expires"] - time.time() - 30 * 24 * 3600) < 60
    guest = api.as_token(token["token"])
    assert ok(guest.get(path)) == ok(api.get(path))
    assert ok(guest.get(f"{path}/observations"))["count"] == 1
    assert ok(guest.get("/v1/tokens/self")) == token
    refusal(guest.get(path_of(another)), 404)
    refusal(guest.post(f"{path}/observations", {"assignments": {"x": 1}, "value": 1}), 403)
    refusal(guest.post(f"{path}/tokens"), 403)
    refusal(guest.get(f"/v1/clients/{api.client_id}/projects"), 403)
    refusal(guest.get("/v1/organizations"), 403)
    assert [row["id"] for row in ok(guest.get("/v1/experiments"))["data"]] == [experiment["id"]]


def test_who_may_let_guests_in(api: Caller, other: Caller, shared: Database) -> None:
    path = path_of(api.single())
    developer = api.as_token(api.development_token)
    of_developer = path_of(developer.single())

    assert "unknown key" in refusal(api.post(f"{path}/tokens", {"role": "write"}))
    refusal(make_token(shared, api, role="read").post(f"{path}/tokens"), 403)
    refusal(developer.post(f"{of_developer}/tokens"), 403)
    refusal(other.post(f"{path}/tokens"), 404)

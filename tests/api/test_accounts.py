from __future__ import annotations

import datetime

from tests.api.caller import Caller, ok, path_of, refusal
from tradeoff.service import accounts
from tradeoff.store.database import Database


def make_token(database: Database, api: Caller, **options: object) -> Caller:
    """A further token of a client."""
    with database.transaction() as session:
        _, secret = accounts.create_token(
            session,
            client_id=api.client_id,
            **options,  # type: ignore[arg-type]  # whatever the test wants
        )
    return api.as_token(secret)


def test_a_token_describes_itself(api: Caller) -> None:
    shown = ok(api.get("/v1/tokens/self"))

    assert shown["object"] == "token"
    assert shown["token"] == api.token
    assert shown["client"] == str(api.client_id)
    assert shown["token_type"] == "client-api"
    assert shown["permissions"] == "write"
    assert shown["scope"] == "all_endpoints"
    assert shown["all_experiments"] is True
    assert shown["development"] is False
    for key in ("user", "experiment", "training_run", "expires", "lease_length"):
        assert shown[key] is None
    assert ok(api.get(f"/v1/tokens/{api.token}")) == shown


def test_a_development_token_says_so(api: Caller) -> None:
    shown = ok(api.as_token(api.development_token).get("/v1/tokens/self"))

    assert (shown["token_type"], shown["development"]) == ("client-dev", True)


def test_another_token_is_unknown(api: Caller, other: Caller) -> None:
    missing = refusal(api.get("/v1/tokens/tdo_nothing"), 404)

    assert refusal(api.get(f"/v1/tokens/{other.token}"), 404) == missing


def test_bearer_works_as_basic_does(api: Caller) -> None:
    headers = {"Authorization": f"Bearer {api.token}"}

    assert ok(api.http.get("/v1/tokens/self", headers=headers))["token"] == api.token


def test_no_token_is_401_and_an_unknown_one_403(api: Caller) -> None:
    refusal(api.http.get("/v1/experiments"), 401)
    unknown = api.as_token("tdo_nothing").get("/v1/experiments")
    assert refusal(unknown, 403)
    assert unknown.json()["token_status"] == "revoked"
    assert "tdo_nothing" not in unknown.text


def test_a_revoked_token_ends_at_once(api: Caller, shared: Database) -> None:
    token = make_token(shared, api)
    assert ok(token.get("/v1/experiments"))
    with shared.transaction() as session:
        from tradeoff.service import access

        accounts.revoke_token(session, access.authenticate(session, token.token).token_id)

    answer = token.get("/v1/experiments")

    assert answer.status_code == 403
    assert answer.json()["token_status"] == "revoked"


def test_an_expired_token_says_so(api: Caller, shared: Database) -> None:
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)

    answer = make_token(shared, api, expires=past).get("/v1/experiments")

    assert answer.status_code == 403
    assert answer.json()["token_status"] == "expired"


def test_a_reading_token_reads_and_changes_nothing(api: Caller, shared: Database) -> None:
    reader = make_token(shared, api, role="read")
    created = api.single()
    path = path_of(created)
    suggestion = ok(api.post(f"{path}/suggestions"))["id"]
    observation = api.observe(path, assignments={"x": 0.5}, value=1)["id"]
    before = ok(reader.get(path))

    assert ok(reader.get("/v1/tokens/self"))["permissions"] == "read"
    for answer in (
        reader.post("/v1/experiments", {"nonsense": 1}),
        reader.post(f"/v1/clients/{api.client_id}/experiments"),
        reader.put(path, {"name": "x"}),
        reader.delete(path),
        reader.post(f"{path}/suggestions"),
        reader.put(f"{path}/suggestions/{suggestion}", {}),
        reader.delete(f"{path}/suggestions/{suggestion}"),
        reader.delete(f"{path}/suggestions"),
        reader.post(f"{path}/observations", {}),
        reader.post(f"{path}/observations/batch", {}),
        reader.put(f"{path}/observations/{observation}", {}),
        reader.delete(f"{path}/observations/{observation}"),
        reader.delete(f"{path}/observations"),
    ):
        refusal(answer, 403)
        assert answer.json()["token_status"] == "invalid_permissions"
    assert ok(reader.get(path)) == before


def test_a_token_bound_to_an_experiment_reaches_it_alone(api: Caller, shared: Database) -> None:
    mine, hidden = api.single(), api.single()
    bound = make_token(shared, api, experiment_id=int(mine["id"]))

    assert ok(bound.get(path_of(mine)))["id"] == mine["id"]
    ok(bound.post(f"{path_of(mine)}/suggestions"))
    refusal(bound.get(path_of(hidden)), 404)
    refusal(bound.post("/v1/experiments", {}), 403)
    assert [each["id"] for each in ok(bound.get("/v1/experiments"))["data"]] == [mine["id"]]
    shown = ok(bound.get("/v1/tokens/self"))
    assert (shown["experiment"], shown["scope"]) == (mine["id"], "shared_experiment")
    assert shown["token_type"] == "guest"


def test_a_client_describes_itself(api: Caller) -> None:
    shown = ok(api.get(f"/v1/clients/{api.client_id}"))

    assert shown["object"] == "client"
    assert (shown["id"], shown["name"]) == (str(api.client_id), "Acme")
    assert shown["client_security"]["allow_users_to_see_experiments_by_others"] is True
    assert set(ok(api.get(f"/v1/clients/{api.client_id}", fields="id,name"))) == {"id", "name"}
    whole = ok(api.get(f"/v1/clients/{api.client_id}"))
    for nothing in ("", " ", ",", "\x1f"):
        assert ok(api.get(f"/v1/clients/{api.client_id}", fields=nothing)) == whole

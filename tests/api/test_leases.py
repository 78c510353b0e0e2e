from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import text

from tests.api.caller import Caller, ok, path_of, refusal, values
from tradeoff.service import accounts, upkeep
from tradeoff.store.database import Database

GPU = {"worker_id": "gpu-3", "lease_seconds": 60}


@pytest.fixture
def path(api: Caller) -> str:
    return path_of(api.experiment())


def run_out(shared: Database, suggestion: dict[str, Any]) -> None:
    """Let the lease of a suggestion be over."""
    with shared.transaction() as session:
        session.execute(
            text("update suggestions set lease_expires = now() - interval '1s' where id = :id"),
            {"id": suggestion["id"]},
        )


def held(api: Caller, path: str, suggestion: dict[str, Any]) -> dict[str, Any]:
    return ok(api.get(f"{path}/suggestions/{suggestion['id']}"))


def test_a_worker_gets_its_own_suggestion_back(api: Caller, path: str) -> None:
    first = ok(api.post(f"{path}/suggestions", GPU))
    again = ok(api.post(f"{path}/suggestions", {**GPU, "metadata": {"pid": 2}}))
    other = ok(api.post(f"{path}/suggestions", {"worker_id": "gpu-4"}))
    plain = ok(api.post(f"{path}/suggestions"))

    assert (first["worker_id"], first["lease_seconds"], first["attempt"]) == ("gpu-3", 60.0, 0)
    assert first["lease_expires"] == pytest.approx(time.time() + 60, abs=20)
    assert again["lease_expires"] > first["lease_expires"]
    assert again["metadata"] == {"pid": 2}
    assert len({each["id"] for each in (first, again, other, plain)}) == 3
    assert (other["lease_seconds"], other["lease_expires"]) == (None, None)
    assert (plain["worker_id"], plain["state"]) == (None, "open")


def test_a_lapsed_suggestion_says_so_before_and_after_anybody_noted_it(
    api: Caller, path: str, shared: Database
) -> None:
    leased = ok(api.post(f"{path}/suggestions", GPU))
    ok(api.post(f"{path}/suggestions"))
    run_out(shared, leased)

    for _ in range(2):
        assert held(api, path, leased)["state"] == "lapsed"
        listed = ok(api.get(f"{path}/suggestions"))["data"]
        assert [each["state"] for each in listed] == ["open", "lapsed"]
        assert ok(api.get(f"{path}/suggestions", state="open"))["count"] == 1
        upkeep.do_once(shared)


def test_a_late_report_is_taken(api: Caller, path: str, shared: Database) -> None:
    leased = ok(api.post(f"{path}/suggestions", GPU))
    run_out(shared, leased)
    upkeep.do_once(shared)

    observed = api.observe(path, suggestion=leased["id"], values=values())

    assert observed["suggestion"] == leased["id"]
    assert held(api, path, leased)["state"] == "closed"


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_any_call_of_its_worker_renews(
    api: Caller, path: str, shared: Database, method: str
) -> None:
    leased = ok(api.post(f"{path}/suggestions", GPU))
    run_out(shared, leased)
    upkeep.do_once(shared)
    calls = {
        "GET": lambda headers: api.request("GET", path, headers=headers),
        "PUT": lambda headers: api.put(path, {"name": "renamed"}, headers=headers),
        "POST": lambda headers: api.post(
            f"{path}/observations",
            {"assignments": leased["assignments"] | {"lr": 0.5}, "values": values()},
            headers=headers,
        ),
    }

    ok(calls[method]({"Worker-Id": "gpu-4"}))
    assert held(api, path, leased)["state"] == "lapsed"
    ok(calls[method]({"Worker-Id": "gpu-3"}))

    renewed = held(api, path, leased)
    assert renewed["state"] == "open"
    assert renewed["lease_expires"] > leased["lease_expires"]


def test_a_call_that_fails_or_may_only_read_renews_nothing(
    api: Caller, path: str, shared: Database
) -> None:
    leased = ok(api.post(f"{path}/suggestions", GPU))
    run_out(shared, leased)
    with shared.transaction() as session:
        _, secret = accounts.create_token(session, client_id=api.client_id, role="read")
    reader = api.as_token(secret)

    ok(reader.request("GET", path, headers={"Worker-Id": "gpu-3"}))
    refusal(api.post(f"{path}/observations", {}, headers={"Worker-Id": "gpu-3"}))

    assert held(api, path, leased)["state"] == "lapsed"


def test_the_lease_of_one_suggestion_is_renewed_changed_and_given_up(
    api: Caller, path: str, shared: Database
) -> None:
    leased = ok(api.post(f"{path}/suggestions", {"lease_seconds": 60}))
    own = f"{path}/suggestions/{leased['id']}"
    run_out(shared, leased)

    longer = ok(api.put(own, {"lease_seconds": 600, "metadata": {"a": 1}}))
    forever = ok(api.put(own, {"lease_seconds": None}))

    assert (longer["state"], longer["lease_seconds"], longer["metadata"]) == ("open", 600, {"a": 1})
    assert longer["lease_expires"] > leased["lease_expires"]
    assert (forever["lease_seconds"], forever["lease_expires"]) == (None, None)
    assert ok(api.put(own, {"metadata": None}))["lease_seconds"] is None


def test_one_of_your_own_may_be_leased_as_well(api: Caller, path: str) -> None:
    tried = {"lr": 0.1, "filters": 9, "act": "relu"}

    opened = ok(api.post(f"{path}/suggestions", {**GPU, "assignments": tried}))

    assert (opened["source"], opened["worker_id"]) == ("user", "gpu-3")
    assert ok(api.post(f"{path}/suggestions", GPU))["id"] == opened["id"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"worker_id": ""}, "worker_id: must have 1 to 100 printable ASCII characters"),
        ({"worker_id": "x" * 101}, "worker_id: must have 1 to 100 printable ASCII characters"),
        ({"worker_id": " x"}, "worker_id: must have 1 to 100 printable ASCII characters"),
        ({"worker_id": "ü"}, "worker_id: must have 1 to 100 printable ASCII characters"),
        ({"worker_id": "a\nb"}, "worker_id: must have 1 to 100 printable ASCII characters"),
        ({"worker_id": 3}, "worker_id: must be a string"),
        ({"lease_seconds": 0}, "lease_seconds: must be between 1 and 604800 seconds, not 0"),
        ({"lease_seconds": 604801}, "lease_seconds: must be between 1 and 604800"),
        ({"lease_seconds": True}, "lease_seconds: must be a number"),
        ({"lease_seconds": "60"}, "lease_seconds: must be a number"),
    ],
)
def test_what_is_no_lease(standing: Caller, body: dict[str, Any], message: str) -> None:
    path = f"{path_of(standing.single())}/suggestions"

    assert message in refusal(standing.post(path, body))
    assert ok(standing.get(path))["count"] == 0


@pytest.mark.parametrize("name", ["x" * 101, "", "\xfc"])
def test_a_header_that_names_no_worker_is_refused(standing: Caller, name: str) -> None:
    headers = {"Worker-Id": name.encode("latin-1")}

    answer = standing.request("GET", "/v1/experiments", headers=headers)

    assert "Worker-Id: must have 1 to 100 printable ASCII characters" in refusal(answer)


def test_how_long_a_suggestion_is_waited_for_is_an_option(api: Caller, shared: Database) -> None:
    created = api.experiment(suggestion_ttl_seconds=3600)
    path = path_of(created)
    first = ok(api.post(f"{path}/suggestions", {"worker_id": "me"}))
    assert ok(api.post(f"{path}/suggestions", {"worker_id": "me"}))["id"] == first["id"]
    with shared.transaction() as session:
        session.execute(
            text("update suggestions set opened = now() - interval '2 hours' where id = :id"),
            {"id": first["id"]},
        )

    second = ok(api.post(f"{path}/suggestions", {"worker_id": "me"}))

    assert created["suggestion_ttl_seconds"] == 3600
    assert second["id"] != first["id"]
    assert ok(api.put(path, {"suggestion_ttl_seconds": None}))["suggestion_ttl_seconds"] is None
    assert api.observe(path, suggestion=first["id"], values=values())["suggestion"] == first["id"]
    for wrong in (0, -1, 1e10, True, "1"):
        message = refusal(api.put(path, {"suggestion_ttl_seconds": wrong}))
        assert message.startswith("suggestion_ttl_seconds: must be")


def test_a_transient_failure_is_told_and_its_configuration_comes_again(
    api: Caller, path: str
) -> None:
    first = ok(api.post(f"{path}/suggestions"))
    died = api.observe(path, suggestion=first["id"], failed=True, failure_kind="transient")
    bad = api.observe(path, suggestion=ok(api.post(f"{path}/suggestions", GPU))["id"], failed=True)
    good = api.observe(path, suggestion=ok(api.post(f"{path}/suggestions"))["id"], values=values())

    kinds = [each["failure_kind"] for each in (died, bad, good)]

    assert kinds == ["transient", "infeasible", None]
    again = ok(api.get(f"{path}/suggestions/{bad['suggestion']}"))
    assert (again["assignments"], again["attempt"]) == (first["assignments"], 1)
    progress = ok(api.get(path))["progress"]
    assert (progress["observation_count"], progress["observation_budget_consumed"]) == (3, 2.0)


def test_the_kind_of_a_failure_is_corrected(api: Caller, path: str) -> None:
    first = ok(api.post(f"{path}/suggestions"))
    observed = api.observe(path, suggestion=first["id"], failed=True)
    own = f"{path}/observations/{observed['id']}"

    assert ok(api.put(own, {"failure_kind": "transient"}))["failure_kind"] == "transient"
    assert ok(api.put(own, {"failure_kind": None}))["failure_kind"] == "transient"
    assert ok(api.post(f"{path}/suggestions"))["assignments"] == first["assignments"]
    measured = ok(api.put(own, {"failed": False, "values": values()}))
    assert (measured["failed"], measured["failure_kind"]) == (False, None)
    assert "failure_kind: only an observation with failed: true" in refusal(
        api.put(own, {"failure_kind": "infeasible"})
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"failure_kind": "transient"}, "failure_kind: only an observation with failed: true"),
        ({"failed": True, "failure_kind": "odd"}, "failure_kind: must be 'infeasible' or 'trans"),
    ],
)
def test_what_is_no_kind_of_failure(standing: Caller, body: dict[str, Any], message: str) -> None:
    path = f"{path_of(standing.single())}/observations"
    given = {"assignments": {"x": 0.5}, **({} if "failed" in body else {"value": 1}), **body}

    assert message in refusal(standing.post(path, given))


def test_a_report_without_a_key_that_is_sent_again_is_stored_once(api: Caller, path: str) -> None:
    suggestion = ok(api.post(f"{path}/suggestions"))["id"]
    body = {"suggestion": suggestion, "values": values(), "metadata": {"node": 3}}
    first = api.observe(path, **body)

    again = api.observe(path, **body)
    keyed = ok(api.post(f"{path}/observations", body, headers={"Idempotency-Key": "another"}))
    wanted = api.observe(path, **body, dedupe=False)
    batch = ok(api.post(f"{path}/observations/batch", {"observations": [body, body]}))["data"]
    forced = {"observations": [body], "dedupe": False}
    new = ok(api.post(f"{path}/observations/batch", forced))["data"]

    assert again == first
    assert len({first["id"], keyed["id"], wanted["id"], new[0]["id"]}) == 4
    assert [each["id"] for each in batch] == [first["id"], keyed["id"]]
    assert ok(api.get(f"{path}/observations"))["count"] == 4

"""What a client may have at most: experiments, observations, bytes of files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.api.caller import Caller, ok, path_of, refusal, single_body
from tests.api.test_accounts import make_token
from tradeoff.service import quotas, upkeep
from tradeoff.store import accounts
from tradeoff.store.database import Database


@pytest.fixture
def admin(api: Caller, shared: Database) -> Caller:
    """An administrator of the client."""
    return make_token(shared, api, role="admin")


def quotas_of(caller: Caller) -> str:
    return f"/v1/clients/{caller.client_id}/quotas"


def test_without_a_quota_there_is_no_limit_and_the_usage_is_told(
    api: Caller, admin: Caller
) -> None:
    api.observe(path_of(api.single()), assignments={"x": 0.5}, value=1)

    assert ok(admin.get(quotas_of(api))) == {
        "object": "quotas",
        "client": str(api.client_id),
        "experiments": {"limit": None, "used": 1},
        "observations": {"limit": None, "used": 1},
        "file_bytes": {"limit": None, "used": 0},
        "requests_per_second": None,
    }


def test_experiments_end_at_the_quota_also_when_many_come_at_once(
    api: Caller, admin: Caller
) -> None:
    assert ok(admin.put(quotas_of(api), {"experiments": 2}))["experiments"] == {
        "limit": 2,
        "used": 0,
    }

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: api.post("/v1/experiments", single_body()), range(6)))

    assert sorted(answer.status_code for answer in answers) == [200, 200, 403, 403, 403, 403]
    refused = next(answer for answer in answers if answer.status_code == 403)
    assert "may have 2 experiments, and has 2" in refusal(refused, 403)
    first, second = (path_of(ok(answer)) for answer in answers if answer.status_code == 200)
    ok(api.delete(first))
    third = path_of(api.single())
    # What was put away does not come back beside its successor.
    refusal(api.put(first, {"state": "active"}), 403)
    ok(api.put(second, {"name": "changed all the same", "state": "active"}))
    ok(api.delete(third))
    ok(api.put(first, {"state": "active"}))


def test_reports_end_soon_after_the_quota_and_go_on_when_there_is_room(
    api: Caller, admin: Caller, shared: Database
) -> None:
    path = path_of(api.single())
    for x in (0.1, 0.2):
        api.observe(path, assignments={"x": x}, value=x)
    report = {"assignments": {"x": 0.3}, "value": 1}
    # It is noted at once where the quota is less than there is.
    ok(admin.put(quotas_of(api), {"observations": 2}))

    refused = api.post(f"{path}/observations", report)

    assert "all the observations that it may have" in refusal(refused, 429)
    assert refused.headers["retry-after"] == "60"
    refusal(api.post(f"{path}/observations/batch", {"observations": [report]}), 429)
    ok(api.post(f"{path}/suggestions"))
    newest = ok(api.get(f"{path}/observations"))["data"][0]["id"]
    ok(api.delete(f"{path}/observations/{newest}"))
    upkeep.do_once(shared)
    ok(api.post(f"{path}/observations", report))
    upkeep.do_once(shared)
    refusal(api.post(f"{path}/observations", report), 429)
    ok(admin.put(quotas_of(api), {"observations": None}))
    ok(api.post(f"{path}/observations", report))


def test_a_quota_of_one_client_is_none_of_another(
    api: Caller, admin: Caller, other: Caller, shared: Database
) -> None:
    ok(admin.put(quotas_of(api), {"observations": 0, "experiments": 0}))

    refusal(api.post("/v1/experiments", single_body()), 403)
    other.observe(path_of(other.single()), assignments={"x": 0.5}, value=1)


def test_files_end_at_the_quota(api: Caller, admin: Caller) -> None:
    projects = f"/v1/clients/{api.client_id}/projects"
    ok(api.post(projects, {"id": "p", "name": "P"}))
    run = ok(api.post(f"{projects}/p/training_runs", {"name": "r"}))["id"]
    ok(admin.put(quotas_of(api), {"file_bytes": 10}))

    def announce(size: int) -> Any:
        body = {
            "name": "n",
            "content_type": "image/png",
            "content_length": size,
            "content_md5": "nU5PIGININrLklKSlz8+GQ==",
        }
        return api.post(f"/v1/training_runs/{run}/files", body)

    ok(announce(6))
    assert "take 6: 5 more do not fit" in refusal(announce(5), 403)
    ok(announce(4))
    assert ok(admin.get(quotas_of(api)))["file_bytes"] == {"limit": 10, "used": 10}


def test_what_the_operator_grants_holds_where_a_client_has_no_quota(
    api: Caller, shared: Database
) -> None:
    quotas.set_defaults(shared, quotas.Quotas(experiments=5, observations=7))
    try:
        with shared.transaction() as session:
            client = accounts.get_client(session, api.client_id)
            quotas.change(session, client, {"experiments": 9})

            assert quotas.read(session, client) == quotas.Quotas(experiments=9, observations=7)
    finally:
        quotas.set_defaults(shared, quotas.Quotas())


@pytest.mark.parametrize(
    "body",
    [
        {"experiments": -1},
        {"experiments": 1.5},
        {"experiments": True},
        {"observations": 10**16},
        {"file_bytes": "many"},
        {"requests_per_second": 0},
        {"requests_per_second": 1e6},
        {"tokens": 3},
    ],
)
def test_what_is_no_quota_is_refused(api: Caller, admin: Caller, body: dict[str, Any]) -> None:
    assert next(iter(body)) in refusal(admin.put(quotas_of(api), body))


def test_a_changed_quota_is_in_the_audit_log(api: Caller, admin: Caller) -> None:
    ok(admin.put(quotas_of(api), {"experiments": 3}))
    organization = ok(admin.get("/v1/tokens/self"))["organization"]
    log = ok(admin.get(f"/v1/organizations/{organization}/audit_log", action="client.limit"))

    assert log["data"][0]["details"] == {"experiments": {"from": None, "to": 3}}

"""How the installation does, and letting a failing experiment try again."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from tests.api.caller import Caller, ok, path_of, refusal
from tests.api.test_accounts import make_token
from tradeoff.service import ladder
from tradeoff.store.database import Database


@pytest.fixture
def admin(api: Caller, shared: Database) -> Caller:
    """An administrator of the client."""
    return make_token(shared, api, role="admin")


def operations_of(admin: Caller) -> dict[str, Any]:
    organization = ok(admin.get("/v1/tokens/self"))["organization"]
    return ok(admin.get(f"/v1/organizations/{organization}/operations"))


def test_a_failing_experiment_is_listed_and_tries_again_when_told(
    api: Caller, admin: Caller, other: Caller, shared: Database
) -> None:
    path, beside = path_of(api.experiment()), path_of(other.experiment())
    number = int(path.rpartition("/")[2])
    assert operations_of(admin)["failing"] == []
    with shared.transaction() as session:
        ladder.note_failure(session, number, overran=True)
        ladder.note_failure(session, int(beside.rpartition("/")[2]), overran=True)

    (failing,) = operations_of(admin)["failing"]

    assert (failing["experiment"], failing["rung"]) == (str(number), 1)
    assert "fewer observations" in failing["reason"]
    refusal(other.post(f"{path}/retry"), 404)
    ok(api.post(f"{path}/retry"))
    found = operations_of(admin)
    assert found["failing"] == []
    assert found["queue"]["waiting"] >= 1
    with shared.transaction() as session:
        waiting = "select status from jobs.procrastinate_jobs where queueing_lock = :lock"
        assert session.scalar(text(waiting), {"lock": f"refresh-{number}"}) == "todo"
    organization = ok(admin.get("/v1/tokens/self"))["organization"]
    log = ok(admin.get(f"/v1/organizations/{organization}/audit_log", action="experiment.retry"))
    assert log["data"][0]["details"] == {"rung": 1, "failures": 0}


def test_what_has_no_model_or_is_deleted_is_not_tried_again(api: Caller) -> None:
    at_random = path_of(api.experiment(type="random"))
    deleted = path_of(api.experiment())
    ok(api.delete(deleted))

    assert "no model" in refusal(api.post(f"{at_random}/retry"))
    assert "deleted" in refusal(api.post(f"{deleted}/retry"))


def test_how_long_one_waits_is_told(api: Caller, admin: Caller, shared: Database) -> None:
    path = path_of(api.experiment())
    given = ok(api.post(f"{path}/suggestions"))

    waits = operations_of(admin)["waits"]

    assert waits["count"] >= 1
    assert 0 <= waits["median_seconds"] <= waits["slow_seconds"]
    with shared.transaction() as session:
        waited = "select waited_seconds from suggestions where id = :id"
        kept = session.scalar(text(waited), {"id": int(given["id"])})
    assert kept is not None
    assert kept <= waits["slow_seconds"] or waits["count"] > 20

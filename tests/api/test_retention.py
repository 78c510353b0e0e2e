"""What is past its time is taken away, and nothing else."""

from __future__ import annotations

import base64
import datetime
import hashlib
from typing import Any

import pytest
from sqlalchemy import text

from tests.api.belongings import make_belongings
from tests.api.caller import Caller, ok, path_of, refusal
from tests.api.test_accounts import make_token
from tradeoff.config import Settings
from tradeoff.service import retention, upkeep
from tradeoff.service.retention import Place, Retention
from tradeoff.store import queue
from tradeoff.store.database import Database

DAY = datetime.timedelta(days=1)
MARK = "retained-5c2e"


def go_round(shared: Database, kept: Retention | None = None) -> None:
    """All of every table, whatever other tests left there."""
    place = Place()
    for _ in range(1_000):
        upkeep.do_once(shared, kept=kept or Retention(), place=place)
        if place == Place():
            return
    raise AssertionError("it never comes to the end")


def change(shared: Database, statement: str, **values: Any) -> None:
    with shared.transaction() as session:
        session.execute(text(statement), values)


def count(shared: Database, statement: str, **values: Any) -> int:
    with shared.transaction() as session:
        return int(session.scalar(text(statement), values) or 0)


def test_what_the_operator_sets_is_what_is_kept() -> None:
    assert retention.chosen(Settings()) == Retention()
    assert retention.chosen(
        Settings(
            keep_audit_days=1,
            keep_deleted_days=2,
            keep_failed_jobs_days=3,
            keep_retries_hours=4,
            keep_ready_days=5,
            keep_announced_files_hours=6,
        )
    ) == Retention(
        audit=DAY,
        deleted=2 * DAY,
        failed_jobs=3 * DAY,
        keys=DAY / 6,
        ready=5 * DAY,
        announced=DAY / 4,
    )


def test_deleted_things_go_for_good_when_told_and_come_back_until_then(
    api: Caller, shared: Database
) -> None:
    admin = make_token(shared, api, role="admin")
    owned = make_belongings(admin, mark=MARK)
    gone, kept = f"/v1/experiments/{owned['experiment']}", path_of(api.experiment())
    run, other_run = f"/v1/training_runs/{owned['training_run']}", _run(api)
    guest = ok(api.post(f"{gone}/tokens"))["token"]
    for path in (gone, kept, run, other_run):
        ok(api.delete(path))
    age = "update {} set updated = now() - interval '10 days' where id = :id"
    change(shared, age.format("experiments"), id=owned["experiment"])
    change(shared, age.format("training_runs"), id=owned["training_run"])

    go_round(shared)
    go_round(shared, Retention(deleted=11 * DAY))
    assert ok(api.get(gone))["state"] == ok(api.get(kept))["state"] == "deleted"
    go_round(shared, Retention(deleted=9 * DAY))

    refusal(api.get(gone), 404)
    refusal(api.get(run), 404)
    refusal(Caller(api.http, guest, api.client_id).get("/v1/tokens/self"), 403)
    for table in ("suggestions", "observations", "checkpoints", "queued_suggestions"):
        rows = f"select count(*) from {table} where experiment_id = :id"
        assert count(shared, rows, id=owned["experiment"]) == 0
    assert count(shared, "select count(*) from files where id = :id", id=owned["file"]) == 0
    assert ok(api.put(kept, {"state": "active"}))["state"] == "active"
    assert ok(api.put(other_run, {"deleted": False}))["deleted"] is False


def test_a_round_takes_its_turn_and_the_next_one_goes_on(
    api: Caller, shared: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "TURN_SECONDS", 0.0)
    paths = [path_of(api.experiment()) for _ in range(3)]
    numbers = [int(path.rpartition("/")[2]) for path in paths]
    for path in paths:
        ok(api.delete(path))
    old = "update experiments set updated = now() - interval '10 days' where id = any(:ids)"
    change(shared, old, ids=numbers)
    left = "select count(*) from experiments where id = any(:ids)"
    # Others' experiments may fill the pages before.
    place = Place(experiments=numbers[0] - 1)

    counts = []
    for _ in range(3):
        upkeep.do_once(shared, kept=Retention(deleted=9 * DAY), place=place)
        counts.append(count(shared, left, ids=numbers))

    assert counts == [2, 1, 0]


def test_runs_of_an_experiment_that_goes_for_good_stay_in_their_project(
    api: Caller, shared: Database
) -> None:
    project = f"/v1/clients/{api.client_id}/projects"
    ok(api.post(project, {"id": "p", "name": MARK}))
    body = {
        "name": "ai",
        "parameters": [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}],
        "metrics": [{"name": "f"}],
    }
    experiment = ok(api.post(f"{project}/p/aiexperiments", body))["id"]
    run = ok(api.post(f"/v1/aiexperiments/{experiment}/training_runs", {"name": "r"}))
    path = f"/v1/training_runs/{run['id']}"
    ok(api.put(path, {"values": {"f": {"value": 1.0}}, "state": "completed"}))
    assert ok(api.get(path))["observation"] is not None
    ok(api.delete(f"/v1/aiexperiments/{experiment}", include_runs="false"))
    old = "update experiments set updated = now() - interval '10 days' where id = :id"
    change(shared, old, id=int(experiment))

    go_round(shared, Retention(deleted=9 * DAY))

    refusal(api.get(f"/v1/aiexperiments/{experiment}"), 404)
    left = ok(api.get(path))
    assert (left["experiment"], left["observation"], left["suggestion"]) == (None, None, None)
    assert left["values"]["f"]["value"] == 1.0


def test_files_that_never_came_leave_their_run_and_its_quota(api: Caller, shared: Database) -> None:
    run = _run(api)
    announced, uploaded, fresh = (_announce(api, run) for _ in range(3))
    assert api.http.put(uploaded["upload"]["url"], content=b"x").status_code == 200
    old = "update files set created = now() - interval '25 hours' where id = any(:ids)"
    change(shared, old, ids=[int(announced["id"]), int(uploaded["id"])])

    go_round(shared)

    assert ok(api.get(run))["files"] == [uploaded["id"], fresh["id"]]
    refusal(api.get(f"/v1/files/{announced['id']}"), 404)
    ok(api.get(f"/v1/files/{uploaded['id']}"))


def test_suggestions_that_nobody_came_for_make_room_and_are_made_anew(
    api: Caller, shared: Database
) -> None:
    idle, busy = api.experiment(), api.experiment()
    insert = (
        "insert into suggestions (experiment_id, state, assignments, assignments_hash, source, "
        "computed) select :id, state, '{}', convert_to(state, 'UTF8'), 'model', "
        "now() - interval '31 days' from unnest(array['ready', 'open', 'queued']) state"
    )
    for each in (idle, busy):
        change(shared, insert, id=int(each["id"]))
    old = "update experiments set updated = now() - interval '31 days' where id = :id"
    change(shared, old, id=int(idle["id"]))

    go_round(shared)

    states = (
        "select count(*) from suggestions where experiment_id = :id and state = :state "
        "and computed < now() - interval '30 days'"
    )
    for each, state, left in (
        (idle, "ready", 0),
        (idle, "open", 1),
        (idle, "queued", 1),
        (busy, "ready", 1),
    ):
        assert count(shared, states, id=int(each["id"]), state=state) == left
    assert ok(api.post(f"{path_of(idle)}/suggestions", {}))["state"] == "open"


def test_failed_jobs_and_old_keys_go_and_what_waits_stays(api: Caller, shared: Database) -> None:
    experiments = [int(api.experiment()["id"]) for _ in range(3)]
    with shared.transaction() as session:
        for experiment in experiments:
            queue.defer_refresh(session, experiment, client_id=api.client_id)
    old, recent, waiting = (f"refresh-{experiment}" for experiment in experiments)
    fail = (
        "update jobs.procrastinate_jobs set status = 'failed' "
        "where queueing_lock = any(:locks) returning id"
    )
    change(shared, fail, locks=[old, recent])
    age = (
        "update jobs.procrastinate_events set at = now() - interval '15 days' where job_id in "
        "(select id from jobs.procrastinate_jobs where queueing_lock = any(:locks))"
    )
    change(shared, age, locks=[old, waiting])
    ok(api.post("/v1/experiments", api_body(), headers={"Idempotency-Key": MARK}))
    change(
        shared,
        "update idempotency_keys set created = now() - interval '49 hours' where key = :key",
        key=MARK,
    )

    go_round(shared, Retention(keys=datetime.timedelta(hours=50)))
    keys = "select count(*) from idempotency_keys where key = :key"
    assert count(shared, keys, key=MARK) == 1
    go_round(shared)

    assert count(shared, keys, key=MARK) == 0
    jobs = "select count(*) from jobs.procrastinate_jobs where queueing_lock = :lock"
    assert [count(shared, jobs, lock=lock) for lock in (old, recent, waiting)] == [0, 1, 1]


def api_body() -> dict[str, Any]:
    return {
        "name": MARK,
        "parameters": [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}],
        "metrics": [{"name": "f"}],
    }


def _run(api: Caller) -> str:
    project = f"/v1/clients/{api.client_id}/projects"
    api.post(project, {"id": "runs", "name": MARK})
    run = ok(api.post(f"{project}/runs/training_runs", {"name": MARK}))
    return f"/v1/training_runs/{run['id']}"


def _announce(api: Caller, run: str) -> dict[str, Any]:
    digest = hashlib.md5(b"x", usedforsecurity=False).digest()
    file = {
        "name": "a",
        "content_type": "image/png",
        "content_length": 1,
        "content_md5": base64.b64encode(digest).decode(),
    }
    return ok(api.post(f"{run}/files", file))

"""Asking while an experiment is paused: one waits, is told clearly, and is woken."""

from __future__ import annotations

import threading

import httpx
import pytest
from fastapi import FastAPI

from tests.api.caller import ASSIGNMENTS, Caller, ok, path_of, values


def test_who_asks_is_told_that_it_is_paused(api: Caller) -> None:
    path = path_of(api.experiment(paused=True))

    answer = api.post(f"{path}/suggestions")

    # The one status that SigOpt's client asks again after.
    assert answer.status_code == 429
    assert answer.json()["reason"] == "paused"
    assert f"Experiment {path.rsplit('/', 1)[1]} is paused" in answer.json()["message"]
    assert int(answer.headers["retry-after"]) >= 1


def test_a_key_of_a_refused_ask_serves_again(api: Caller) -> None:
    path = path_of(api.experiment(paused=True))
    key = {"Idempotency-Key": "patience"}
    assert api.post(f"{path}/suggestions", headers=key).status_code == 429
    assert ok(api.put(path, {"paused": False}))["paused"] is False

    assert ok(api.post(f"{path}/suggestions", headers=key))["state"] == "open"


def test_reports_are_taken_and_nothing_is_lost(api: Caller) -> None:
    created = api.experiment()
    path = path_of(created)
    assert created["paused"] is False
    held = ok(api.post(f"{path}/suggestions"))
    assert ok(api.put(path, {"paused": True}))["paused"] is True

    api.observe(path, suggestion=held["id"], values=values())
    api.observe(path, assignments=ASSIGNMENTS, failed=True)

    assert ok(api.get(path))["progress"]["observation_count"] == 2
    assert ok(api.post(f"{path}/suggestions", {"assignments": ASSIGNMENTS}))["state"] == "open"


def test_whoever_waits_is_woken(api: Caller, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    path = path_of(api.experiment(paused=True))
    monkeypatch.setattr(app.state.door, "paused_seconds", 60.0)
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(api.post(f"{path}/suggestions")))
    asking.start()
    # Whether it waits already or comes just after, it is not turned away.
    ok(api.put(path, {"paused": False}))
    asking.join(60)

    assert ok(answers[0])["state"] == "open"


def test_a_crowd_that_waits_leaves_room_to_others(
    api: Caller, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(api.experiment(paused=True))
    monkeypatch.setattr(app.state.door, "paused_seconds", 600.0)
    monkeypatch.setattr(app.state.door, "requests_at_once", 1)

    assert api.post(f"{path}/suggestions").status_code == 429


def test_runs_of_an_aiexperiment_wait_too(api: Caller) -> None:
    project = ok(api.post(f"/v1/clients/{api.client_id}/projects", {"id": "p", "name": "P"}))["id"]
    body = {
        "name": "ai",
        "paused": True,
        "parameters": [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}],
        "metrics": [{"name": "accuracy"}],
    }
    created = api.post(f"/v1/clients/{api.client_id}/projects/{project}/aiexperiments", body)
    path = f"/v1/aiexperiments/{ok(created)['id']}"
    assert ok(created)["paused"] is True
    run = {"name": "first"}

    assert api.post(f"{path}/training_runs", run).status_code == 429
    ok(api.put(path, {"paused": False}))

    assert ok(api.post(f"{path}/training_runs", run))["suggestion"] is not None


@pytest.mark.parametrize("value", [None, "yes", 1])
def test_it_is_true_or_false(api: Caller, value: object) -> None:
    path = path_of(api.experiment())

    answer = api.put(path, {"paused": value})

    assert answer.status_code == 400
    assert answer.json()["message"].startswith("paused: must be true or false")

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg2
import pytest

from tests.api.caller import ASSIGNMENTS, Caller, ok, path_of, refusal
from tests.api.conftest import WAIT_SECONDS
from tests.api.test_paging import ids
from tradeoff.service import suggestions
from tradeoff.store import buffer
from tradeoff.store.database import Database
from tradeoff.store.drafts import Draft


def test_a_suggestion_has_sigopts_fields_and_ours(api: Caller) -> None:
    created = api.experiment()

    suggested = ok(api.post(f"{path_of(created)}/suggestions", {"metadata": {"node": 3}}))

    assert suggested["object"] == "suggestion"
    assert suggested["experiment"] == created["id"]
    assert suggested["state"] == "open"
    assert suggested["deleted"] is False
    assert suggested["metadata"] == {"node": 3}
    assert suggested["source"] == "space_filling"
    assert suggested["observations_seen"] == 0
    assert list(suggested["assignments"]) == ["act", "filters", "lr"]
    assert isinstance(suggested["assignments"]["filters"], int)
    assert isinstance(suggested["assignments"]["lr"], float)
    assert isinstance(suggested["assignments"]["act"], str)
    assert "task" not in suggested


def test_no_body_asks_too(api: Caller) -> None:
    path = f"{path_of(api.experiment())}/suggestions"

    assert ok(api.request("POST", path))["state"] == "open"


def test_suggestions_differ(api: Caller) -> None:
    path = f"{path_of(api.experiment())}/suggestions"

    seen = [str(ok(api.post(path))["assignments"]) for _ in range(12)]

    assert len(set(seen)) == 12


def test_conditionals_appear_and_switched_off_parameters_do_not(api: Caller) -> None:
    created = api.single(
        conditionals=[{"name": "layers", "values": ["one", "two"]}],
        parameters=[
            {"name": "a", "type": "double", "bounds": {"min": 0, "max": 1}},
            {
                "name": "b",
                "type": "double",
                "bounds": {"min": 0, "max": 1},
                "conditions": {"layers": "two"},
            },
        ],
    )

    for _ in range(6):
        assignments = ok(api.post(f"{path_of(created)}/suggestions"))["assignments"]
        assert ("b" in assignments) is (assignments["layers"] == "two")


def test_a_grid_is_enumerated_first_name_fastest_and_wraps_around(api: Caller) -> None:
    created = api.single(
        type="grid",
        parameters=[
            {"name": "b", "type": "int", "grid": [1, 2]},
            {"name": "a", "type": "categorical", "categorical_values": ["x", "y"]},
        ],
    )

    seen = [ok(api.post(f"{path_of(created)}/suggestions"))["assignments"] for _ in range(5)]

    expected = [("x", 1), ("y", 1), ("x", 2), ("y", 2), ("x", 1)]
    assert [(each["a"], each["b"]) for each in seen] == expected


def test_ones_own_suggestion_may_lie_out_of_bounds_and_repeat(api: Caller) -> None:
    path = f"{path_of(api.experiment())}/suggestions"
    mine = {"lr": 50, "filters": 1000.0, "act": "relu"}

    first = ok(api.post(path, {"assignments": mine}))
    second = ok(api.post(path, {"assignments": mine, "metadata": {"again": 1}}))

    assert first["assignments"] == {"act": "relu", "filters": 1000, "lr": 50.0}
    assert (first["source"], first["state"]) == ("user", "open")
    assert first["id"] != second["id"]


ASSIGNMENT_MISTAKES: list[tuple[Any, str]] = [
    (None, "assignments: must be an object"),
    ([], "assignments: must be an object"),
    ("lr", "assignments: must be an object"),
    ({}, "assignments.act: missing"),
    ({**ASSIGNMENTS, "colour": 1}, "assignments.'colour': no such parameter"),
    ({"lr": 0.1, "filters": 16}, "assignments.act: missing"),
    ({**ASSIGNMENTS, "act": "gelu"}, "assignments.act: must be one of relu, tanh, not 'gelu'"),
    ({**ASSIGNMENTS, "act": 1}, "assignments.act: must be a string"),
    ({**ASSIGNMENTS, "act": None}, "assignments.act: missing"),
    ({**ASSIGNMENTS, "filters": 16.5}, "assignments.filters: must be an integer, not 16.5"),
    ({**ASSIGNMENTS, "filters": "16"}, "assignments.filters: must be a number, not '16'"),
    ({**ASSIGNMENTS, "filters": True}, "assignments.filters: must be a number, not true"),
    ({**ASSIGNMENTS, "filters": 2**53}, "assignments.filters: must not exceed"),
    ({**ASSIGNMENTS, "lr": 0}, "assignments.lr: must be above 0"),
    ({**ASSIGNMENTS, "lr": -1}, "assignments.lr: must be above 0"),
    ({**ASSIGNMENTS, "lr": [0.1]}, "assignments.lr: must be a number"),
    ({**ASSIGNMENTS, "lr": 1e200}, "assignments.lr: must not exceed"),
    ({**ASSIGNMENTS, "lr": {"value": 1}}, "assignments.lr: must be a number"),
]


@pytest.mark.parametrize(("assignments", "message"), ASSIGNMENT_MISTAKES)
def test_assignments_that_cannot_be(standing: Caller, assignments: Any, message: str) -> None:
    path = f"{path_of(standing.experiment())}/suggestions"

    assert message in refusal(standing.post(path, {"assignments": assignments}))
    assert ok(standing.get(path))["count"] == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"colour": 1},
            "colour: unknown key; allowed are assignments, lease_seconds, metadata, task, "
            "worker_id",
        ),
        ({"task": "cheap"}, "task: this is not a multitask experiment"),
        ({"metadata": []}, "metadata: must be an object"),
        ({"metadata": {"a": [1]}}, "metadata.a: must be a string or a number"),
        ({"suggestion": 1}, "suggestion: unknown key"),
    ],
)
def test_what_cannot_be_asked(standing: Caller, body: dict[str, Any], message: str) -> None:
    path = f"{path_of(standing.single())}/suggestions"

    assert message in refusal(standing.post(path, body))
    assert ok(standing.get(path))["count"] == 0


def test_on_a_grid_and_with_constraints_assignments_are_checked(api: Caller) -> None:
    grid = api.single(parameters=[{"name": "g", "type": "double", "grid": [0.1, 0.2]}])
    names = ("x", "y")
    constrained = api.single(
        parameters=[
            {"name": name, "type": "double", "bounds": {"min": 0, "max": 1}} for name in names
        ],
        linear_constraints=[
            {
                "type": "less_than",
                "threshold": 1,
                "terms": [{"name": name, "weight": 1} for name in names],
            }
        ],
    )

    off = api.post(f"{path_of(grid)}/suggestions", {"assignments": {"g": 0.15}})
    beyond = api.post(f"{path_of(constrained)}/suggestions", {"assignments": {"x": 1, "y": 1}})
    assert "assignments.g: must be on the grid" in refusal(off)
    assert "violates the linear constraint 1 * x + 1 * y <= 1" in refusal(beyond)


def test_only_metadata_changes(api: Caller) -> None:
    path = f"{path_of(api.single())}/suggestions"
    made = ok(api.post(path, {"metadata": {"a": 1}}))
    own = f"{path}/{made['id']}"

    assert ok(api.put(own, {"state": "closed", "assignments": 3})) == made
    assert ok(api.put(own, {"metadata": {"b": 2}}))["metadata"] == {"b": 2}
    assert ok(api.put(own, {"metadata": None}))["metadata"] is None
    assert "metadata" in refusal(api.put(own, {"metadata": {"b": []}}))
    assert ok(api.get(own))["metadata"] is None


def test_a_suggestion_closes_when_it_is_observed_and_stays_closed(api: Caller) -> None:
    path = path_of(api.single())
    made = ok(api.post(f"{path}/suggestions"))

    observed = api.observe(path, suggestion=made["id"], value=1)

    assert observed["suggestion"] == made["id"]
    assert observed["assignments"] == made["assignments"]
    assert ok(api.get(f"{path}/suggestions/{made['id']}"))["state"] == "closed"
    ok(api.delete(f"{path}/observations/{observed['id']}"))
    assert ok(api.get(f"{path}/suggestions/{made['id']}"))["state"] == "closed"


def test_a_deleted_suggestion_is_gone_but_listed_when_asked_for(api: Caller) -> None:
    path = f"{path_of(api.single())}/suggestions"
    made = ok(api.post(path))

    assert ok(api.delete(f"{path}/{made['id']}")) == {}

    refusal(api.get(f"{path}/{made['id']}"), 404)
    refusal(api.put(f"{path}/{made['id']}", {}), 404)
    refusal(api.delete(f"{path}/{made['id']}"), 404)
    assert ids(api.get(path)) == []
    deleted = ok(api.get(path, deleted=True))
    assert [each["deleted"] for each in deleted["data"]] == [True]
    observation = {"suggestion": made["id"], "value": 1}
    refusal(api.post(path.replace("suggestions", "observations"), observation))


def test_all_or_the_open_ones_can_be_deleted(api: Caller) -> None:
    path = path_of(api.single())
    first, second = (ok(api.post(f"{path}/suggestions")) for _ in range(2))
    api.observe(path, suggestion=first["id"], value=1)

    ok(api.delete(f"{path}/suggestions", state="open"))
    assert ids(api.get(f"{path}/suggestions")) == [first["id"]]
    assert second["id"] != first["id"]
    ok(api.delete(f"{path}/suggestions"))
    assert ids(api.get(f"{path}/suggestions")) == []


def test_a_mistyped_filter_deletes_nothing(api: Caller) -> None:
    path = f"{path_of(api.single())}/suggestions"
    ok(api.post(path))

    refusal(api.delete(path, stat="open"))
    refusal(api.delete(path, state="opened"))
    assert ok(api.get(path))["count"] == 1


def test_lists_filter(api: Caller) -> None:
    path = path_of(api.single())
    made = [ok(api.post(f"{path}/suggestions"))["id"] for _ in range(3)]
    api.observe(path, suggestion=made[0], value=1)

    assert ids(api.get(f"{path}/suggestions")) == made[::-1]
    assert ids(api.get(f"{path}/suggestions", state="open")) == [made[2], made[1]]
    assert ids(api.get(f"{path}/suggestions", id=f"{made[0]},{made[2]}")) == [made[2], made[0]]
    refusal(api.get(f"{path}/suggestions", id="a,b"))


# Waiting for the model


@pytest.fixture
def modelled(api: Caller, shared: Database) -> dict[str, Any]:
    """An experiment past its initial design, with nothing ready and no worker."""
    created = api.single(parallel_bandwidth=1)
    path = path_of(created)
    batch = [{"assignments": {"x": index / 40}, "value": index} for index in range(40)]
    ok(api.post(f"{path}/observations/batch", {"observations": batch}))
    with shared.transaction() as session:
        buffer.delete_ready(session, int(created["id"]))
    return created


def fill(database: Database, experiment: dict[str, Any], x: float) -> None:
    """What a worker does at the end of a refresh."""
    with database.transaction() as session:
        suggestions.fill_buffer(
            session,
            int(experiment["id"]),
            [Draft({"x": x}, "model", {"why": "because"})],
            revision=10_000,
            observations_seen=40,
        )


def test_what_the_model_prepared_is_served_at_once(
    api: Caller, shared: Database, modelled: dict[str, Any]
) -> None:
    fill(shared, modelled, 0.123)

    suggested = ok(api.post(f"{path_of(modelled)}/suggestions"))

    assert suggested["assignments"] == {"x": 0.123}
    assert suggested["source"] == "model"
    assert suggested["observations_seen"] == 40
    assert suggested["model_age_seconds"] >= 0
    assert suggested["explanation"] == {"why": "because"}


def test_without_a_worker_an_answer_comes_when_the_time_is_up(
    api: Caller, modelled: dict[str, Any]
) -> None:
    begun = time.monotonic()

    suggested = ok(api.post(f"{path_of(modelled)}/suggestions"))

    assert time.monotonic() - begun >= WAIT_SECONDS
    assert suggested["source"] == "space_filling"
    assert suggested["model_age_seconds"] is None


def test_a_bell_of_another_experiment_or_without_news_wakes_nobody_for_good(
    api: Caller, shared_url: str, modelled: dict[str, Any]
) -> None:
    connection = psycopg2.connect(shared_url)
    connection.autocommit = True

    def ring() -> None:
        with connection.cursor() as cursor:
            for _ in range(5):
                cursor.execute("select pg_notify('tradeoff_ready', %s)", (modelled["id"],))

    bell = threading.Timer(0.05, ring)
    begun = time.monotonic()
    bell.start()

    suggested = ok(api.post(f"{path_of(modelled)}/suggestions"))

    bell.join()
    connection.close()
    assert suggested["source"] == "space_filling"
    assert time.monotonic() - begun >= WAIT_SECONDS


def test_waiting_with_a_key_is_answered_and_kept(
    api: Caller, shared: Database, modelled: dict[str, Any]
) -> None:
    path = f"{path_of(modelled)}/suggestions"
    key = {"Idempotency-Key": "wait-1"}

    first = api.post(path, headers=key)
    again = api.post(path, headers=key)

    assert first.content == again.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert ok(api.get(path))["count"] == 1

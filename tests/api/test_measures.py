"""What Prometheus is told: few series, whatever is sent, and nothing of what it says."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from tests.api.caller import Caller, ok, path_of
from tradeoff import errors, measures
from tradeoff.service import upkeep
from tradeoff.store.database import Database, connect

Series = dict[tuple[tuple[str, str], ...], float]


def read(shown: str, name: str) -> Series:
    """The values of one measure, by their labels."""
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(shown)
        for sample in family.samples
        if sample.name == name
    }


def one(name: str, **labels: str) -> float:
    """One value of this process."""
    return read(measures.expose().decode(), name).get(tuple(sorted(labels.items())), 0.0)


def test_whatever_is_sent_makes_no_series_of_its_own(http: httpx.Client, api: Caller) -> None:
    path = path_of(api.single())
    http.request("BREW", "/v1/nowhere")
    http.request("BREW", path)
    before = set(read(http.get("/metrics").text, "tradeoff_requests_total"))

    for number in range(20):
        word = uuid.uuid4().hex
        http.get(f"/v1/{word}")
        http.get(f"/{word}?token={word}")
        http.request(f"BREW{number}", path)
        http.request(f"BREW{number}", f"/v1/{word}")

    shown = http.get("/metrics").text
    assert len(set(read(shown, "tradeoff_requests_total")) - before) <= 4
    assert "BREW" not in shown
    assert word not in shown


def test_requests_are_timed_by_route(http: httpx.Client, api: Caller) -> None:
    labels = {"method": "POST", "path": "/v1/experiments"}
    before = one("tradeoff_requests_total", **labels, status="200")

    api.single()

    assert one("tradeoff_requests_total", **labels, status="200") == before + 1
    seconds = one("tradeoff_request_seconds_sum", **labels)
    assert seconds > 0
    assert one("tradeoff_request_seconds_count", **labels) >= before + 1


def test_suggestions_tell_their_source_and_observations_how_they_ended(api: Caller) -> None:
    path = path_of(api.single())
    names = ("success", "infeasible", "transient")
    served = one("tradeoff_suggestions_total", source="space_filling")
    stored = [one("tradeoff_observations_total", outcome=name) for name in names]

    first = ok(api.post(f"{path}/suggestions"))
    api.observe(path, suggestion=first["id"], values=[{"value": 1.0}])
    api.observe(path, assignments={"x": 0.5}, failed=True)
    api.observe(path, assignments={"x": 0.6}, failed=True, failure_kind="transient")

    assert one("tradeoff_suggestions_total", source="space_filling") == served + 1
    assert one("tradeoff_suggestion_age_seconds_count", source="space_filling") >= 1
    assert [one("tradeoff_observations_total", outcome=name) for name in names] == [
        count + 1 for count in stored
    ]


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Callable[[Database], None]:
    """Tells Prometheus how the queue does, while no server of these tests does it, too."""
    told = upkeep.look
    monkeypatch.setattr(upkeep, "look", lambda _database: None)
    return told


def test_every_process_tells_how_the_queue_does(
    database: Database, look: Callable[[Database], None]
) -> None:
    with database.transaction() as session:
        for number in range(3):
            session.execute(
                text(
                    "insert into jobs.procrastinate_jobs (queue_name, task_name, lock) "
                    f"values ('tradeoff', 'refresh', 'experiment-{number}')"
                )
            )
        session.execute(text("insert into jobs.procrastinate_workers default values"))

    look(database)

    assert one("tradeoff_queue_waiting") == 3
    assert one("tradeoff_queue_running") == 0
    assert one("tradeoff_queue_oldest_seconds") >= 0
    assert one("tradeoff_workers") == 1
    assert one("tradeoff_database_up") == 1


def test_without_the_database_nothing_is_claimed_of_the_queue(
    database_url: str, look: Callable[[Database], None]
) -> None:
    nowhere = connect(database_url.replace("/test_", "/no_such_"))
    try:
        with pytest.raises(errors.TradeoffError):
            look(nowhere)
    finally:
        nowhere.dispose()

    assert one("tradeoff_database_up") == 0
    assert math.isnan(one("tradeoff_workers"))


def test_a_process_shows_its_measures_on_a_port_of_its_own() -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    measures.serve("127.0.0.1", port)

    shown = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert read(shown, "tradeoff_refreshes_total").keys() == {
        (("outcome", outcome),) for outcome in measures.OUTCOMES
    }
    with pytest.raises(errors.StartError, match=f"port {port}.*--metrics-port"):
        measures.serve("127.0.0.1", port)

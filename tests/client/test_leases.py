"""Leases, workers and machine failures: what the client does, and all of it on a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.builders import METRICS, PARAMETERS, measure
from tests.client.scripted import Script, answer, broken
from tests.conftest import LiveServer
from tradeoff import Client, client
from tradeoff.client import leases
from tradeoff.client.resources import Experiment

LEASED = {
    "id": "5",
    "experiment": "7",
    "assignments": {"x": 1.0},
    "lease_seconds": 0.03,
    "lease_expires": 1.0,
}
RENEWED = answer(body={**LEASED, "lease_expires": 2.0})


def await_that(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def heartbeats() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("lease of ")]


def test_the_block_renews_the_lease_and_stops_with_it(connect: Callable[..., Client]) -> None:
    script = Script(answer(body=LEASED), RENEWED)
    suggestion = connect(script).experiments(7).suggestions().create(lease_seconds=0.03)

    with suggestion:
        await_that(lambda: len(script.requests) > 4, "the lease is not renewed")
    await_that(lambda: not heartbeats(), "the thread goes on")

    renewal = script.requests[1]
    assert (renewal.method, renewal.url.path) == ("PUT", "/v1/experiments/7/suggestions/5")
    assert json.loads(renewal.content) == {"lease_seconds": 0.03}
    assert suggestion.lease_expires == 2.0


def test_without_a_lease_there_is_nothing_to_renew(connect: Callable[..., Client]) -> None:
    script = Script(answer(body={"id": "5", "experiment": "7", "lease_seconds": None}))
    suggestion = connect(script).experiments(7).suggestions().create()

    with suggestion:
        assert heartbeats() == []
    with pytest.raises(ValueError, match="lease_seconds"):
        suggestion.renew()

    assert len(script.requests) == 1


def test_a_server_that_is_away_for_a_while_is_asked_again(
    connect: Callable[..., Client], caplog: pytest.LogCaptureFixture
) -> None:
    script = Script(answer(body=LEASED), broken, broken, broken, RENEWED)
    suggestion = connect(script).experiments(7).suggestions().create(lease_seconds=0.03)

    with suggestion:
        await_that(lambda: suggestion.lease_expires == 2.0, "the lease is not renewed")

    assert "the lease of suggestion 5 is not renewed" in caplog.text


def test_a_suggestion_that_is_gone_is_not_renewed_for_ever(
    connect: Callable[..., Client], caplog: pytest.LogCaptureFixture
) -> None:
    script = Script(answer(body=LEASED), answer(404, {"message": "deleted"}))
    suggestion = connect(script).experiments(7).suggestions().create(lease_seconds=0.03)

    with suggestion:
        await_that(lambda: len(script.requests) > 1, "the lease is not renewed")
        await_that(lambda: not heartbeats(), "the thread goes on")

    assert len(script.requests) == 2
    assert "deleted" in caplog.text


def test_a_renewal_that_hangs_holds_nobody_up(connect: Callable[..., Client]) -> None:
    hanging, over = threading.Event(), threading.Event()

    def hang(request: httpx.Request) -> httpx.Response:
        hanging.set()
        over.wait(30)
        return broken(request)

    suggestion = connect(Script(answer(body=LEASED), hang)).experiments(7).suggestions().create()

    with suggestion:
        assert hanging.wait(30)
    # Here we are, while the renewal still hangs.
    assert not over.is_set()
    over.set()
    await_that(lambda: not heartbeats(), "the thread goes on")


def test_a_lease_does_not_keep_a_program_alive() -> None:
    code = (
        "from tradeoff.client.leases import Heartbeat\n"
        "Heartbeat(lambda patience: None, 3600, 'suggestion 5').start()\n"
    )

    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)


def test_a_renewal_has_less_time_than_the_lease() -> None:
    given: list[float] = []
    beat = leases.Heartbeat(given.append, 0.03, "suggestion 5")
    beat.start()
    await_that(lambda: given, "no renewal")
    beat.stop()

    assert given[0] == pytest.approx(0.01)


@pytest.fixture
def api(live_server: LiveServer) -> Iterator[Client]:
    with Client(live_server.token, api_url=live_server.url, retry_seconds=10) as found:
        yield found


@pytest.fixture
def experiment(api: Client) -> Experiment:
    return api.experiments.create(
        name="leases",
        parameters=PARAMETERS,
        metrics=METRICS,
        observation_budget=3,
        parallel_bandwidth=2,
    )


def test_a_worker_that_starts_again_goes_on_with_its_suggestion(
    live_server: LiveServer, experiment: Experiment
) -> None:
    name = os.urandom(4).hex()
    first = experiment.suggest(worker_id=name, lease_seconds=600)
    other = experiment.suggest(worker_id="other", lease_seconds=600)
    with Client(live_server.token, api_url=live_server.url, worker_id=name) as restarted:
        again = next(restarted.experiments(experiment.id).fetch().loop(lease_seconds=600))

    assert again.id == first.id != other.id
    assert (again.worker_id, again.lease_seconds, again.attempt) == (name, 600, 0)


def test_a_lease_is_kept_by_its_block_and_lapses_without(experiment: Experiment) -> None:
    kept = experiment.suggest(lease_seconds=3)
    left = experiment.suggest(lease_seconds=1)
    first_end = kept.lease_expires
    assert first_end is not None

    with kept:
        await_that(
            lambda: (kept.lease_expires or 0) > first_end + 3, "the lease outlives its first end"
        )
        await_that(lambda: left.resource.fetch().state == "lapsed", "nobody renewed this one")
        assert kept.resource.fetch().state == "open"
        kept.observe(measure(kept.assignments))
    late = left.observe(measure(left.assignments))

    assert late.suggestion == left.id, "a late report is welcome"
    assert {each.state for each in experiment.suggestions().fetch()} == {"closed"}


def test_renewing_may_change_the_lease(experiment: Experiment) -> None:
    suggestion = experiment.suggest()
    assert suggestion.to_json()["lease_expires"] is None

    suggestion.renew(600)
    assert suggestion.lease_seconds == 600
    assert suggestion.lease_expires is not None
    assert suggestion.resource.fetch().lease_expires == suggestion.lease_expires
    assert suggestion.resource.update(lease_seconds=None).lease_expires is None


def test_a_call_of_the_worker_renews_its_lease(live_server: LiveServer) -> None:
    with Client(live_server.token, api_url=live_server.url, worker_id="gpu-1") as api:
        experiment = api.experiments.create(
            name="calls", parameters=PARAMETERS, metrics=METRICS, observation_budget=3
        )
        suggestion = experiment.suggest(lease_seconds=600)

        experiment.fetch()

        renewed = suggestion.resource.fetch().lease_expires
        assert renewed is not None
        assert suggestion.lease_expires is not None
        assert renewed > suggestion.lease_expires


def test_a_configuration_that_met_trouble_is_tried_again(experiment: Experiment) -> None:
    tried = []
    for suggestion in experiment.loop(transient=OSError):
        tried.append(suggestion)
        with suggestion:
            if len(tried) == 1:
                raise OSError("disk away")
            suggestion.observe(measure(suggestion.assignments))

    first, second, *_ = tried
    assert second.assignments == first.assignments
    assert (first.attempt, second.attempt) == (0, 1)
    # What the machine spoilt does not count.
    assert len(tried) == 4
    oldest = experiment.observations().fetch().data[-1]
    assert (oldest.failed, oldest.failure_kind) == (True, "transient")


def test_checkpoints_in_the_shape_of_sigopts_client(experiment: Experiment) -> None:
    suggestion = experiment.suggest(lease_seconds=600)
    for epoch in range(3):
        told = suggestion.checkpoint(step=epoch, accuracy=0.1 * epoch, metadata={"epoch": epoch})
        assert (told.should_stop, told.stopping_reasons) == (False, [])
    by_step = suggestion.checkpoints().fetch(sort="step", ascending=True)

    assert [each.step for each in by_step] == [0, 1, 2]
    assert by_step.data[2].values[0].value == pytest.approx(0.2)
    made = suggestion.resource.checkpoints().create(values=[{"name": "accuracy", "value": 0.4}])
    assert made.step == 3
    assert suggestion.resource.checkpoints(made.id or "").fetch() == made
    with pytest.raises(client.BadRequest, match="accuracy"):
        suggestion.checkpoint(acuracy=0.5)


def test_a_training_that_has_no_hope_is_told_to_stop(api: Client) -> None:
    experiment = api.experiments.create(
        name="stopping",
        parameters=PARAMETERS,
        metrics=METRICS,
        observation_budget=30,
        early_stopping={},
    )

    def train(accuracy: float) -> int:
        suggestion = experiment.suggest()
        for step in range(10):
            reached = accuracy * (step + 1) / 10
            told = suggestion.checkpoint(step=step, accuracy=reached, inference_ms=1 / accuracy)
            if told.should_stop:
                assert told.stopping_reasons
                break
        suggestion.observe(accuracy=reached, inference_ms=1 / accuracy)
        return step

    assert [train(accuracy) for accuracy in (0.5, 0.6, 0.7, 0.8, 0.9)] == [9] * 5
    assert train(0.01) < 9

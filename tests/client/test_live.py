"""The client against the real server on a real Postgres."""

from __future__ import annotations

import random
import time

import httpx
import pytest

from tests.builders import METRICS, PARAMETERS, measure
from tests.conftest import LiveServer
from tradeoff import Client, client
from tradeoff.client.resources import PAUSED_SECONDS


def test_the_loop_runs_to_its_budget_and_finds_a_frontier(live_server: LiveServer) -> None:
    with Client(live_server.token, api_url=live_server.url) as api:
        experiment = api.experiments.create(
            name="loop", parameters=PARAMETERS, metrics=METRICS, observation_budget=5
        )

        for suggestion in experiment.loop():
            with suggestion:
                suggestion.observe(measure(suggestion.assignments))

        done = experiment.fetch()
        assert done.progress.observation_count == 5
        frontier = experiment.frontier()
        assert frontier
        assert set(frontier[0].value_by_metric) == {"accuracy", "inference_ms"}
        assert len(experiment.observations().fetch()) == 5


class BadLine(httpx.BaseTransport):
    """A way to the server that loses requests, and answers of requests that took effect."""

    def __init__(self) -> None:
        self._line = httpx.HTTPTransport()
        self._chance = random.Random(7)
        self.lost = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        fate = self._chance.random()
        if fate < 0.2:
            self.lost += 1
            raise httpx.ConnectError("lost on the way there", request=request)
        answer = self._line.handle_request(request)
        if fate < 0.5:
            self.lost += 1
            answer.close()
            raise httpx.ReadError("lost on the way back", request=request)
        return answer

    def close(self) -> None:
        self._line.close()


def test_a_line_that_loses_answers_loses_and_doubles_nothing(
    live_server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    line = BadLine()
    with Client(live_server.token, api_url=live_server.url, transport=line) as api:
        experiment = api.experiments.create(
            name="bad line", parameters=PARAMETERS, metrics=METRICS, observation_budget=12
        )

        for suggestion in experiment.loop():
            suggestion.observe(measure(suggestion.assignments))

        observed = list(experiment.observations().fetch(limit=5).iterate_pages())
        handed_out = list(experiment.suggestions().fetch(limit=5).iterate_pages())
        assert line.lost > 10
        assert api.experiments.fetch().count == 1
        assert len(observed) == len({each.suggestion for each in observed}) == 12
        assert len(handed_out) == 12
        assert {each.state for each in handed_out} == {"closed"}


def test_failures_and_batches_are_counted(live_server: LiveServer) -> None:
    with Client(live_server.token, api_url=live_server.url) as api:
        experiment = api.experiments.create(
            name="mixed", parameters=PARAMETERS, metrics=METRICS, observation_budget=5
        )
        with pytest.raises(RuntimeError), experiment.suggest():
            raise RuntimeError("out of memory")
        batch = experiment.observations().create_batch(
            [
                {
                    "assignments": {"learning_rate": 1e-3, "filters": 9, "activation": "relu"},
                    "values": [
                        {"name": "accuracy", "value": 0.5},
                        {"name": "inference_ms", "value": 1.0},
                    ],
                }
            ]
        )

        assert [row.failed for row in batch] == [False]
        newest, oldest = experiment.observations().fetch().data
        assert oldest.failed
        assert oldest.metadata == {"error": "RuntimeError: out of memory"}
        assert newest.value_by_metric == {"accuracy": 0.5, "inference_ms": 1.0}


def test_a_mistyped_metric_is_refused_with_the_names_there_are(live_server: LiveServer) -> None:
    with Client(live_server.token, api_url=live_server.url) as api:
        experiment = api.experiments.create(
            name="typo", parameters=PARAMETERS, metrics=METRICS, observation_budget=5
        )

        with pytest.raises(client.BadRequest, match="accuracy, inference_ms"):
            experiment.suggest().observe(acuracy=0.5, inference_ms=1.0)

        assert experiment.fetch().progress.observation_count == 0


def test_the_token_and_its_client_can_be_fetched(live_server: LiveServer) -> None:
    with Client(live_server.token, api_url=live_server.url) as api:
        token = api.tokens().fetch()

        assert token.client == str(live_server.client_id)
        assert live_server.token not in repr(token)
        assert token.client is not None
        assert api.clients(token.client).fetch().name == "Acme"
        assert api.clients(token.client).experiments().fetch().count == 0


def test_calls_in_the_shape_of_sigopts_client(live_server: LiveServer) -> None:
    with Client(live_server.token, api_url=live_server.url) as api:
        client_id = api.tokens("self").fetch().client
        assert client_id is not None
        made = (
            api.clients(client_id)
            .experiments()
            .create(name="shape", parameters=PARAMETERS, metrics=METRICS, observation_budget=5)
        )
        one = api.experiments(made.id)

        suggestion = one.suggestions().create(metadata={"node": "a"})
        assert one.suggestions(suggestion.id).fetch() == suggestion
        assert one.suggestions(suggestion.id).update(metadata={"node": "b"}).metadata == {
            "node": "b"
        }
        values = [{"name": name, "value": 1.0} for name in ("accuracy", "inference_ms")]
        observation = one.observations().create(suggestion=suggestion.id, values=values)
        assert one.suggestions(suggestion.id).fetch().state == "closed"
        corrected = one.observations(observation.id).update(metadata={"checked": 1})
        assert one.observations(observation.id).fetch() == corrected
        assert one.best_assignments().fetch().data[0].assignments == suggestion.assignments
        assert one.fetch().progress.last_observation == corrected

        own = one.suggestions().create(assignments=suggestion.assignments)
        one.suggestions(own.id).delete()
        one.suggestions().create()
        one.suggestions().delete(state="open")
        assert one.suggestions().fetch(state="open").count == 0
        one.observations(observation.id).delete()
        assert one.observations().fetch().count == 0
        one.observations().create(suggestion=suggestion.id, failed=True)
        one.observations().delete()
        assert one.fetch().progress.observation_count == 0

        assert one.update(name="renamed", metadata={"team": "a"}).metadata == {"team": "a"}
        one.delete()
        assert [each.id for each in api.experiments().fetch(limit=5, state="all")] == [made.id]
        assert api.experiments().fetch().count == 0
        assert one.update(state="active").name == "renamed"


def test_a_refusal_is_an_error_of_its_own_kind(live_server: LiveServer) -> None:
    mine = Client(live_server.token, api_url=live_server.url)
    strange = Client("tdo_unknown", api_url=live_server.url)

    with mine, pytest.raises(client.NotFound) as caught:
        mine.experiments(123456789).fetch()
    with strange, pytest.raises(client.Forbidden):
        strange.experiments.fetch()

    assert caught.value.status_code == 404
    assert caught.value.message


def test_a_loop_waits_while_the_experiment_is_paused(
    live_server: LiveServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # No patience of its own: each time it is told so, it is at its end.
    with Client(live_server.token, api_url=live_server.url, retry_seconds=0) as api:
        experiment = api.experiments.create(
            name="pause", parameters=PARAMETERS, metrics=METRICS, observation_budget=2
        )
        loop = experiment.loop()
        next(loop).observe(accuracy=0.5, inference_ms=1)
        experiment.resource.update(paused=True)
        with pytest.raises(client.Paused, match="is paused"):
            experiment.suggest()

        # Somebody lets it go on once the loop has been told twice.
        naps: list[float] = []

        def nap(seconds: float) -> None:
            naps.append(seconds)
            if len(naps) == 2:
                experiment.resource.update(paused=False)

        monkeypatch.setattr(time, "sleep", nap)
        next(loop).observe(accuracy=0.6, inference_ms=2)

        assert list(loop) == []
        assert naps == [PAUSED_SECONDS, PAUSED_SECONDS]
        assert experiment.fetch().paused is False
        assert "still waiting: Experiment" in caplog.text

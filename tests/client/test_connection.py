"""The client against a scripted server: what it sends, what it repeats, what it raises."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tradeoff import Client, client
from tradeoff.client import connection


class Script:
    """Answers requests in turn from a list, and keeps what was asked; the last one repeats."""

    def __init__(
        self, *answers: Callable[[httpx.Request], httpx.Response] | httpx.Response
    ) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer if isinstance(answer, httpx.Response) else answer(request)


def answer(status: int = 200, body: Any = None, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={} if body is None else body, headers=headers)


def broken(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused", request=request)


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have slept; the clock moves on without waiting."""
    slept: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return slept


@pytest.fixture
def connect() -> Iterator[Callable[..., Client]]:
    made: list[Client] = []

    def make(script: Script, **arguments: Any) -> Client:
        made.append(
            Client(
                "tdo_secret",
                api_url="http://server",
                transport=httpx.MockTransport(script),
                **arguments,
            )
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


EXPERIMENT = {"object": "experiment", "id": "7", "observation_budget": None}


def test_the_token_is_the_user_name_with_an_empty_password(connect: Callable[..., Client]) -> None:
    script = Script(answer(body=EXPERIMENT))

    connect(script).experiments(7).fetch()

    sent = script.requests[0]
    assert str(sent.url) == "http://server/v1/experiments/7"
    basic = sent.headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(basic).decode() == "tdo_secret:"


def test_every_write_carries_a_key_of_its_own_and_reads_carry_none(
    connect: Callable[..., Client],
) -> None:
    script = Script(answer(body=EXPERIMENT))
    api = connect(script)

    api.experiments.create(name="a")
    api.experiments.create(name="a")
    api.experiments(7).fetch()
    api.experiments(7).delete()

    keys = [request.headers.get("idempotency-key") for request in script.requests]
    assert keys[2] is None
    written = [keys[0], keys[1], keys[3]]
    assert all(written)
    assert len(set(written)) == 3


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_passing_trouble_is_tried_again_with_the_same_key(
    connect: Callable[..., Client], status: int
) -> None:
    script = Script(answer(status, {"message": "busy"}), broken, answer(body=EXPERIMENT))

    created = connect(script).experiments.create(name="a")

    assert created.id == "7"
    assert len(script.requests) == 3
    assert len({request.headers["idempotency-key"] for request in script.requests}) == 1
    assert len({request.content for request in script.requests}) == 1


def test_what_the_server_asks_to_wait_is_waited(
    connect: Callable[..., Client], naps: list[float]
) -> None:
    script = Script(
        answer(503, {"message": "away"}, **{"Retry-After": "4"}), answer(body=EXPERIMENT)
    )

    connect(script).experiments(7).fetch()

    assert len(naps) == 1
    assert 4 <= naps[0] <= 4.25


def test_our_own_earlier_try_still_at_work_is_waited_for(connect: Callable[..., Client]) -> None:
    script = Script(
        answer(409, {"message": "at work"}, **{"Retry-After": "1"}), answer(body=EXPERIMENT)
    )

    assert connect(script).experiments.create(name="a").id == "7"


def test_waits_grow_and_stay_bounded(connect: Callable[..., Client], naps: list[float]) -> None:
    with pytest.raises(client.ConnectionFailed, match="tradeoff up"):
        connect(Script(broken), retry_seconds=900).experiments(7).fetch()

    assert sum(naps) <= 900
    assert max(naps) <= connection.LONGEST_WAIT_SECONDS
    assert max(naps[:2]) <= 0.4
    assert len(naps) > 50


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, client.BadRequest),
        (401, client.Unauthorized),
        (403, client.Forbidden),
        (404, client.NotFound),
        (409, client.Conflict),
        (422, client.ApiError),
    ],
)
def test_a_refusal_is_raised_at_once(
    connect: Callable[..., Client], status: int, kind: type[client.ApiError]
) -> None:
    script = Script(answer(status, {"message": "name: required", "status": status}))

    with pytest.raises(kind) as caught:
        connect(script).experiments.create()

    assert len(script.requests) == 1
    assert caught.value.status_code == status
    assert caught.value.message == "name: required"
    assert caught.value.body["status"] == status


def test_an_error_that_is_no_json_keeps_its_text(connect: Callable[..., Client]) -> None:
    script = Script(httpx.Response(404, text="<html>not here</html>"))

    with pytest.raises(client.NotFound, match="not here"):
        connect(script).experiments(7).fetch()


def test_an_answer_that_is_no_json_is_an_error(connect: Callable[..., Client]) -> None:
    script = Script(httpx.Response(200, text="<html>Welcome</html>"))

    with pytest.raises(client.ApiError, match="is it a Tradeoff server"):
        connect(script).experiments(7).fetch()


def test_a_redirect_is_explained_and_not_followed(connect: Callable[..., Client]) -> None:
    script = Script(httpx.Response(301, headers={"Location": "https://server/v1/experiments"}))

    with pytest.raises(client.ApiError, match="redirects to https://server"):
        connect(script).experiments.create(name="a")

    assert len(script.requests) == 1


@pytest.mark.parametrize("url", ["server:8080", "ftp://server", "http://", "http://a:port"])
def test_a_mistyped_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(client.BadAddress, match="address"):
        Client("tdo_secret", api_url=url)


def test_a_timeout_is_tried_again(connect: Callable[..., Client]) -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("", request=request)

    script = Script(slow, answer(body=EXPERIMENT))

    assert connect(script).experiments.create(name="a").id == "7"
    assert len({request.headers["idempotency-key"] for request in script.requests}) == 1


def test_the_first_retry_is_logged_and_names_the_server(
    connect: Callable[..., Client], caplog: pytest.LogCaptureFixture
) -> None:
    connect(Script(broken, broken, answer(body=EXPERIMENT))).experiments(7).fetch()

    assert len(caplog.messages) == 1
    assert "http://server" in caplog.messages[0]
    assert "tradeoff up" in caplog.messages[0]


def test_giving_up_raises_what_the_server_said_last(connect: Callable[..., Client]) -> None:
    script = Script(answer(503, {"message": "no database"}))

    with pytest.raises(client.ServerError, match="no database"):
        connect(script, retry_seconds=5).experiments(7).fetch()


def test_numbers_of_numpy_are_sent_as_numbers(connect: Callable[..., Client]) -> None:
    suggestion, script = suggested(connect, answer(body=OBSERVED))

    suggestion.observe(accuracy=np.float32(0.5), metadata={"epochs": np.int64(3)})

    body = json.loads(script.requests[1].content)
    assert body["values"][0]["value"] == 0.5
    assert body["metadata"] == {"epochs": 3}


def test_pages_are_walked_to_the_end(connect: Callable[..., Client]) -> None:
    def page(ids: list[str], before: str | None) -> httpx.Response:
        rows = [{"id": row, "values": []} for row in ids]
        paging = {"before": before, "after": None}
        return answer(body={"object": "pagination", "count": 3, "data": rows, "paging": paging})

    script = Script(page(["3", "2"], "M"), page(["1"], None))

    found = list(connect(script).experiments(7).observations().fetch(limit=2).iterate_pages())

    assert [row.id for row in found] == ["3", "2", "1"]
    assert dict(script.requests[1].url.params) == {"limit": "2", "before": "M"}


def test_the_environment_gives_address_and_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEOFF_API_URL", "https://host/prefix/")
    monkeypatch.setenv("TRADEOFF_API_TOKEN", "tdo_env")

    with Client() as found:
        assert found.api_url == "https://host/prefix"


def test_the_local_token_is_found_and_its_absence_explained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TRADEOFF_API_TOKEN", raising=False)
    monkeypatch.setenv("TRADEOFF_DATA_DIR", str(tmp_path))
    with pytest.raises(client.NoToken, match="TRADEOFF_API_TOKEN"):
        Client()

    (tmp_path / "token").write_text("tdo_local\n")
    script = Script(answer(body=EXPERIMENT))
    with Client(api_url="http://server", transport=httpx.MockTransport(script)) as found:
        found.experiments(7).fetch()

    basic = script.requests[0].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(basic).decode() == "tdo_local:"


def test_pages_of_the_smallest_first_are_walked_upwards(connect: Callable[..., Client]) -> None:
    def page(ids: list[str], before: str | None, after: str | None) -> httpx.Response:
        rows = [{"id": row, "values": []} for row in ids]
        paging = {"before": before, "after": after}
        return answer(body={"object": "pagination", "count": 3, "data": rows, "paging": paging})

    script = Script(page(["1", "2"], None, "M"), page(["3"], "N", None))
    first = connect(script).experiments(7).observations().fetch(ascending=True)

    found = list(first.iterate_pages())

    assert [row.id for row in found] == ["1", "2", "3"]
    assert script.requests[1].url.params["after"] == "M"


SUGGESTION = {"id": "5", "experiment": "7", "assignments": {"x": 1.0}}


def suggested(connect: Callable[..., Client], *answers: httpx.Response) -> tuple[Any, Script]:
    script = Script(answer(body=SUGGESTION), *answers)
    return connect(script).experiments(7).suggestions().create(), script


OBSERVED = {"id": "1", "values": []}


def test_observe_reports_values_by_name(connect: Callable[..., Client]) -> None:
    suggestion, script = suggested(connect, answer(body=OBSERVED))

    with suggestion:
        suggestion.observe(accuracy=0.9, stddevs={"accuracy": 0.1}, metadata={"host": "a"})

    assert len(script.requests) == 2
    assert json.loads(script.requests[1].content) == {
        "suggestion": "5",
        "values": [{"name": "accuracy", "value": 0.9, "value_stddev": 0.1}],
        "metadata": {"host": "a"},
    }


def test_a_training_that_raises_is_reported_as_failed(connect: Callable[..., Client]) -> None:
    suggestion, script = suggested(connect, answer(body=OBSERVED))

    with pytest.raises(MemoryError), suggestion:
        raise MemoryError("too large")

    body = json.loads(script.requests[1].content)
    assert body["failed"] is True
    assert body["metadata"] == {"error": "MemoryError: too large"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_stopping_the_program_says_nothing_about_the_configuration(
    connect: Callable[..., Client], error: type[BaseException]
) -> None:
    suggestion, script = suggested(connect)

    with pytest.raises(error), suggestion:
        raise error

    assert len(script.requests) == 1


def test_a_refused_report_is_no_failed_training(connect: Callable[..., Client]) -> None:
    refusal = answer(400, {"message": "values[0].name: no metric 'acuracy'"})
    suggestion, script = suggested(connect, refusal)

    with pytest.raises(client.BadRequest), suggestion:
        suggestion.observe(acuracy=0.9)

    assert len(script.requests) == 2


def test_an_exception_after_the_report_reports_nothing_more(connect: Callable[..., Client]) -> None:
    suggestion, script = suggested(connect, answer(body=OBSERVED))

    def train() -> None:
        with suggestion:
            suggestion.observe(accuracy=0.9)
            raise ValueError("later")

    with pytest.raises(ValueError, match="later"):
        train()

    assert len(script.requests) == 2


def test_the_loop_ends_with_the_budget(connect: Callable[..., Client]) -> None:
    def state(consumed: float) -> httpx.Response:
        progress = {"observation_budget_consumed": consumed}
        return answer(body={**EXPERIMENT, "observation_budget": 1, "progress": progress})

    script = Script(
        answer(body=EXPERIMENT),
        state(0.0),
        answer(body=SUGGESTION),
        answer(body=OBSERVED),
        state(1.0),
    )
    experiment = connect(script).experiments.create(name="a")

    tried = [suggestion.observe(f=1.0) for suggestion in experiment.loop()]

    assert len(tried) == 1


def test_caught_exceptions_are_reported_and_the_loop_goes_on(
    connect: Callable[..., Client], caplog: pytest.LogCaptureFixture
) -> None:
    script = Script(
        answer(body=EXPERIMENT),
        answer(body=EXPERIMENT),
        answer(body=SUGGESTION),
        answer(body=OBSERVED),
        answer(body=EXPERIMENT),
        answer(body=SUGGESTION),
    )
    loop = connect(script).experiments.create(name="a").loop(catch=MemoryError)

    with next(loop):
        raise MemoryError
    with next(loop):
        pass

    assert json.loads(script.requests[3].content)["failed"] is True
    assert "stays open" in caplog.text


def test_a_value_that_is_not_finite_is_a_failed_training(connect: Callable[..., Client]) -> None:
    suggestion, script = suggested(connect, answer(body=OBSERVED))

    with pytest.raises(ValueError, match="accuracy is nan"), suggestion:
        suggestion.observe(accuracy=float("nan"))

    assert json.loads(script.requests[1].content)["failed"] is True


def test_the_exception_of_a_training_wins_over_that_of_its_report(
    connect: Callable[..., Client],
) -> None:
    suggestion, _ = suggested(connect, answer(404, {"message": "gone"}))

    with pytest.raises(MemoryError), suggestion:
        raise MemoryError


def test_a_long_message_of_an_exception_is_cut_and_cleaned(connect: Callable[..., Client]) -> None:
    suggestion, script = suggested(connect, answer(body=OBSERVED))

    with pytest.raises(RuntimeError), suggestion:
        raise RuntimeError("\x1b[31m" + "x" * 1000)

    reason = json.loads(script.requests[1].content)["metadata"]["error"]
    assert reason.startswith("RuntimeError: [31mxxx")
    assert len(reason) == 500


def test_values_are_reported_by_any_name_and_a_lone_one_without(
    connect: Callable[..., Client],
) -> None:
    suggestion, script = suggested(connect, answer(body=OBSERVED))

    suggestion.observe({"top-1": 0.9}, loss=0.1)
    suggestion.observe(0.5)

    sent = [json.loads(request.content)["values"] for request in script.requests[1:]]
    assert [(value["name"], value["value"]) for value in sent[0]] == [("loss", 0.1), ("top-1", 0.9)]
    assert sent[1] == [{"name": None, "value": 0.5, "value_stddev": None}]


def test_unknown_fields_are_kept_and_missing_ones_named(connect: Callable[..., Client]) -> None:
    found = connect(Script(answer(body={**EXPERIMENT, "brand_new": 3}))).experiments(7).fetch()

    assert found.brand_new == 3
    assert found.to_json()["brand_new"] == 3
    with pytest.raises(AttributeError, match="no field 'nonsense'"):
        _ = found.nonsense

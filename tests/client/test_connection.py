"""The client against a scripted server: what it sends, what it repeats, what it raises."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Callable
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.client.scripted import Script, answer, broken
from tradeoff import Client, client
from tradeoff.client import connection

pytestmark = pytest.mark.usefixtures("naps")

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


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("0", 0, 0.25),
        ("-5", 0, 0.25),
        ("100000", 60, 60.25),
        ("nan", 0.05, 0.2),
        ("soon", 0.05, 0.2),
        (format_datetime(datetime.datetime(1999, 1, 1, tzinfo=datetime.UTC)), 0, 0.25),
        (format_datetime(datetime.datetime(2199, 1, 1, tzinfo=datetime.UTC)), 60, 60.25),
    ],
)
def test_whatever_stands_in_retry_after_the_wait_makes_sense(
    connect: Callable[..., Client], naps: list[float], asked: str, least: float, most: float
) -> None:
    script = Script(
        answer(429, {"message": "busy"}, **{"Retry-After": asked}), answer(body=EXPERIMENT)
    )

    connect(script).experiments(7).fetch()

    assert least <= naps[0] <= most


def test_a_damaged_answer_is_asked_for_again(connect: Callable[..., Client]) -> None:
    damaged = httpx.Response(
        200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"not gzip")
    )
    script = Script(damaged, answer(body=EXPERIMENT))

    assert connect(script).experiments.create(name="a").id == "7"
    assert len({request.headers["idempotency-key"] for request in script.requests}) == 1


def test_a_closed_client_says_so(connect: Callable[..., Client]) -> None:
    api = connect(Script(answer(body=EXPERIMENT)))
    api.close()

    with pytest.raises(client.ConnectionFailed, match="closed"):
        api.experiments(7).fetch()


def test_every_call_of_a_worker_carries_its_name(
    connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(answer(body=EXPERIMENT))
    monkeypatch.setenv("TRADEOFF_WORKER_ID", "job-17")

    for api in (connect(script), connect(script, worker_id="own"), connect(script, worker_id="")):
        api.experiments(7).fetch()

    names = [request.headers.get("worker-id") for request in script.requests]
    assert names == ["job-17", "own", None]


@pytest.mark.parametrize("name", ["x" * 101, "two\nlines", " blank", "Zürich"])
def test_a_name_that_no_header_can_carry_is_refused(
    connect: Callable[..., Client], name: str
) -> None:
    with pytest.raises(ValueError, match="worker_id"):
        connect(Script(answer()), worker_id=name)


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
    # No more is asked for than what ends the loop.
    assert script.requests[1].url.params["fields"] == "observation_budget,progress"


SPENT = answer(
    body={"observation_budget": 1, "progress": {"observation_budget_consumed": 1.0}},
)


def test_a_worker_of_a_loop_is_named_in_all_its_calls(connect: Callable[..., Client]) -> None:
    script = Script(
        answer(body=EXPERIMENT),
        answer(body=EXPERIMENT),
        answer(body=SUGGESTION),
        answer(body=OBSERVED),
        SPENT,
    )
    experiment = connect(script, worker_id="other").experiments(7).fetch()

    for suggestion in experiment.loop(worker_id="gpu-1", lease_seconds=60):
        suggestion.observe(f=1.0)

    names = [request.headers["worker-id"] for request in script.requests]
    assert names == ["other", "gpu-1", "gpu-1", "gpu-1", "gpu-1"]
    assert json.loads(script.requests[2].content) == {"worker_id": "gpu-1", "lease_seconds": 60}


def test_the_name_of_the_client_holds_for_its_loops(connect: Callable[..., Client]) -> None:
    script = Script(answer(body=EXPERIMENT), answer(body=SUGGESTION))

    connect(script, worker_id="gpu-1").experiments(7).fetch().suggest()

    assert json.loads(script.requests[1].content) == {"worker_id": "gpu-1"}


def test_trouble_of_the_machine_is_reported_as_such_and_the_loop_goes_on(
    connect: Callable[..., Client],
) -> None:
    turn = [answer(body=EXPERIMENT), answer(body=SUGGESTION), answer(body=OBSERVED)]
    script = Script(answer(body=EXPERIMENT), *turn, *turn, SPENT)
    experiment = connect(script).experiments(7).fetch()
    troubles = [OSError("disk away"), MemoryError("too large")]

    for suggestion in experiment.loop(catch=MemoryError, transient=(OSError, TimeoutError)):
        with suggestion:
            raise troubles.pop(0)

    reports = [json.loads(script.requests[at].content) for at in (3, 6)]
    assert [report.get("failure_kind") for report in reports] == ["transient", None]
    assert reports[0]["metadata"] == {"error": "OSError: disk away"}
    assert troubles == []


def test_a_machine_that_is_broken_ends_its_loop(connect: Callable[..., Client]) -> None:
    turn = [answer(body=EXPERIMENT), answer(body=SUGGESTION), answer(body=OBSERVED)]
    script = Script(answer(body=EXPERIMENT), *turn * 9, SPENT)
    experiment = connect(script).experiments(7).fetch()

    def go_on() -> None:
        for tried, suggestion in enumerate(experiment.loop(transient=OSError)):
            with suggestion:
                if tried == 3:
                    suggestion.observe(f=1.0)
                else:
                    raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        go_on()

    kinds = [
        json.loads(request.content).get("failure_kind")
        for request in script.requests
        if request.url.path.endswith("observations")
    ]
    # All are reported, and one that goes well begins the count anew.
    assert kinds == ["transient"] * 3 + [None] + ["transient"] * 5


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


CHECKPOINT = {"id": "1", "step": 3, "should_stop": True, "stopping_reasons": ["dominated"]}


def test_a_checkpoint_is_reported_by_name_and_answers_whether_to_stop(
    connect: Callable[..., Client],
) -> None:
    suggestion, script = suggested(connect, answer(body={**CHECKPOINT, "values": []}))

    told = suggestion.checkpoint({"top-1": 0.7}, step=3, loss=np.float64(0.5))
    suggestion.checkpoint(0.5, metadata={"host": "a"})

    assert (told.should_stop, told.stopping_reasons) == (True, ["dominated"])
    assert script.requests[1].url.path == "/v1/experiments/7/suggestions/5/checkpoints"
    assert [json.loads(request.content) for request in script.requests[1:]] == [
        {
            "step": 3,
            "values": [{"name": "loss", "value": 0.5}, {"name": "top-1", "value": 0.7}],
        },
        {"values": [{"name": None, "value": 0.5}], "metadata": {"host": "a"}},
    ]


def test_a_checkpoint_that_is_not_finite_is_a_failed_training(
    connect: Callable[..., Client],
) -> None:
    suggestion, script = suggested(connect, answer(body=OBSERVED))

    with pytest.raises(ValueError, match="loss is inf"), suggestion:
        suggestion.checkpoint(step=3, loss=float("inf"))

    assert json.loads(script.requests[1].content)["failed"] is True


def test_a_server_that_is_away_ends_no_training(
    connect: Callable[..., Client], naps: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    script = Script(answer(body=SUGGESTION), broken)
    suggestion = connect(script).experiments(7).suggestions().create()

    first = suggestion.checkpoint(step=1, loss=0.5)
    waited = sum(naps)
    second = suggestion.checkpoint(step=2, loss=0.4)
    waited_again = sum(naps) - waited
    script.answers = [answer(body={**CHECKPOINT, "values": []})]
    third = suggestion.checkpoint(step=3, loss=0.4)

    assert [told.id for told in (first, second, third)] == [None, None, "1"]
    assert [told.should_stop for told in (first, second, third)] == [False, False, True]
    assert first.values[0].value == 0.5
    assert (first.step, first.suggestion, first.stopping_reasons) == (1, "5", [])
    assert waited <= 10
    assert waited_again <= 2
    assert "checkpoint of suggestion 5 is lost" in caplog.text


def test_a_checkpoint_of_an_unknown_metric_is_an_error(connect: Callable[..., Client]) -> None:
    suggestion, _ = suggested(connect, answer(400, {"message": "values[0].name: no metric"}))

    with pytest.raises(client.BadRequest):
        suggestion.checkpoint(step=1, los=0.5)


def test_unknown_fields_are_kept_and_missing_ones_named(connect: Callable[..., Client]) -> None:
    found = connect(Script(answer(body={**EXPERIMENT, "brand_new": 3}))).experiments(7).fetch()

    assert found.brand_new == 3
    assert found.to_json()["brand_new"] == 3
    with pytest.raises(AttributeError, match="no field 'nonsense'"):
        _ = found.nonsense

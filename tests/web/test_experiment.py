"""The header of an experiment: its counts, its model, its warnings, the code to paste."""

from __future__ import annotations

import html
import re
import threading
from typing import Any

import httpx
import pytest

from tests.api.caller import Caller, ok, path_of
from tests.web.visitor import Visitor
from tradeoff import Client
from tradeoff.store import buffer, insights
from tradeoff.store.database import Database
from tradeoff.store.drafts import Draft


def page_of(experiment: dict[str, str]) -> str:
    return f"/experiment/{experiment['id']}"


def test_the_header_counts(api: Caller, visitor: Visitor) -> None:
    experiment = api.single(name="counted", observation_budget=20)
    path = path_of(experiment)
    for x in (0.1, 0.2):
        api.observe(path, assignments={"x": x}, value=x)
    api.observe(path, assignments={"x": 0.3}, failed=True)
    api.observe(path, assignments={"x": 0.4}, failed=True, failure_kind="transient")
    ok(api.post(f"{path}/suggestions"))

    shown = visitor.text(page_of(experiment))

    assert f"counted #{experiment['id']}" in shown
    assert "running 2 done 1 failed, 1 more transient 1 open of 20" in shown
    assert "Filling the space first: 2 more successes until the model proposes" in shown


def test_how_long_asking_takes_is_said(api: Caller, visitor: Visitor) -> None:
    experiment = api.experiment()
    page = f"/experiment/{experiment['id']}"
    assert "asking takes" not in visitor.text(page)

    ok(api.post(f"{path_of(experiment)}/suggestions"))

    assert re.search(r"asking takes \d+ ms", visitor.text(page))


def test_what_proposes_is_said(api: Caller, visitor: Visitor, shared: Database) -> None:
    drawn = api.single(type="random")
    awaited = api.single()
    for number in range(5):
        api.observe(path_of(awaited), assignments={"x": number / 10}, value=number)

    modelled = api.single()
    for number in range(5):
        api.observe(path_of(modelled), assignments={"x": number / 10}, value=number)
    with shared.transaction() as session:
        draft = Draft({"x": 0.7}, "model", {"device": "GPU"})
        key = int(modelled["id"])
        buffer.put_ready(session, key, [draft], revision=5, observations_seen=5)

    assert "no model proposes here" in visitor.text(page_of(drawn))
    answered = "The model knows 5 observations, computed on a GPU just now"
    assert answered in visitor.text(page_of(modelled))
    shown = visitor.text(page_of(awaited))
    assert "The model has not answered yet" in shown
    assert "No worker is running" in shown


def test_warnings_are_plain_words(api: Caller, visitor: Visitor) -> None:
    constant, failing, small = (
        api.single(),
        api.single(),
        api.single(parameters=[{"name": "n", "type": "int", "bounds": {"min": 1, "max": 3}}]),
    )
    for number in range(10):
        api.observe(path_of(constant), assignments={"x": number / 10}, value=1)
    for number in range(5):
        api.observe(path_of(failing), assignments={"x": number / 10}, failed=True)
    for number in (1, 2, 3):
        api.observe(path_of(small), assignments={"n": number}, value=number)
    ok(api.request("DELETE", path_of(constant)))
    archived = visitor.text(page_of(constant))
    ok(api.put(path_of(constant), {"state": "active"}))

    assert "results of value are all the same" in visitor.text(page_of(constant))
    assert "are all failures" in visitor.text(page_of(failing))
    assert "Nearly every configuration" in visitor.text(page_of(small))
    assert "This experiment is archived" in archived
    assert "all the same" not in archived


def test_a_model_that_predicts_nothing_is_warned_of(
    api: Caller, visitor: Visitor, shared: Database
) -> None:
    experiment = api.experiment()
    parameters = [each["name"] for each in experiment["parameters"]]
    judged = {"observations": 15, "coverage": 0.9}
    with shared.transaction() as session:
        insights.put(
            session,
            int(experiment["id"]),
            observations=15,
            importances={"accuracy": dict.fromkeys(parameters, 1 / 3)},
            failure=None,
            calibrations={
                "accuracy": {**judged, "explained": -0.2},
                "ms": {**judged, "explained": 0.9},
            },
        )

    shown = visitor.text(page_of(experiment))

    assert "The model of accuracy predicts no better than the mean" in shown
    assert "The model of ms" not in shown


def test_the_budget_that_is_used_up_is_said(api: Caller, visitor: Visitor) -> None:
    experiment = api.single(observation_budget=2)
    for number in (1, 2, 3):
        api.observe(path_of(experiment), assignments={"x": number / 10}, value=number)

    assert "The budget is used up (3 of 2)" in visitor.text(page_of(experiment))


def pasted(visitor: Visitor, experiment: dict[str, str], element: str) -> str:
    found = re.search(f'id="{element}">([^<]*)<', visitor.page(page_of(experiment)))
    assert found is not None
    return html.unescape(found[1])


@pytest.mark.parametrize("several", [True, False])
def test_the_python_to_paste_runs(api: Caller, visitor: Visitor, several: bool) -> None:
    make = api.experiment if several else api.single
    experiment = make(observation_budget=3)
    code = pasted(visitor, experiment, "python-code")
    assert api.token not in code

    code = code.replace("<API token>", api.token).replace("...", "0.5")
    names: dict[str, Any] = {}
    exec(compile(code, "pasted", "exec"), names)
    names["client"].close()

    with Client(api.token, api_url=visitor.base_url) as client:
        assert client.experiments(int(experiment["id"])).observations().fetch().count == 3


def test_the_curl_to_paste_is_for_this_experiment(api: Caller, visitor: Visitor) -> None:
    experiment = api.experiment(metrics=[{"name": "it's"}, {"name": "b", "objective": "minimize"}])

    code = pasted(visitor, experiment, "curl-code")

    path = f"{visitor.base_url}/v1/experiments/{experiment['id']}"
    assert f"-X POST {path}/suggestions" in code
    assert '{"name": "it\'\\\'\'s", "value": 0.5}' in code


def test_addresses_of_runs_lead_here(api: Caller, visitor: Visitor) -> None:
    experiment = api.experiment()

    answer = visitor.get(f"/aiexperiment/{experiment['id']}")

    assert answer.headers["location"] == page_of(experiment)


def test_news_come_within_seconds_and_hold_no_connection(api: Caller, visitor: Visitor) -> None:
    experiment = api.single(type="random")
    stamps: list[str] = []
    first = threading.Event()

    def listen() -> None:
        with visitor.http.stream("GET", f"{page_of(experiment)}/events") as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    stamps.append(line)
                    first.set()
                if len(stamps) == 2:
                    return

    listener = threading.Thread(target=listen)
    listener.start()
    assert first.wait(30)
    # More streams than there are connections and threads.
    with httpx.Client(cookies=visitor.http.cookies, base_url=visitor.base_url) as other:
        opened = [
            other.send(other.build_request("GET", f"{page_of(experiment)}/events"), stream=True)
            for _ in range(30)
        ]
        api.observe(path_of(experiment), assignments={"x": 0.1}, value=1)
        listener.join(30)
        for stream in opened:
            stream.close()

    assert len(set(stamps)) == 2


@pytest.mark.parametrize("reported", [False, True])
def test_what_comes_before_a_page_listens_is_news(
    api: Caller, visitor: Visitor, reported: bool
) -> None:
    experiment = api.single(type="random")
    (drawn,) = re.findall(r'data-stamp="([^"]+)"', visitor.page(page_of(experiment)))
    if reported:
        api.observe(path_of(experiment), assignments={"x": 0.1}, value=1)

    with visitor.http.stream("GET", f"{page_of(experiment)}/events") as stream:
        told = next(line for line in stream.iter_lines() if line.startswith("data: "))

    assert (told != f"data: {drawn}") == reported


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
def test_news_are_for_those_who_may_see_the_experiment(
    other: Caller, visitor: Visitor, accept: str
) -> None:
    path = f"{page_of(other.single())}/events"

    assert visitor.http.get(path, headers={"Accept": accept}).status_code == 404


def test_it_is_paused_and_resumed_from_every_tab(
    api: Caller, visitor: Visitor, reader: Visitor
) -> None:
    experiment = api.experiment()
    path = f"/experiment/{experiment['id']}"

    assert visitor.done(f"{path}/pause", tab="suggestions") == f"{path}/suggestions"

    shown = visitor.text(path)
    assert "This experiment is paused : it hands out no suggestion" in shown
    assert "Resume" in shown
    assert ok(api.get(path_of(experiment)))["paused"] is True
    assert "Resume" not in reader.text(path)
    assert reader.post(f"{path}/resume").status_code == 403
    assert visitor.post(f"{path}/resume", form_token="0").status_code == 403
    assert visitor.done(f"{path}/resume", tab="results") == path
    assert ok(api.get(path_of(experiment)))["paused"] is False

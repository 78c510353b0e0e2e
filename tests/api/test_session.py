from __future__ import annotations

import concurrent.futures
import json
import logging
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from tests.api.caller import ASSIGNMENTS, Caller, ok, path_of, refusal, single_body, values
from tests.crowd import at_once
from tests.serving import serve
from tradeoff.api import bodies
from tradeoff.api.app import build_api
from tradeoff.api.routing import Permission, Route
from tradeoff.api.wire.base import Answer
from tradeoff.config import Settings
from tradeoff.service.access import Principal
from tradeoff.store import database as databases
from tradeoff.store.database import Database, Session

# The order of checks (contract 2.2)


def test_malformed_json_comes_before_the_token(http: httpx.Client) -> None:
    refusal(http.post("/v1/experiments", content=b"{"), 400)
    refusal(http.post("/v1/experiments/999999/suggestions", content=b"{"), 400)


def test_the_token_comes_before_the_object(http: httpx.Client) -> None:
    refusal(http.post("/v1/experiments/999999/observations", json={"nonsense": 1}), 401)
    refusal(http.get("/v1/experiments/abc"), 401)


def test_the_object_comes_before_the_fields(api: Caller) -> None:
    refusal(api.post("/v1/experiments/999999999/observations", {"nonsense": 1}), 404)
    refusal(api.get("/v1/experiments/999999999", colour=1), 404)


def test_a_get_does_not_parse_its_body(api: Caller) -> None:
    ok(
        api.request(
            "GET", "/v1/experiments", content=b"{", headers={"Content-Type": "application/json"}
        )
    )


# Bodies


@pytest.mark.parametrize(
    "content_type", [None, "application/x-www-form-urlencoded", "application/json;charset=UTF-8"]
)
def test_a_body_is_json_whatever_curl_calls_it(api: Caller, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    content = json.dumps(single_body()).encode()

    created = ok(api.request("POST", "/v1/experiments", content=content, headers=headers))

    assert created["name"] == "single"


def test_a_body_of_another_type_is_ignored(api: Caller) -> None:
    headers = {"Content-Type": "text/plain"}

    answer = api.request("POST", "/v1/experiments", content=b"{", headers=headers)

    assert "required" in refusal(answer)


def test_a_body_over_the_limit_is_refused_without_being_read(api: Caller) -> None:
    answer = api.request("POST", "/v1/experiments", content=b" " * 20_000_000)

    assert "1048576 bytes" in refusal(answer, 413)


def test_a_chunked_body_over_the_limit_is_refused(api: Caller) -> None:
    def chunks() -> object:
        for _ in range(40):
            yield b" " * 100_000

    refusal(api.request("POST", "/v1/experiments", content=chunks()), 413)


def test_a_batch_may_be_larger(api: Caller) -> None:
    path = path_of(api.single())
    padding = b" " * 2_000_000

    ok(api.request("POST", f"{path}/observations/batch", content=b'{"observations": []}' + padding))
    answer = api.request("POST", f"{path}/observations", content=padding)
    refusal(answer, 413)


def test_the_announced_size_is_enough_to_refuse(api: Caller, base_url: str) -> None:
    address = urlsplit(base_url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(
            b"POST /v1/experiments HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n"
        )
        answer = connection.recv(4096)

    assert b" 413 " in answer.split(b"\r\n")[0]


def test_a_body_that_never_comes_is_given_up(
    base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "RECEIVE_SECONDS", 0.2)
    address = urlsplit(base_url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(
            b"POST /v1/experiments HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
        )
        answer = connection.recv(4096)

    assert b" 408 " in answer.split(b"\r\n")[0]


# Addresses


@pytest.mark.parametrize(
    "number",
    [
        "abc",
        "0",
        "-1",
        "1.5",
        str(2**63 - 1),
        str(2**63),
        "1e3",
        "01",
        "%00",
        "%20",
        "١",
        "9" * 400,
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        "/v1/experiments/{}",
        "/v1/experiments/{}/suggestions",
        "/v1/experiments/OWN/suggestions/{}",
        "/v1/experiments/OWN/observations/{}",
        "/v1/clients/{}",
        "/v1/clients/{}/experiments",
    ],
)
def test_an_id_that_is_none_is_not_found(
    standing: Caller, own_experiment: str, path: str, number: str
) -> None:
    address = path.replace("OWN", own_experiment).format(number)

    refusal(standing.get(address), 404)


@pytest.fixture(scope="module")
def own_experiment(standing: Caller) -> str:
    return str(standing.single()["id"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1", 404),
        ("GET", "/v1/", 404),
        ("GET", "/v2/experiments", 404),
        ("GET", "/v1/experiments/", 404),
        ("GET", "/v1/experiments/1/nothing", 404),
        ("POST", "/v1/nothing", 404),
        ("PATCH", "/v1/experiments/1", 405),
        ("PUT", "/v1/experiments", 405),
        ("DELETE", "/v1/experiments", 405),
        ("POST", "/v1/experiments/1", 405),
        ("MERGE", "/v1/experiments/1", 405),
        ("POST", "/v1/tokens/self", 405),
    ],
)
def test_where_there_is_nothing(standing: Caller, method: str, path: str, status: int) -> None:
    refusal(standing.request(method, path), status)


def test_every_answer_has_a_request_id(standing: Caller) -> None:
    given = standing.request("GET", "/v1/experiments", headers={"X-Request-Id": "mine-1"})

    assert given.headers["x-request-id"] == "mine-1"
    assert standing.get("/v1/nothing").headers["x-request-id"]
    assert standing.get("/health/live").headers["x-request-id"]


# Retries (reliability.md, section 2)


def test_a_retry_takes_effect_once_and_gets_the_first_answer(api: Caller) -> None:
    path = path_of(api.single())
    key = {"Idempotency-Key": "k 1"}
    report = {"assignments": {"x": 0.5}, "value": 1}

    first = api.post(f"{path}/observations", report, headers=key)
    again = api.post(f"{path}/observations", report, headers=key)

    assert ok(first) == ok(again)
    assert first.content == again.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert ok(api.get(path))["progress"]["observation_count"] == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_other_methods_replay_too(api: Caller, method: str) -> None:
    path = path_of(api.single())
    key = {"Idempotency-Key": "k"}

    first = api.request(method, path, headers=key)
    again = api.request(method, path, headers=key)

    assert first.content == again.content
    assert again.headers["idempotency-replayed"] == "true"


def test_a_key_belongs_to_one_request(api: Caller) -> None:
    path = path_of(api.single())
    key = {"Idempotency-Key": "k"}
    ok(api.post(f"{path}/observations", {"assignments": {"x": 0.5}, "value": 1}, headers=key))

    other_body = {"assignments": {"x": 0.5}, "value": 2}
    refusal(api.post(f"{path}/observations", other_body, headers=key), 422)
    refusal(api.post(f"{path}/suggestions", {}, headers=key), 422)
    assert ok(api.get(path))["progress"]["observation_count"] == 1


def test_a_refused_request_gives_its_key_back(api: Caller) -> None:
    path = path_of(api.single())
    key = {"Idempotency-Key": "k"}

    refusal(api.post(f"{path}/observations", {"assignments": {}, "value": 1}, headers=key))

    ok(api.post(f"{path}/observations", {"assignments": {"x": 0.5}, "value": 1}, headers=key))


def test_keys_of_two_tokens_do_not_meet(api: Caller, other: Caller) -> None:
    key = {"Idempotency-Key": "k"}

    mine = ok(api.post("/v1/experiments", single_body(), headers=key))
    theirs = ok(other.post("/v1/experiments", single_body(), headers=key))

    assert mine["id"] != theirs["id"]


def test_twins_at_the_same_moment_take_effect_once(api: Caller, base_url: str) -> None:
    path = path_of(api.single())
    count = 16

    def report(_: int) -> httpx.Response:
        return httpx.post(
            f"{base_url}{path}/observations",
            auth=(api.token, ""),
            json={"assignments": {"x": 0.5}, "value": 1},
            headers={"Idempotency-Key": "twins"},
            timeout=30,
        )

    answers = at_once(count, report)

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    replayed = [a for a in answers if "idempotency-replayed" in a.headers]
    assert len(replayed) == count - 1
    assert ok(api.get(path))["progress"]["observation_count"] == 1


def test_twins_of_what_can_be_done_once_all_hear_that_it_was_done(
    api: Caller, base_url: str
) -> None:
    """Whoever comes second finds the thing gone, since its twin deleted it."""
    path = path_of(api.single())
    observation = ok(api.post(f"{path}/observations", {"assignments": {"x": 0.5}, "value": 1}))
    count = 8

    def delete(_: int) -> httpx.Response:
        return httpx.delete(
            f"{base_url}{path}/observations/{observation['id']}",
            auth=(api.token, ""),
            headers={"Idempotency-Key": "gone"},
            timeout=30,
        )

    answers = at_once(count, delete)

    assert {answer.status_code for answer in answers} == {200}
    assert ok(api.get(path))["progress"]["observation_count"] == 0


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\tbed", "ü".encode().decode("latin-1")])
def test_a_key_that_is_none_is_refused(api: Caller, key: str) -> None:
    headers = httpx.Headers([(b"Idempotency-Key", key.encode("latin-1"))])

    answer = api.request("POST", "/v1/experiments", json=single_body(), headers=headers)

    assert "Idempotency-Key" in refusal(answer)
    assert ok(api.get("/v1/experiments"))["count"] == 0


def test_the_longest_key_works(api: Caller) -> None:
    ok(api.post("/v1/experiments", single_body(), headers={"Idempotency-Key": "x" * 255}))


def test_many_report_at_once_and_none_is_lost(api: Caller, base_url: str) -> None:
    path = path_of(api.experiment())

    def report(number: int) -> str:
        body = {"assignments": {**ASSIGNMENTS, "filters": number}, "values": values(number, 1)}
        answer = httpx.post(
            f"{base_url}{path}/observations", auth=(api.token, ""), json=body, timeout=30
        )
        return str(ok(answer)["id"])

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        made = list(pool.map(report, range(48)))

    assert len(set(made)) == 48
    shown = ok(api.get(path))["progress"]
    assert shown["observation_count"] == 48
    assert {shown["first_observation"]["id"], shown["last_observation"]["id"]} == {
        str(min(map(int, made))),
        str(max(map(int, made))),
    }


# An answer that cannot be given stores nothing


class Unanswerable(Answer):
    """An answer that breaks when it is written down."""

    body: object


def act_and_break(session: Session, principal: Principal) -> Unanswerable:
    """Store something, then answer with what is no JSON."""
    from tradeoff.store import accounts

    accounts.insert_client(session, name="never to be seen")
    return Unanswerable(body=object())


def test_an_answer_that_cannot_be_written_rolls_everything_back(
    shared_url: str, shared: Database, api: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    from tradeoff.store import accounts

    settings = Settings(database_url=shared_url)
    app = build_api(
        databases.connect(shared_url, pool_size=3),
        settings,
        routes=[Route("POST", "/v1/break", act_and_break, Permission.WRITE)],
    )
    with serve(app) as url, caplog.at_level(logging.ERROR):
        answer = httpx.post(f"{url}/v1/break", auth=(api.token, ""))

    assert "request id" in refusal(answer, 500)
    assert "request failed unexpectedly" in caplog.text
    assert api.token not in caplog.text
    with shared.transaction() as session:
        assert "never to be seen" not in [row.name for row in accounts.list_clients(session)]


def test_a_database_that_is_away_is_a_503_that_says_when_to_come_back(
    tmp_path: object, api: Caller
) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:9/nothing"
    app = build_api(databases.connect(nowhere, pool_size=3), Settings(database_url=nowhere))

    with serve(app) as url:
        answer = httpx.get(f"{url}/v1/experiments", auth=(api.token, ""))
        ready = httpx.get(f"{url}/health/ready")
        live = httpx.get(f"{url}/health/live")

    refusal(answer, 503)
    assert int(answer.headers["retry-after"]) > 0
    refusal(ready, 503)
    assert live.status_code == 200


# What needs no token


def test_health(http: httpx.Client) -> None:
    assert http.get("/health").json() == {}
    assert http.head("/health").status_code == 200
    assert http.head("/health/live").content == b""
    ready = http.get("/health/ready").json()
    assert ready["database"] == "ok"
    assert set(ready) == {"database", "workers", "queue"}
    assert set(ready["queue"]) == {"waiting", "running", "oldest_seconds"}


def test_measurements_tell_paths_and_not_addresses(http: httpx.Client, standing: Caller) -> None:
    standing.get("/v1/experiments/123456789")

    shown = http.get("/metrics").text

    assert 'path="/v1/experiments/{experiment}",status="404"' in shown
    assert "123456789" not in shown


def test_the_front_door_says_where_to_go(http: httpx.Client) -> None:
    assert http.get("/").json()["documentation"] == "/docs"
    browser = http.get("/", headers={"Accept": "text/html"})
    assert (browser.status_code, browser.headers["location"]) == (307, "/docs")

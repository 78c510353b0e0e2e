"""How often one may ask, by the clock of the test; and that an app of ours refuses, too."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import text

from tests.api.caller import Caller, ok, refusal
from tests.api.test_accounts import make_token
from tests.builders import make_account, make_admin
from tests.serving import serve_beside
from tradeoff.api.rates import Rates
from tradeoff.errors import TooManyRequests
from tradeoff.service.access import Principal
from tradeoff.store.database import Database


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def principal(client_id: int, rate: float | None = None) -> Principal:
    return Principal(1, client_id, 1, "write", False, None, None, requests_per_second=rate)


def count(rates: Rates, secret: str, tries: int) -> int:
    """How many of so many requests are let in."""
    let_in = 0
    for _ in range(tries):
        try:
            rates.admit(secret)
        except TooManyRequests:
            continue
        let_in += 1
    return let_in


def test_a_bucket_holds_two_seconds_and_fills_again() -> None:
    clock = Clock()
    rates = Rates(10, None, clock=clock)
    rates.learn("a", principal(1))

    assert count(rates, "a", 50) == 20
    clock.now += 0.5
    assert count(rates, "a", 50) == 5
    clock.now += 1_000
    assert count(rates, "a", 50) == 20


def test_who_is_refused_is_told_when_to_come_back() -> None:
    clock = Clock()
    rates = Rates(0.1, None, clock=clock)
    rates.learn("a", principal(1))
    rates.admit("a")

    with pytest.raises(TooManyRequests, match=r"token may ask 0\.1 times a second") as refused:
        rates.admit("a")

    assert refused.value.retry_after_seconds == 10
    clock.now += 10
    rates.admit("a")


def test_tokens_of_a_client_share_its_rate_and_others_do_not() -> None:
    rates = Rates(None, 5, clock=Clock())
    for secret, client in (("a", 1), ("b", 1), ("c", 2)):
        rates.learn(secret, principal(client))

    assert count(rates, "a", 7) == 7
    assert count(rates, "b", 7) == 3
    assert count(rates, "c", 7) == 7


def test_what_a_client_refuses_is_not_taken_from_the_token() -> None:
    clock = Clock()
    rates = Rates(10, 1, clock=clock)
    rates.learn("a", principal(1))

    assert count(rates, "a", 40) == 2
    rates.learn("a", principal(1, rate=100))
    clock.now += 1
    assert count(rates, "a", 40) == 20


def test_a_clients_own_rate_is_learnt_and_forgotten_with_its_requests() -> None:
    rates = Rates(None, None, clock=Clock())
    rates.learn("a", principal(1, rate=1))
    assert count(rates, "a", 9) == 2

    rates.learn("a", principal(1))

    assert count(rates, "a", 9) == 9


def test_who_is_not_known_yet_is_looked_up() -> None:
    rates = Rates(0.01, 0.01, clock=Clock())

    assert count(rates, "a", 9) == 9
    rates.admit(None)


@pytest.fixture(scope="module")
def limited(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """An API process whose tokens may ask once in a thousand seconds."""
    folder = tmp_path_factory.mktemp("limited")
    with serve_beside(shared_url, folder, token_requests_per_second=0.001) as client:
        yield client


def test_a_process_refuses_what_is_too_much_and_asks_nothing_of_the_database(
    limited: httpx.Client, shared: Database
) -> None:
    account = make_account(shared, "Busy")
    caller = Caller(limited, account.token, account.client_id)
    # By the first one the process learns whose the token is.
    ok(caller.get("/v1/tokens/self"))
    ok(caller.get("/v1/tokens/self"))

    refused = caller.get("/v1/tokens/self")

    assert "0.001 times a second" in refusal(refused, 429)
    assert 990 <= int(refused.headers["retry-after"]) <= 1_000
    with shared.transaction() as session:
        session.execute(text("lock table tokens in access exclusive mode"))
        refusal(caller.get("/v1/tokens/self"), 429)
    assert limited.get("/health/live").status_code == 200


def test_a_clients_own_rate_holds_for_all_its_tokens(api: Caller, shared: Database) -> None:
    admin = make_token(shared, api, role="admin")
    ok(admin.put(f"/v1/clients/{api.client_id}/quotas", {"requests_per_second": 0.01}))
    # Each process learns it by the next request of each token.
    ok(api.get("/v1/tokens/self"))
    ok(api.get("/v1/tokens/self"))

    refused = api.get("/v1/tokens/self")

    assert "This client may ask 0.01 times a second" in refusal(refused, 429)
    assert int(refused.headers["retry-after"]) >= 90
    other = make_account(shared, "Other")
    beside = Caller(api.http, make_admin(shared, other), other.client_id)
    for _ in range(5):
        ok(beside.get("/v1/tokens/self"))

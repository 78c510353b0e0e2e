"""Being wrong too often: tokens from one address, ids with one token."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.api.caller import Caller, ok, refusal
from tests.builders import make_account
from tests.serving import serve_beside
from tradeoff.api.guesses import Guesses
from tradeoff.errors import NotAllowed, NotFound, TooManyRequests
from tradeoff.store.database import Database

REVOKED = NotAllowed("no", token_status="revoked")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_was_wrong_is_forgotten_with_time() -> None:
    clock = Clock()
    guesses = Guesses(2, 10, clock=clock)
    for _ in range(2):
        guesses.count(REVOKED, address="a", secret=None)

    with pytest.raises(TooManyRequests, match="at most 2 in 60 seconds") as caught:
        guesses.count(REVOKED, address="a", secret=None)

    assert caught.value.retry_after_seconds == 30
    guesses.count(REVOKED, address="b", secret=None)
    clock.now = 30.0
    guesses.count(REVOKED, address="a", secret=None)


def test_what_a_token_may_not_is_no_guess() -> None:
    guesses = Guesses(1, 1, clock=Clock())
    refused = NotAllowed("read only", token_status="invalid_permissions")

    for _ in range(9):
        guesses.count(refused, address="a", secret="s")
        guesses.count(NotFound("page"), address="a", secret=None)


@pytest.fixture(scope="module")
def strict(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """An API process that forgives two wrong tokens and three wrong ids."""
    folder = tmp_path_factory.mktemp("strict")
    with serve_beside(
        shared_url, folder, wrong_tokens_per_minute=2, unknown_ids_per_ten_minutes=3
    ) as client:
        yield client


def test_whoever_guesses_is_told_to_wait_and_nobody_else(
    strict: httpx.Client, shared: Database
) -> None:
    one, two = make_account(shared, "One"), make_account(shared, "Two")
    first = Caller(strict, one.token, one.client_id)
    second = Caller(strict, two.token, two.client_id)
    stranger = Caller(strict, "tdo_" + "x" * 43, 0)
    mine = first.experiment()["id"]

    statuses = [stranger.get(f"/v1/experiments/{mine}").status_code for _ in range(4)]
    assert statuses == [403, 403, 429, 429]
    # The same address, with a token that works.
    ok(first.get(f"/v1/experiments/{mine}"))
    statuses = [second.get(f"/v1/experiments/{mine}").status_code for _ in range(5)]
    assert statuses == [404, 404, 404, 429, 429]
    refused = second.get("/v1/experiments/999999999/observations")
    assert "at most 3 in 600 seconds" in refusal(refused, 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 600
    ok(second.get("/v1/tokens/self"))
    assert first.get("/v1/experiments/999999999").status_code == 404

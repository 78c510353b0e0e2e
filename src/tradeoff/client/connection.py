"""The connection: address, token, retries."""

from __future__ import annotations

import logging
import os
import random
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from tradeoff.client import errors
from tradeoff.client.resources import ClientResource, Experiments, TokenResource

logger = logging.getLogger(__name__)

DEFAULT_URL = "http://127.0.0.1:8080"
#: Answers that may be different in a moment.
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 10.0
#: Shorter than the server's keep-alive, so that no connection is used as the server closes it.
KEEPALIVE_SECONDS = 30.0


class Client:
    """A connection to a Tradeoff server.

    >>> client = Client("tdo_...", api_url="http://127.0.0.1:8080")  # doctest: +SKIP
    >>> experiment = client.experiments.create(name="first", parameters=[...])  # doctest: +SKIP

    Every write carries an `Idempotency-Key`, so that the client may send it again after a broken
    connection, a 429 or a 5xx: it takes effect once.

    Args:
        api_token: else the environment variable `TRADEOFF_API_TOKEN`, else the token of a
            `tradeoff up` on this machine.
        api_url: else `TRADEOFF_API_URL`, else `http://127.0.0.1:8080`.
        timeout_seconds: for one try of one request.
        retry_seconds: how long a request is tried again before the client gives up.
        transport: how to reach the server, for tests.

    Raises:
        NoToken: when there is no token to be found.
    """

    def __init__(
        self,
        api_token: str | None = None,
        *,
        api_url: str | None = None,
        timeout_seconds: float = 60.0,
        retry_seconds: float = 900.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        url = api_url or os.environ.get("TRADEOFF_API_URL") or DEFAULT_URL
        self.api_url = url.rstrip("/").removesuffix("/v1")
        self.retry_seconds = retry_seconds
        self._http = httpx.Client(
            base_url=f"{self.api_url}/v1",
            auth=(api_token or _find_token(), ""),
            timeout=timeout_seconds,
            limits=httpx.Limits(keepalive_expiry=KEEPALIVE_SECONDS),
            headers={"User-Agent": "tradeoff-python"},
            transport=transport,
            follow_redirects=True,
        )

    @property
    def experiments(self) -> Experiments:
        """All experiments, or with an id one: `client.experiments(7).fetch()`."""
        return Experiments(self, "/experiments")

    def clients(self, client_id: str | int) -> ClientResource:
        """A client (a team) by its id: `client.clients(12).fetch()`."""
        return ClientResource(self, f"/clients/{client_id}")

    def tokens(self, token: str = "self") -> TokenResource:
        """A token, by default the one in use: `client.tokens().fetch()`."""
        return TokenResource(self, f"/tokens/{token}")

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Send one request, again and again if need be, and give the answer's JSON.

        Args:
            method: of HTTP.
            path: below `/v1`.
            params: query string; `None` values are left out.
            body: JSON object.

        Raises:
            ConnectionFailed: when the server could not be reached for `retry_seconds`.
            ApiError: when it answers with an error that a retry would not mend.
        """
        headers = {} if method == "GET" else {"Idempotency-Key": uuid.uuid4().hex}
        query = {key: value for key, value in (params or {}).items() if value is not None}
        deadline = time.monotonic() + self.retry_seconds
        attempt = 0
        while True:
            wait: float | None = None
            failure: errors.TradeoffClientError
            try:
                response = self._http.request(
                    method, path, params=query, json=body, headers=headers
                )
            except (httpx.TransportError, httpx.RemoteProtocolError) as error:
                failure = errors.ConnectionFailed(
                    f"cannot reach the Tradeoff server at {self.api_url}: {error}; is it running? "
                    "`tradeoff up` starts one on this machine, TRADEOFF_API_URL points to another"
                )
                failure.__cause__ = error
            else:
                if response.is_success:
                    return _json(response)
                failure = errors.from_response(response.status_code, _json(response))
                if not _is_transient(response):
                    raise failure
                wait = _retry_after(response)
            attempt += 1
            pause = _pause(attempt) if wait is None else wait
            if time.monotonic() + pause > deadline:
                raise failure
            if attempt == 1:
                logger.warning("trying again for up to %d s: %s", self.retry_seconds, failure)
            time.sleep(pause)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Client:
        """Use the client in a `with` block, which closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()


def _find_token() -> str:
    token = os.environ.get("TRADEOFF_API_TOKEN")
    if token:
        return token
    folder = os.environ.get("TRADEOFF_DATA_DIR")
    path = (Path(folder) if folder else Path.home() / ".tradeoff") / "token"
    try:
        kept = path.read_text().strip()
    except OSError:
        kept = ""
    if not kept:
        raise errors.NoToken(
            "no API token: pass one to Client(...), set TRADEOFF_API_TOKEN, or run `tradeoff up` "
            f"on this machine, which keeps one in {path}"
        )
    return kept


def _is_transient(response: httpx.Response) -> bool:
    # A 409 with Retry-After is our own earlier try, still at work.
    is_twin = response.status_code == 409 and "retry-after" in response.headers
    return response.status_code in TRANSIENT or is_twin


def _retry_after(response: httpx.Response) -> float | None:
    """What the server asks for, with a little jitter so that a fleet does not come back at once."""
    try:
        seconds = float(response.headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return min(max(seconds, 0.0), 60.0) + random.uniform(0, 0.25)


def _pause(attempt: int) -> float:
    """Exponential back-off with full jitter, never quite zero."""
    ceiling = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(attempt, 16))
    return random.uniform(FIRST_WAIT_SECONDS / 2, ceiling)


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {"message": response.text[:500]}

"""The connection: address, token, retries."""

from __future__ import annotations

import json
import logging
import math
import os
import random
import time
import uuid
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from tradeoff.client import errors, spool
from tradeoff.client.paths import check_worker_id
from tradeoff.client.resources import ClientResource, Experiments, TokenResource

logger = logging.getLogger(__name__)

DEFAULT_URL = "http://127.0.0.1:8080"
#: Refusals that may be none in a moment; so may every 5xx.
TRANSIENT = frozenset({408, 425, 429})
CONNECT_SECONDS = 10.0
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 10.0
#: A server that asks for more is asked again after so long.
LONGEST_RETRY_AFTER_SECONDS = 60.0
#: Shorter than the server's keep-alive, so that no connection is used as the server closes it.
KEEPALIVE_SECONDS = 30.0


class Client:
    """A connection to a Tradeoff server.

    >>> client = Client("tdo_...", api_url="http://127.0.0.1:8080")  # doctest: +SKIP
    >>> experiment = client.experiments.create(name="first", parameters=[...])  # doctest: +SKIP

    Every write carries an `Idempotency-Key`, so that the client may send it again after a broken
    connection, a 429 or a 5xx: it takes effect once. A report that cannot be delivered is kept on
    disk (`Spooled`), and `tradeoff resend` delivers it.

    Args:
        api_token: else the environment variable `TRADEOFF_API_TOKEN`, else the token of a
            `tradeoff up` on this machine.
        api_url: else `TRADEOFF_API_URL`, else `http://127.0.0.1:8080`.
        timeout_seconds: for one try of one request.
        retry_seconds: how long a request is tried again before the client gives up.
        worker_id: the name of this training process, else `TRADEOFF_WORKER_ID`, else none. Started
            again under the same name it is given the suggestion that it left open, and any call
            renews its leases. Two processes under one name would train the same; "" is no name.
        transport: how to reach the server, for tests.

    Raises:
        NoToken: when there is no token to be found.
        BadAddress: when the address is not one of HTTP.
        ValueError: when the worker's name cannot be sent.
    """

    def __init__(
        self,
        api_token: str | None = None,
        *,
        api_url: str | None = None,
        timeout_seconds: float = 60.0,
        retry_seconds: float = 900.0,
        worker_id: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.api_url = find_url(api_url)
        self.retry_seconds = retry_seconds
        name = os.environ.get("TRADEOFF_WORKER_ID") if worker_id is None else worker_id
        self.worker_id = check_worker_id(name) if name else None
        host = _check_address(self.api_url)
        token = api_token or _find_token()
        #: Tells this client's token from others, without telling it.
        self.token_mark = spool.mark_of(token)
        self._http = httpx.Client(
            base_url=f"{self.api_url}/v1",
            auth=(token, ""),
            timeout=httpx.Timeout(timeout_seconds, connect=min(timeout_seconds, CONNECT_SECONDS)),
            limits=httpx.Limits(keepalive_expiry=KEEPALIVE_SECONDS),
            headers={"User-Agent": "tradeoff-python", "Content-Type": "application/json"},
            transport=transport,
            # A company's proxy does not lead to this machine.
            trust_env=not _is_local(host),
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
        worker_id: str | None = None,
        within_seconds: float | None = None,
        keep: bool = False,
        key: str | None = None,
    ) -> dict[str, Any]:
        """Send one request, again and again if need be, and give the answer's JSON.

        Args:
            method: of HTTP.
            path: below `/v1`.
            params: query string; `None` values are left out.
            body: JSON object.
            worker_id: the worker whose leases this call renews, if not that of the client.
            within_seconds: give up after so long, instead of `retry_seconds`.
            keep: it carries a result: kept on disk from its first failed try until it is stored.
            key: its `Idempotency-Key`, for who may send the same again after a restart; else a new
                one.

        Raises:
            ConnectionFailed: when the server could not be reached for so long.
            Spooled: the same, and the request is kept on disk.
            ApiError: when it answers with an error that a retry would not mend.
        """
        content = None if body is None else json.dumps(body, allow_nan=False, default=_plain)
        letter = spool.Letter(
            method=method,
            path=path,
            body=content or "",
            key="" if method == "GET" else key or uuid.uuid4().hex,
            api_url=self.api_url,
            when=time.time(),
            token_mark=self.token_mark,
        )
        request = self._build(letter, params, worker_id or self.worker_id, within_seconds)
        patience = self.retry_seconds if within_seconds is None else within_seconds
        if keep:
            return self._deliver(request, letter, patience)
        return self._send(request, patience)

    def resend(self, letter: spool.Letter) -> dict[str, Any]:
        """Send a letter of the spool, byte for byte and under its own key.

        Raises:
            ConnectionFailed: when the server could not be reached.
            ApiError: when it answers with an error.
        """
        return self._send(self._build(letter), self.retry_seconds)

    def _build(
        self,
        letter: spool.Letter,
        params: Mapping[str, Any] | None = None,
        worker_id: str | None = None,
        within_seconds: float | None = None,
    ) -> httpx.Request:
        headers = {"Idempotency-Key": letter.key} if letter.key else {}
        if worker_id:
            headers["Worker-Id"] = worker_id
        timeout = self._http.timeout
        if within_seconds is not None and within_seconds < (timeout.read or math.inf):
            timeout = httpx.Timeout(within_seconds)
        return self._http.build_request(
            letter.method,
            letter.path.removeprefix("/"),
            params={key: value for key, value in (params or {}).items() if value is not None},
            content=letter.body or None,
            headers=headers,
            timeout=timeout,
        )

    def _deliver(
        self, request: httpx.Request, letter: spool.Letter, patience: float
    ) -> dict[str, Any]:
        """Send what must not be lost: on disk it outlives this process, whatever ends that."""
        keeper = spool.Keeper(letter)
        try:
            answer = self._send(request, patience, on_trouble=keeper.keep)
        except errors.TradeoffClientError as error:
            if _is_refusal(error):
                keeper.drop()
                raise
            keeper.keep()
            raise _tell_of(keeper, error) from error
        except BaseException:
            # Ctrl-C, or an exit: the server may have it or not, and the key settles that.
            keeper.keep()
            logger.warning("%s", keeper.describe())
            raise
        keeper.drop()
        return answer

    def _send(
        self,
        request: httpx.Request,
        patience: float,
        *,
        on_trouble: Callable[[], None] | None = None,
    ) -> dict[str, Any]:
        """Send a request until it is answered, or for so many seconds.

        Args:
            request: what to send.
            patience: in seconds.
            on_trouble: called after the first try, when it has failed.
        """
        deadline = time.monotonic() + patience
        attempt = 0
        while True:
            attempt += 1
            answer, wait = self._try(request)
            if isinstance(answer, dict):
                return answer
            if attempt == 1 and on_trouble is not None:
                on_trouble()
            pause = _pause(attempt) if wait is None else wait
            if time.monotonic() + pause > deadline:
                raise answer
            if attempt == 1:
                logger.warning("trying again for up to %d s: %s", patience, answer)
            time.sleep(pause)

    def _try(
        self, request: httpx.Request
    ) -> tuple[dict[str, Any] | errors.TradeoffClientError, float | None]:
        """Send a request once.

        Returns:
            The answer's JSON, or the error if it may pass; and how long the server asks to wait.
        """
        if self._http.is_closed:
            raise errors.ConnectionFailed("this client is closed")
        try:
            response = self._http.send(request)
        # An answer that cannot be unpacked was damaged on its way.
        except (httpx.TransportError, httpx.DecodingError) as error:
            failure = errors.ConnectionFailed(
                f"cannot reach the Tradeoff server at {self.api_url}: "
                f"{str(error) or type(error).__name__}; is it running? `tradeoff up` starts one "
                "on this machine, TRADEOFF_API_URL points to another"
            )
            failure.__cause__ = error
            return failure, None
        body = _json(response)
        if response.is_success and body is not None:
            return body, None
        told = errors.from_response(response.status_code, body or self._explain(response))
        if not _is_transient(response):
            raise told
        told.may_pass = True
        return told, _retry_after(response)

    def _explain(self, response: httpx.Response) -> dict[str, Any]:
        """Say what an answer means that no Tradeoff server gives."""
        if response.is_redirect:
            # Followed, a POST would become a GET and seem to succeed.
            goal = response.headers.get("location", "another address")
            return {"message": f"{self.api_url} redirects to {goal}: use that as the address"}
        if response.is_success:
            return {
                "message": f"{self.api_url} answers, but not with JSON: is it a Tradeoff server? "
                f"It says: {response.text[:200]!r}"
            }
        return {"message": response.text[:500] or response.reason_phrase}

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


def find_url(api_url: str | None = None) -> str:
    """The address of the server: the one given, else `TRADEOFF_API_URL`, else this machine's."""
    url = api_url or os.environ.get("TRADEOFF_API_URL") or DEFAULT_URL
    return url.rstrip("/").removesuffix("/v1")


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


def _check_address(url: str) -> str:
    """Return the host of an address.

    Raises:
        BadAddress: when it is not one of HTTP; no retry would mend that.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise errors.BadAddress(f"{url!r} is no address: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise errors.BadAddress(
            f"{url!r} is no address of a server; it must look like {DEFAULT_URL}"
        )
    return parsed.host


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_transient(response: httpx.Response) -> bool:
    # A 409 with Retry-After is our own earlier try, still at work.
    is_twin = response.status_code == 409 and "retry-after" in response.headers
    return response.status_code in TRANSIENT or response.is_server_error or is_twin


def _is_refusal(error: errors.TradeoffClientError) -> bool:
    """Whether the server has said no, so that the same request never succeeds.

    A redirect, or a page of somebody's proxy, says nothing about the request.
    """
    return isinstance(error, errors.ApiError) and error.status_code >= 400 and not error.may_pass


def _tell_of(keeper: spool.Keeper, error: errors.TradeoffClientError) -> errors.TradeoffClientError:
    """The error for a report that was not delivered."""
    if keeper.path is not None:
        return errors.Spooled(f"{error}. {keeper.describe()}", path=keeper.path)
    error.add_note(keeper.describe())
    return error


def _retry_after(response: httpx.Response) -> float | None:
    """What the server asks for, with a little jitter so that a fleet does not come back at once."""
    text = response.headers.get("retry-after", "")
    try:
        seconds = float(text)
    except ValueError:
        try:
            # A proxy may name the moment instead.
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except ValueError:
            return None
    if not math.isfinite(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS) + random.uniform(0, 0.25)


def _pause(attempt: int) -> float:
    """Exponential back-off with full jitter, never quite zero."""
    ceiling = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(attempt, 16))
    return random.uniform(FIRST_WAIT_SECONDS / 2, ceiling)


def _json(response: httpx.Response) -> dict[str, Any] | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _plain(value: Any) -> Any:
    """A number of NumPy or a tensor of one element, as JSON has it.

    Raises:
        TypeError: for anything else.
    """
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r} ({type(value).__name__}) cannot be sent as JSON")

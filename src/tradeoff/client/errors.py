"""Every error that the client raises.

TradeoffClientError
├── NoToken                    no API token was given or found
├── BadAddress                 the server's address is not one of HTTP
├── ConnectionFailed           the server cannot be reached
│   └── Spooled                and the report is kept on disk
└── ApiError                   the server answered with an error
    ├── BadRequest        400
    ├── Unauthorized      401
    ├── Forbidden         403
    ├── NotFound          404
    ├── Conflict          409
    ├── TooManyRequests   429
    │   └── Paused               the experiment hands nothing out until somebody lets it go on
    └── ServerError       5xx
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class TradeoffClientError(Exception):
    """Something went wrong between this program and the Tradeoff server."""


class NoToken(TradeoffClientError):
    """No API token was given or found."""


class BadAddress(TradeoffClientError):
    """The server's address is not one of HTTP."""


class ConnectionFailed(TradeoffClientError):
    """The server cannot be reached."""


class Spooled(ConnectionFailed):
    """The server cannot be reached, and the report is kept on disk for `tradeoff resend`.

    Attributes:
        path: the file that keeps it.
    """

    def __init__(self, message: str, *, path: Path) -> None:
        self.path = path
        super().__init__(message)


class ApiError(TradeoffClientError):
    """The server answered with an error.

    Attributes:
        status_code: of HTTP.
        message: what the server says is wrong.
        body: the whole answer.
        may_pass: the same request may succeed later.
    """

    may_pass = False

    def __init__(self, status_code: int, message: str, body: Mapping[str, Any]) -> None:
        self.status_code = status_code
        self.message = message
        self.body = dict(body)
        super().__init__(f"{message} (status {status_code})")


class BadRequest(ApiError):
    """The request is not valid; the message names the field."""


class Unauthorized(ApiError):
    """The request carried no token."""


class Forbidden(ApiError):
    """The token is unknown, revoked, or does not permit this."""


class NotFound(ApiError):
    """There is no such object for this token."""


class Conflict(ApiError):
    """The request conflicts with something that exists."""


class TooManyRequests(ApiError):
    """Too many requests; the client has waited and tried again, in vain."""


class Paused(TooManyRequests):
    """The experiment is paused; the client has waited and tried again, in vain."""


class ServerError(ApiError):
    """The server failed; the client has waited and tried again, in vain."""


def from_response(status_code: int, body: Mapping[str, Any]) -> ApiError:
    """The error that an answer stands for."""
    kinds: dict[int, type[ApiError]] = {
        400: BadRequest,
        401: Unauthorized,
        403: Forbidden,
        404: NotFound,
        409: Conflict,
        429: TooManyRequests,
    }
    if status_code == 429 and body.get("reason") == "paused":
        return Paused(status_code, str(body.get("message", "no message")), body)
    kind = kinds.get(status_code, ServerError if status_code >= 500 else ApiError)
    return kind(status_code, str(body.get("message", "no message")), body)

"""The library that users import: suggest, train, observe, over plain HTTP.

It stands outside the server and shares no code with it: httpx and the standard library are all it
needs, so that it installs beside any training framework. Only the wire joins the two, and
`tests/wire` keeps them in step.

What surprised us: a POST may safely be sent again, and has to be. Every write carries an
`Idempotency-Key`, the same at each try, and the server lets it take effect once. A report is on
disk (`spool`) from its first failed try until it is stored, and `resend` delivers what was left.
"""

from tradeoff.client.connection import Client
from tradeoff.client.errors import (
    ApiError,
    BadAddress,
    BadRequest,
    Conflict,
    ConnectionFailed,
    Forbidden,
    NotFound,
    NoToken,
    Paused,
    ServerError,
    Spooled,
    TooManyRequests,
    TradeoffClientError,
    Unauthorized,
)

__all__ = [
    "ApiError",
    "BadAddress",
    "BadRequest",
    "Client",
    "Conflict",
    "ConnectionFailed",
    "Forbidden",
    "NoToken",
    "NotFound",
    "Paused",
    "ServerError",
    "Spooled",
    "TooManyRequests",
    "TradeoffClientError",
    "Unauthorized",
]

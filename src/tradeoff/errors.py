"""Every error that the product raises on purpose.

    TradeoffError
    ├── Moved                  301   it is at another address
    ├── BadInput               400   the request says something that cannot be
    ├── NotAuthenticated       401   no credentials
    ├── NotAllowed             403   credentials that do not reach this far
    ├── NotFound               404   nothing there, or nothing there for you
    ├── Conflict               409   somebody else was there first
    ├── TooLarge               413   the body is over the limit
    ├── Unprocessable          422   well formed, and impossible now
    ├── TooManyRequests        429   too often, or more than there is room for
    │   └── Paused                   the experiment hands nothing out until somebody lets it go on
    ├── Unavailable            503   try again in a moment
    └── StartError                   a process cannot start; the message says what to do

Each class carries the HTTP status that `tradeoff.api.errors` answers with; its docstring is the
default message, so a message speaks to the user of the API: what was wrong, what was met, what
would be right.
"""

from __future__ import annotations

import inspect


class TradeoffError(Exception):
    """Something went wrong."""

    status: int = 500

    def __init__(self, message: str | None = None) -> None:
        self.message = message or inspect.cleandoc(type(self).__doc__ or "")
        super().__init__(self.message)


class Moved(TradeoffError):
    """What is asked for is at another address.

    Args:
        location: the address, without the host.
    """

    status = 301

    def __init__(self, location: str) -> None:
        super().__init__(f"This is at {location}")
        self.location = location


class BadInput(TradeoffError):
    """The request is not valid."""

    status = 400


class NotAuthenticated(TradeoffError):
    """Send your API token as the user name of HTTP Basic authentication, with an empty password."""

    status = 401


class NotAllowed(TradeoffError):
    """This token does not permit that.

    Args:
        message: what was refused and why.
        token_status: `revoked`, `expired` or `invalid_permissions`, for the error body.
    """

    status = 403

    def __init__(self, message: str | None = None, *, token_status: str | None = None) -> None:
        super().__init__(message or "This token does not permit that.")
        self.token_status = token_status


class NotFound(TradeoffError):
    """There is no such object."""

    status = 404

    def in_field(self, path: str) -> BadInput:
        """The error of a request whose body names the object, at `path`."""
        return BadInput(f"{path}: {self.message[0].lower()}{self.message[1:]}")


class Conflict(TradeoffError):
    """The request conflicts with something that exists already."""

    status = 409


class TooLarge(TradeoffError):
    """The request body is over the limit."""

    status = 413


class Unprocessable(TradeoffError):
    """The request is well formed but cannot be carried out now."""

    status = 422


class TooManyRequests(TradeoffError):
    """You ask too often.

    Args:
        message: what is too much.
        retry_after_seconds: when it is worth another try.
    """

    status = 429

    def __init__(self, message: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Paused(TooManyRequests):
    """This experiment is paused.

    The status is the one that clients of every kind ask again after: SigOpt's does for minutes,
    and then raises the message.

    Args:
        message: which experiment, and what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after_seconds=5)


class Unavailable(TradeoffError):
    """The service cannot answer at the moment; try again shortly."""

    status = 503


class StartError(TradeoffError):
    """A part of Tradeoff cannot start."""

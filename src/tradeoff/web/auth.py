"""The cookie of a browser session, and whether a form comes from a page of ours."""

from __future__ import annotations

import hmac
from urllib.parse import SplitResult, urlsplit

from fastapi import Request
from fastapi.responses import Response

from tradeoff.errors import NotAllowed
from tradeoff.service import sign_in

COOKIE = "tradeoff_session"
#: A browser takes this name over https alone, and from no other host of the same domain.
SECURE_COOKIE = f"__Host-{COOKIE}"


def read_cookie(request: Request) -> str | None:
    """The secret of the browser's session, if there is one."""
    if request.url.scheme == "https":
        return request.cookies.get(SECURE_COOKIE)
    # A proxy may speak https for us and not say so.
    return request.cookies.get(SECURE_COOKIE) or request.cookies.get(COOKIE)


def set_cookie(response: Response, request: Request, secret: str) -> None:
    """Let the browser keep a session's secret, where no script and no other site gets at it."""
    secure = _is_https(request)
    response.set_cookie(
        SECURE_COOKIE if secure else COOKIE,
        secret,
        max_age=int(sign_in.SESSION_LASTS.total_seconds()),
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def delete_cookie(response: Response, request: Request) -> None:
    """Let the browser forget its session."""
    for name in (COOKIE, SECURE_COOKIE):
        response.delete_cookie(
            name, path="/", secure=name == SECURE_COOKIE, httponly=True, samesite="lax"
        )


def check_origin(request: Request) -> None:
    """Stop a form that another site sent.

    Raises:
        NotAllowed: then, and when the browser does not say where the form comes from.
    """
    origin = _origin(request)
    # Behind a proxy that speaks https for us we may not know that it does.
    schemes = {request.url.scheme, "https"}
    if origin.scheme not in schemes or origin.netloc != request.headers.get("host"):
        raise NotAllowed("This form was not sent from a page of this dashboard.")


def check_form_token(secret: str, given: str) -> None:
    """Stop a form that none of our pages made for this session.

    Raises:
        NotAllowed: then.
    """
    if not hmac.compare_digest(sign_in.form_token(secret).encode(), given.encode()):
        raise NotAllowed("This form is out of date. Load the page again and repeat what you did.")


def _is_https(request: Request) -> bool:
    return "https" in (request.url.scheme, _origin(request).scheme)


def _origin(request: Request) -> SplitResult:
    try:
        return urlsplit(request.headers.get("origin", ""))
    except ValueError:
        return urlsplit("")

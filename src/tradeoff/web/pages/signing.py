"""Signing in and out."""

from __future__ import annotations

from tradeoff.errors import NotAllowed, NotAuthenticated
from tradeoff.service import sign_in
from tradeoff.web.routing import Answer, Html, Redirect
from tradeoff.web.visit import Visit

HOME = "/experiments"


def show(visit: Visit) -> Answer:
    """Ask for a token; or take the code that a link has behind its `#`."""
    wanted = _own_path(visit.query.text("next"))
    return Html("sign_in.html", {"next": wanted, "refusal": None})


def with_token(visit: Visit) -> Answer:
    """Sign in with an API token."""
    wanted = _own_path(visit.form.text("next"))
    try:
        secret = sign_in.with_token(visit.session, visit.form.text("token"))
    except NotAuthenticated:
        return _refused(wanted, "Paste an API token.")
    except NotAllowed as error:
        return _refused(wanted, error.message)
    return Redirect(wanted, signed_in=secret)


def with_link(visit: Visit) -> Answer:
    """Sign in with the code of a link that works once."""
    try:
        secret = sign_in.with_link(visit.session, visit.form.text("code"))
    except NotAllowed as error:
        return _refused(HOME, error.message)
    return Redirect(HOME, signed_in=secret)


def end(visit: Visit) -> Answer:
    """Sign out."""
    assert visit.secret is not None, "nobody is signed in"
    sign_in.end(visit.session, visit.secret)
    return Redirect("/sign-in", signed_out=True)


def _refused(wanted: str, message: str) -> Html:
    return Html("sign_in.html", {"next": wanted, "refusal": message}, status=403)


def _own_path(wanted: str) -> str:
    """Where to go afterwards: a path of ours, never another site."""
    is_own = wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    return wanted if is_own and wanted.isprintable() and wanted.isascii() else HOME

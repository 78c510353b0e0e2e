"""Links with which others read one experiment."""

from __future__ import annotations

import datetime

from tradeoff.errors import BadInput, NotAllowed, NotAuthenticated, NotFound
from tradeoff.service import access, accounts, sign_in
from tradeoff.store import accounts as stored
from tradeoff.web.pages import experiment
from tradeoff.web.routing import Answer, Html, Redirect
from tradeoff.web.visit import Visit


def show(visit: Visit) -> Answer:
    """The links of an experiment, and how to make one."""
    return _page(visit, made=None)


def create(visit: Visit) -> Answer:
    """Make a link; it is shown this once."""
    access.require_production(visit.who)
    days = visit.form.number("days")
    if days is None:
        raise BadInput("days: required")
    stay = datetime.timedelta(days=days) if 0 < days < 10_000 else datetime.timedelta(0)
    _, secret = accounts.create_guest_token(
        visit.session, visit.experiment, issued_by=visit.who.token_id, stay=stay
    )
    return _page(visit, made=f"{visit.origin}/share#{secret}")


def revoke(visit: Visit) -> Answer:
    """End a link at once."""
    accounts.revoke_guest_token(visit.session, visit.experiment, visit.number("token"))
    return Redirect(f"/experiment/{visit.experiment.id}/share")


def _page(visit: Visit, made: str | None) -> Html:
    context = {
        **experiment.frame(visit, "share"),
        "guests": stored.list_guest_tokens(visit.session, visit.experiment.id),
        "made": made,
        "choices": (1, 7, 30, 90),
        "usual": accounts.GUESTS_STAY.days,
    }
    return Html("share.html", context)


def show_arrival(visit: Visit) -> Answer:
    """Take what a link has behind its `#`."""
    return Html("arrival.html", {"refusal": None})


def arrive(visit: Visit) -> Answer:
    """Let a guest in; whoever may see the experiment anyway stays who they are."""
    token = visit.form.text("code")
    try:
        guest = access.authenticate(visit.session, token)
    except (NotAllowed, NotAuthenticated):
        refusal = "This link does not work any more. Ask whoever sent it for a new one."
        return Html("arrival.html", {"refusal": refusal}, status=403)
    if guest.experiment_id is None:
        # A token of more reach is no link: whoever has one signs in with it.
        refusal = "This is no link to an experiment."
        return Html("arrival.html", {"refusal": refusal}, status=403)
    location = f"/experiment/{guest.experiment_id}"
    if visit.principal is not None:
        try:
            access.get_experiment(visit.session, visit.principal, guest.experiment_id)
        except (NotFound, NotAllowed):
            pass
        else:
            return Redirect(location)
    return Redirect(location, signed_in=sign_in.with_token(visit.session, token))

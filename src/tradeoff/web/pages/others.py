"""The other addresses that SigOpt's client prints: projects, one training run, one's token."""

from __future__ import annotations

from tradeoff.errors import NotAllowed, NotFound
from tradeoff.service import access
from tradeoff.store import accounts, projects
from tradeoff.web import inputs
from tradeoff.web.routing import Answer, Html
from tradeoff.web.visit import Visit


def show_projects(visit: Visit) -> Answer:
    """The projects of a client."""
    found = projects.list_all(visit.session, visit.who.client_id)
    overviews = projects.list_overviews(visit.session, [row.id for row in found])
    return Html("projects.html", {"rows": found, "overviews": overviews})


def show_run(visit: Visit) -> Answer:
    """What a training run logged."""
    run = access.get_training_run(visit.session, visit.who, visit.number("run"))
    experiment = None
    if run.experiment_id is not None:
        try:
            experiment = access.get_experiment(visit.session, visit.who, run.experiment_id)
        except (NotAllowed, NotFound):
            experiment = None  # a guest of the run alone
    return Html("run.html", {"run": run, "experiment": experiment, "notes": inputs.write_metadata})


def show_token(visit: Visit) -> Answer:
    """What one's token is, and where it is to be put."""
    token = accounts.get_token(visit.session, visit.who.token_id)
    client = accounts.get_client(visit.session, visit.who.client_id)
    return Html("token.html", {"token": token, "client": client})

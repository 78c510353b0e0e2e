"""What an experiment has found: the figures."""

from __future__ import annotations

from tradeoff.web.pages import experiment
from tradeoff.web.routing import Answer, Html
from tradeoff.web.visit import Visit


def show(visit: Visit) -> Answer:
    """The first page of an experiment."""
    return Html("results.html", experiment.frame(visit, "results"))

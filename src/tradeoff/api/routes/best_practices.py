"""Best practices: what could be better about an experiment."""

from __future__ import annotations

from tradeoff.api.wire.best_practices import BestPractices
from tradeoff.api.wire.queries import Fetch
from tradeoff.service import best_practices
from tradeoff.store import tables


def fetch(experiment: tables.Experiment, query: Fetch) -> BestPractices:
    """Ask what could be better about an experiment.

    Such as a budget that is small for the number of parameters. This is advice; nothing depends on
    it.
    """
    return BestPractices(violations=best_practices.violations(experiment))

"""How far experiments that are made of training runs have come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tradeoff.service import progress
from tradeoff.service.progress import Progress
from tradeoff.store import tables, training_runs
from tradeoff.store.database import Session


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Where an experiment that is made of training runs stands.

    Attributes:
        finished: runs that completed or failed.
        active: runs that are under way.
        remaining_budget: what is left of the budget; `None` without one.
    """

    finished: int
    active: int
    remaining_budget: int | None


def overviews(session: Session, experiments: Sequence[tables.Experiment]) -> dict[int, RunProgress]:
    """Where each of these experiments stands, by id."""
    counts = training_runs.count_by_state(session, [experiment.id for experiment in experiments])
    found = {}
    for experiment in experiments:
        finished, active = counts.get(experiment.id, (0, 0))
        budget = experiment.spec.observation_budget
        left = None if budget is None else budget - finished - active
        found[experiment.id] = RunProgress(finished, active, left)
    return found


def overviews_of_either_kind(
    session: Session, experiments: Sequence[tables.Experiment]
) -> Mapping[int, Progress | RunProgress]:
    """Where each of these experiments stands, in the terms of its kind."""
    classical = [experiment for experiment in experiments if not experiment.runs_only]
    of_runs = [experiment for experiment in experiments if experiment.runs_only]
    return {**progress.overviews(session, classical), **overviews(session, of_runs)}

"""Let users say what is to be tried next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradeoff.errors import BadInput
from tradeoff.service.access import require_active
from tradeoff.spec import tasks
from tradeoff.spec.values import Value
from tradeoff.store import queued_suggestions, tables
from tradeoff.store.database import Session


def add(
    session: Session,
    experiment: tables.Experiment,
    assignments: Mapping[str, Any],
    *,
    task: str | None = None,
) -> tables.QueuedSuggestion:
    """Put a configuration at the end of an experiment's queue.

    Raises:
        BadInput: when the assignments do not fit the space (bounds are not checked) or the task
            the experiment, or the experiment is deleted.
    """
    require_active(experiment)
    checked = experiment.spec.check_assignments(assignments)
    point = tasks.join(checked, experiment.spec.check_task(task))
    return queued_suggestions.insert(session, experiment.id, point)


def delete(session: Session, queued: tables.QueuedSuggestion) -> None:
    """Take a configuration out of the queue: it will not be served."""
    queued_suggestions.remove(session, queued)


def take(session: Session, experiment: tables.Experiment) -> dict[str, Value] | None:
    """The point that waited longest, no longer in the queue; `None` when none waits.

    One that the space does not have any more, since its parameters changed, is dropped.
    """
    while (point := queued_suggestions.take_oldest(session, experiment.id)) is not None:
        assignments, cost = tasks.split(point)
        try:
            return tasks.join(experiment.spec.check_assignments(assignments), cost)
        except BadInput:
            continue
    return None

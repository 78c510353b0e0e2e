"""What tests of the service do over and over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.builders import make_spec
from tradeoff.service import access, experiments, observations
from tradeoff.service.access import Principal
from tradeoff.service.observations import Report
from tradeoff.spec.metrics import MetricEvaluation
from tradeoff.store import queue, tables
from tradeoff.store.database import Session

#: One number to choose, one to minimise.
ONE: dict[str, Any] = {
    "parameters": [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}],
    "metrics": [{"name": "loss", "objective": "minimize"}],
    "observation_budget": None,
}


def create(session: Session, principal: Principal, **changes: Any) -> tables.Experiment:
    """An experiment of one number and one metric, with `changes` laid over it."""
    return experiments.create(
        session,
        principal,
        client_id=principal.client_id,
        name="test",
        spec=make_spec(**{**ONE, **changes}),
        metadata=None,
    )


def as_developer(session: Session, secret: str) -> Principal:
    """The holder of a development token."""
    return access.authenticate(session, secret)


def evaluations(**values: float) -> list[MetricEvaluation]:
    """One evaluation per metric."""
    return [MetricEvaluation(name=name, value=value) for name, value in values.items()]


def report(
    session: Session,
    experiment: tables.Experiment,
    *,
    x: float | None = None,
    suggestion: tables.Suggestion | None = None,
    failed: bool = False,
    values: Mapping[str, float] | None = None,
    **named: float,
) -> tables.Observation:
    """Report by assignments or on a suggestion; the loss is 1 unless values are given."""
    measured = [] if failed else evaluations(**(values or named or {"loss": 1.0}))
    return observations.report(
        session,
        experiment,
        Report(
            suggestion_id=None if suggestion is None else suggestion.id,
            assignments=None if x is None else {"x": x},
            values=measured,
            failed=failed,
        ),
    )


def finish_design(session: Session, experiment: tables.Experiment, count: int = 6) -> None:
    """Report until the model takes over, with an empty buffer and an empty queue."""
    for index in range(count):
        report(session, experiment, x=index / 100, loss=float(index))
    empty_buffer(session, experiment)
    clear_queue(session)


def empty_buffer(session: Session, experiment: tables.Experiment) -> None:
    """Empty the buffer."""
    session.query(tables.Suggestion).filter_by(experiment_id=experiment.id, state="ready").delete()


def clear_queue(session: Session) -> None:
    """Let nothing wait."""
    session.connection().exec_driver_sql("delete from jobs.procrastinate_jobs")


def waiting(session: Session) -> int:
    """How many refreshes wait."""
    return queue.read_state(session).waiting


def ready(session: Session, experiment: tables.Experiment) -> Sequence[tables.Suggestion]:
    """The buffer, best first."""
    return (
        session.query(tables.Suggestion)
        .filter_by(experiment_id=experiment.id, state="ready")
        .order_by(tables.Suggestion.rank)
        .all()
    )

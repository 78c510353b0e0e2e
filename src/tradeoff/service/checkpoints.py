"""Take in what trainings measure on their way, and say which of them should stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tradeoff.engine import stopping
from tradeoff.errors import BadInput
from tradeoff.service import leases, progress
from tradeoff.service.access import require_active
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import MetricEvaluation
from tradeoff.spec.stopping import MAX_TRAININGS
from tradeoff.spec.values import MAX_INTEGER
from tradeoff.store import checkpoints, tables
from tradeoff.store.database import Session

#: Of one training.
MAX_CHECKPOINTS = 10_000


def report(
    session: Session,
    experiment: tables.Experiment,
    suggestion: tables.Suggestion,
    *,
    step: int | None,
    values: Sequence[MetricEvaluation],
    metadata: dict[str, Any] | None,
) -> tables.Checkpoint:
    """Keep a checkpoint, and judge by it and those before whether the training should go on.

    The lease of the suggestion begins anew. The experiment is not locked: a checkpoint counts
    nothing, and many trainings report many.

    Args:
        session: to work with.
        experiment: whose.
        suggestion: that is tried.
        step: how far the training is; `None` for one more than the last, 0 for the first.
        values: of some of the experiment's metrics.
        metadata: the user's own.

    Returns:
        The checkpoint; the one that was kept before when it is the same step with equal values.

    Raises:
        BadInput: when it does not fit the experiment, the step has other values already, or the
            training is over.
    """
    require_active(experiment)
    checked = experiment.spec.check_values(values, all_due=False)
    measured = {key: evaluation.value for key, evaluation in checked.items()}
    # Two reports of one training take turns.
    checkpoints.lock_training(session, suggestion)
    leases.renew(session, suggestion)
    kept = None if step is None else checkpoints.find(session, suggestion.id, step)
    if kept is not None:
        return _repeated(kept, measured)
    if suggestion.state == "closed":
        raise BadInput(
            f"Suggestion {suggestion.id} is closed: its observation was reported, and takes no "
            "more checkpoints; ask for another suggestion to train again"
        )
    step = _next_step(session, suggestion, step)
    reasons = _reasons_to_stop(session, experiment, suggestion, step, measured)
    if reasons:
        suggestion.stopped = True
    return checkpoints.insert(
        session,
        experiment_id=experiment.id,
        suggestion_id=suggestion.id,
        step=step,
        values=measured,
        metadata_=metadata,
        should_stop=bool(reasons),
        stopping_reasons=reasons,
    )


def _repeated(kept: tables.Checkpoint, measured: Mapping[str, float]) -> tables.Checkpoint:
    """The checkpoint that a retry repeats."""
    if {key: float(value) for key, value in kept.values.items()} != measured:
        stored = ", ".join(
            f"{key or 'value'} {value:g}" for key, value in sorted(kept.values.items())
        )
        raise BadInput(
            f"step: {kept.step} was reported already, with {stored}; "
            "a checkpoint is not changed, so report the next step"
        )
    return kept


def _next_step(session: Session, suggestion: tables.Suggestion, step: int | None) -> int:
    """The step of a new checkpoint, which there must be room for."""
    count, last = checkpoints.measure(session, suggestion.id)
    if count >= MAX_CHECKPOINTS:
        raise BadInput(
            f"A suggestion takes at most {MAX_CHECKPOINTS} checkpoints; report fewer steps"
        )
    if step is not None:
        return step
    if last == MAX_INTEGER:
        raise BadInput(f"step: required, since nothing comes after the last one, {last}")
    return 0 if last is None else last + 1


def _reasons_to_stop(
    session: Session,
    experiment: tables.Experiment,
    suggestion: tables.Suggestion,
    step: int,
    measured: Mapping[str, float],
) -> list[str]:
    """Why the training should stop, having measured this at this step; empty when it may go on."""
    spec, rule = experiment.spec, experiment.spec.early_stopping
    if rule is None:
        return []
    reached = _reached(session, spec, suggestion, step, measured)
    # Metrics measured at different steps are each compared at their own.
    finished = {
        each: checkpoints.list_finished(session, experiment.id, step=each, limit=MAX_TRAININGS)
        for each, _ in reached.values()
    }
    standings = {
        key: _standing(key, last, best, finished[last]) for key, (last, best) in reached.items()
    }
    rivals = []
    if spec.optimized_metrics:
        rivals = [
            stopping.Rival(row.id, {key: entry["value"] for key, entry in row.values.items()})
            for row in progress.best(session, experiment)
        ]
    return stopping.judge(spec, rule, standings, rivals)


def _reached(
    session: Session,
    spec: ExperimentSpec,
    suggestion: tables.Suggestion,
    step: int,
    measured: Mapping[str, float],
) -> dict[str, tuple[int, float]]:
    """The last step and the best value so far of each metric, this checkpoint included."""
    signs = {metric.key: metric.sign for metric in spec.metrics if metric.strategy != "store"}
    reached = {key: (step, value) for key, value in measured.items() if key in signs}
    for row in checkpoints.list_extremes(session, suggestion.id):
        if row.key not in signs:
            continue
        best = row.highest if signs[row.key] > 0 else row.lowest
        last, value = reached.get(row.key, (row.step, best))
        better = max(value, best) if signs[row.key] > 0 else min(value, best)
        reached[row.key] = (max(last, row.step), better)
    return reached


def _standing(
    key: str, step: int, best: float, finished: Sequence[tuple[Mapping[str, Any], Any]]
) -> stopping.Standing:
    """Where the training stands in one metric, beside those that measured it too."""
    pairs = [
        (earlier[key], final[key]["value"])
        for earlier, final in finished
        if key in earlier and key in final
    ]
    return stopping.Standing(
        step=step,
        best=best,
        earlier=[float(earlier) for earlier, _ in pairs],
        final=[float(final) for _, final in pairs],
    )

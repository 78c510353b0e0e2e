"""Whether it is time to end an experiment: SigOpt's criteria, of its last observations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tradeoff.engine import pareto
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.store import observations, tables
from tradeoff.store.database import Session

BUDGET_REACHED = "observation_budget_reached"
STAGNATION = "possible_stagnation"
#: The last so many observations for each parameter must have brought something.
WINDOW_PER_PARAMETER = 5
#: The window is compared with the value of this rank among the earlier observations.
RANK = 5


def reasons_to_stop(session: Session, experiment: tables.Experiment) -> list[str]:
    """Why the experiment might end now; empty when it should go on."""
    count = experiment.observation_count - experiment.transient_count
    budget = experiment.spec.observation_budget
    used = float(count)
    if experiment.spec.tasks is not None:
        used = observations.sum_costs(session, [experiment.id]).get(experiment.id, 0.0)
    reasons = [BUDGET_REACHED] if budget is not None and used > budget else []
    window = WINDOW_PER_PARAMETER * len(experiment.spec.parameters)
    if experiment.spec.optimized_metrics and count >= window + RANK:
        by_frontier = _is_judged_by_frontier(experiment.spec)
        if not by_frontier or BUDGET_REACHED in reasons:
            outcomes = _outcomes(session, experiment)
            stagnates = _frontier_stands if by_frontier else _best_stands
            if len(outcomes) >= window + RANK and stagnates(outcomes, window):
                reasons.insert(0, STAGNATION)
    return reasons


def _is_judged_by_frontier(spec: ExperimentSpec) -> bool:
    return len(spec.optimized_metrics) > 1 or (spec.num_solutions or 1) > 1


def _outcomes(session: Session, experiment: tables.Experiment) -> npt.NDArray[np.float64]:
    """`n x m` optimized values, oldest first, all to be maximised; failures are minus infinity."""
    metrics = experiment.spec.optimized_metrics
    worst = [-np.inf] * len(metrics)
    return np.array(
        [
            worst if failed else [metric.sign * values[metric.key]["value"] for metric in metrics]
            for values, failed in observations.list_outcomes(session, experiment.id)
        ],
        dtype=float,
    ).reshape(-1, len(metrics))


def _best_stands(outcomes: npt.NDArray[np.float64], window: int) -> bool:
    """Whether the window brought nothing better than the fifth best before it."""
    earlier = np.sort(outcomes[:-window, 0])
    return bool(outcomes[-window:, 0].max() <= earlier[-RANK])


def _frontier_stands(outcomes: npt.NDArray[np.float64], window: int) -> bool:
    """Whether the frontier would be the same without the window."""
    return np.array_equal(_frontier(outcomes), _frontier(outcomes[:-window]))


def _frontier(outcomes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    distinct = np.unique(outcomes[np.isfinite(outcomes).all(axis=1)], axis=0)
    return distinct[pareto.non_dominated(distinct)] if len(distinct) else distinct

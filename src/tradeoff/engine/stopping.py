"""Whether a training that still runs can become one of the best.

For each metric a running training is credited with the best it has shown, and on top of that with
nearly the largest gain that finished trainings still made from the same step on. Where even that
outcome, the optimistic ends of all its metrics together, is dominated by an observation of the
efficient frontier, or misses a threshold, the training should stop. A metric that it has not
measured, or that too few others have shown the course of, counts as ideal: only what was measured
can condemn. A single metric is compared with the best observation.

Gains get smaller the higher a training stands, so those are looked at that stood nearest to it at
its step, as few as the confidence allows. The assumption is that it is exchangeable with them.
Then it comes to more than the credit with probability `1 - confidence` at most, in one metric at
one step [Lei2018]; a training is judged at many steps, but stopped only if it is also dominated
there. While there are too few for that, their largest gain is exceeded by the mean gap between
them. Trainings that were told to stop must not be among them: they would teach that nothing rises.

To be dominated at an optimistic end is a stricter rule than to be behind others at the same step,
as in the median stopping rule [Golovin2017] and in successive halving, also with several metrics
[Schmucker2021]; and it supposes no form of the curve [Domhan2015]. What it saves and costs beside
such rules is in benchmarks/RESULTS.md.

References:
    [Domhan2015] T. Domhan, J. T. Springenberg, F. Hutter. Speeding up automatic hyperparameter
        optimization of deep neural networks by extrapolation of learning curves. IJCAI, 2015.
    [Golovin2017] D. Golovin et al. Google Vizier: a service for black-box optimization. KDD, 2017.
    [Lei2018] J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani, L. Wasserman. Distribution-free
        predictive inference for regression. JASA, 2018.
    [Schmucker2021] R. Schmucker, M. Donini, M. B. Zafar, D. Salinas, C. Archambeau.
        Multi-objective asynchronous successive halving. arXiv:2106.12639, 2021.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import Metric
from tradeoff.spec.stopping import EarlyStopping

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a running training stands in one metric, and where finished ones stood there.

    Attributes:
        step: when it was last measured.
        best: the best value so far.
        earlier: what finished trainings had at that step, or last before it.
        final: what each of them came to.
    """

    step: int
    best: float
    earlier: Sequence[float] = ()
    final: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Rival:
    """An observation of the efficient frontier: its id, and value by metric key."""

    id: int
    values: Mapping[str, float]


def judge(
    spec: ExperimentSpec,
    rule: EarlyStopping,
    standings: Mapping[str, Standing],
    rivals: Sequence[Rival],
) -> list[str]:
    """Why a running training should stop.

    Args:
        spec: of the experiment.
        rule: how sure it must be.
        standings: by the key of each metric that the training has measured.
        rivals: the efficient frontier, thresholds respected; the best ones, as many as solutions
            are wanted, with one optimized metric.

    Returns:
        The reasons in words; none when it should go on.
    """
    if max((standing.step for standing in standings.values()), default=-1) < rule.min_step:
        return []
    ends = {
        metric.key: optimistic_end(metric, rule, standings[metric.key])
        if metric.key in standings
        else metric.sign * math.inf
        for metric in spec.metrics
        if metric.strategy != "store"
    }
    return _missed(spec, standings, ends) or _beaten(spec, standings, ends, rivals)


def _missed(
    spec: ExperimentSpec, standings: Mapping[str, Standing], ends: Mapping[str, float]
) -> list[str]:
    """The thresholds that even the optimistic ends do not meet."""
    return [
        f"{_course(metric, standings[metric.key], ends[metric.key])}; "
        f"it must come to {_number(metric.threshold)}"
        for metric in (*spec.optimized_metrics, *spec.constraint_metrics)
        if not metric.meets_threshold(ends[metric.key])
    ]


def _beaten(
    spec: ExperimentSpec,
    standings: Mapping[str, Standing],
    ends: Mapping[str, float],
    rivals: Sequence[Rival],
) -> list[str]:
    """How even the optimistic ends are dominated, and by whom."""
    metrics = spec.optimized_metrics
    better = [rival for rival in rivals if _dominates(metrics, rival, ends)]
    if len(better) < (spec.num_solutions or 1):
        return []
    # Of several solutions the least good one is the hurdle; they have one metric.
    rival = min(better, key=lambda each: metrics[0].sign * each.values[metrics[0].key])
    shown = " and ".join(f"{_name(each)} {_number(rival.values[each.key])}" for each in metrics)
    return [
        *(_course(each, standings[each.key], ends[each.key]) for each in metrics),
        f"observation {rival.id} has {shown}",
    ]


def optimistic_end(metric: Metric, rule: EarlyStopping, standing: Standing) -> float:
    """The value that a training comes to if it goes on about as well as any of its like did.

    Never below the best so far, and never falling as that gets better. Infinitely good when too
    few have shown how it goes on.
    """
    if len(standing.final) < rule.min_trainings:
        return metric.sign * math.inf
    levels = metric.sign * np.asarray(standing.earlier, dtype=np.float64)
    gains = metric.sign * np.asarray(standing.final, dtype=np.float64) - levels
    order = np.lexsort((gains, levels))
    return metric.sign * _highest_end(
        metric.sign * standing.best, levels[order], gains[order], rule
    )


def _highest_end(best: float, levels: Array, gains: Array, rule: EarlyStopping) -> float:
    """The end that the trainings nearest to `best` make possible.

    Args:
        best: of the running training, to be maximised.
        levels: where the finished ones stood, ascending.
        gains: what they still gained, in that order.
        rule: how sure it must be.
    """
    size = min(len(levels), max(rule.min_trainings, _enough(rule.confidence)))
    groups = np.lib.stride_tricks.sliding_window_view(gains, size)
    credits = np.maximum(_upper_bounds(groups, rule.confidence), 0.0)
    # Halfway between the one that a group loses and the one that it gains, the next is as near.
    turns = (levels[:-size] + levels[size:]) / 2
    begins, ends = np.append(-np.inf, turns), np.append(turns, np.inf)
    # What a lower level makes possible, a higher one does too.
    reached = np.minimum(best, ends) + credits
    return float(reached[begins <= best].max())


def _enough(confidence: float) -> int:
    """The least number of gains whose largest is exceeded no more often than is allowed."""
    return math.ceil(round(confidence / (1 - confidence), 6))


def _upper_bounds(gains: Array, confidence: float) -> Array:
    """A bound for each row that a further gain stays under, with probability `confidence`."""
    count = gains.shape[1]
    place = math.ceil(round((count + 1) * confidence, 6))
    ordered = np.sort(gains, axis=1)
    if place <= count:
        return ordered[:, place - 1]
    gap: Array = (ordered[:, -1] - ordered[:, 0]) / (count - 1)
    return ordered[:, -1] + gap


def _dominates(metrics: Sequence[Metric], rival: Rival, ends: Mapping[str, float]) -> bool:
    """Whether `rival` is as good as `ends` in every metric, and better in one."""
    leads = [metric.sign * (rival.values[metric.key] - ends[metric.key]) for metric in metrics]
    return all(lead >= 0 for lead in leads) and any(lead > 0 for lead in leads)


def _course(metric: Metric, standing: Standing, end: float) -> str:
    """Where a training stands in a metric, and where that leads at best."""
    place = f"{_name(metric)} is {_number(standing.best)} after step {standing.step}"
    seen = f"by what {len(standing.final)} finished trainings showed"
    if end == standing.best:
        return f"{place} and gets no better, {seen}"
    limit = "rises to at most" if metric.objective == "maximize" else "falls to at least"
    return f"{place} and {limit} {_number(end)}, {seen}"


def _name(metric: Metric) -> str:
    return metric.name or "the value"


def _number(value: float | None) -> str:
    """A number as people read it, with digits enough to tell it from its like."""
    return f"{value:.6g}"

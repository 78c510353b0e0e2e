"""Whether a training that still runs can become one of the best.

For each metric a running training is credited with the best it has shown, and on top of that with
nearly the largest improvement that finished trainings still made from the same step on. Where even
that outcome, the optimistic ends of all its metrics together, is dominated by an observation of
the efficient frontier, or misses a threshold, the training should stop. A metric that it has not
measured, or that too few others have shown the course of, counts as ideal: only what was measured
can condemn. A single metric is compared with the best observation.

The assumption is that improvements are exchangeable: that this training gains from its step on
what the finished ones gained from theirs. Trainings that were told to stop must not be among them;
they would teach that nothing rises. `confidence` is then the share of trainings that come to less
than the credit in one metric at one step [Lei2018]; with few finished ones, where their largest
improvement is too small a credit for that, it is exceeded by the mean gap between them.

Being dominated at an optimistic end is a far stricter rule than those that compare the running
training with others at the same step: the median stopping rule [Golovin2017], successive halving,
also of several metrics [Schmucker2021]. It needs no model of the curve's form [Domhan2015].

All arrays are of one metric, in its own units; numpy alone.

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
    missed = [
        metric
        for metric in (*spec.optimized_metrics, *spec.constraint_metrics)
        if not metric.meets_threshold(ends[metric.key])
    ]
    if missed:
        return [
            f"{_course(metric, standings[metric.key], ends[metric.key])}; "
            f"it must come to {_number(metric.threshold)}"
            for metric in missed
        ]
    better = [rival for rival in rivals if _dominates(spec.optimized_metrics, rival, ends)]
    wanted = spec.num_solutions or 1
    if not spec.optimized_metrics or len(better) < wanted:
        return []
    # Of several solutions the least good one is the hurdle.
    rival = better[wanted - 1]
    return [
        *(_course(each, standings[each.key], ends[each.key]) for each in spec.optimized_metrics),
        f"observation {rival.id} has "
        + " and ".join(
            f"{_name(each)} {_number(rival.values[each.key])}" for each in spec.optimized_metrics
        ),
    ]


def optimistic_end(metric: Metric, rule: EarlyStopping, standing: Standing) -> float:
    """The value that a training comes to if it goes on about as well as any finished one did.

    Infinitely good when too few have shown how it goes on.
    """
    if len(standing.final) < rule.min_trainings:
        return metric.sign * math.inf
    gains = metric.sign * (np.asarray(standing.final) - np.asarray(standing.earlier))
    credit = max(0.0, _upper_bound(gains, rule.confidence))
    return standing.best + metric.sign * credit


def _upper_bound(gains: Array, confidence: float) -> float:
    """A bound that a further gain stays under, with probability `confidence` [Lei2018]."""
    count = len(gains)
    place = math.ceil((count + 1) * confidence)
    ordered = np.sort(gains)
    if place <= count:
        return float(ordered[place - 1])
    return float(ordered[-1] + (ordered[-1] - ordered[0]) / (count - 1))


def _dominates(metrics: Sequence[Metric], rival: Rival, ends: Mapping[str, float]) -> bool:
    """Whether `rival` is as good as `ends` in every metric, and better in one."""
    leads = [metric.sign * (rival.values[metric.key] - ends[metric.key]) for metric in metrics]
    return min(leads) >= 0 and max(leads) > 0


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
    """A number as people read it; enough digits to tell it from its like."""
    return f"{value:.6g}"

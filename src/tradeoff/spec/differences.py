"""What was edited about an experiment that runs: the part of its spec that changes the search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.parameters import Parameter

#: `{"what", "name", "before", "after"}`: one of `WHATS`, of which metric or parameter, and what
#: was and is; bounds as a pair, values as a list, a threshold as a number or `None`.
Difference = dict[str, Any]
THRESHOLD, BOUNDS, VALUES, ADDED, REMOVED = WHATS = (
    "threshold",
    "bounds",
    "values",
    "added",
    "removed",
)


def between(before: ExperimentSpec, after: ExperimentSpec) -> list[Difference]:
    """What of thresholds and parameters differs between two states of one experiment."""
    return [*_of_metrics(before, after), *_of_parameters(before, after)]


def _of_metrics(before: ExperimentSpec, after: ExperimentSpec) -> Iterator[Difference]:
    were = {metric.key: metric.threshold for metric in before.metrics}
    for metric in after.metrics:
        if were.get(metric.key) != metric.threshold:
            yield _difference(THRESHOLD, metric.key, were.get(metric.key), metric.threshold)


def _of_parameters(before: ExperimentSpec, after: ExperimentSpec) -> Iterator[Difference]:
    were = {parameter.name: parameter for parameter in before.parameters}
    for parameter in after.parameters:
        known = were.pop(parameter.name, None)
        if known is None:
            yield _difference(ADDED, parameter.name, None, None)
            continue
        for what, read in ((BOUNDS, _bounds), (VALUES, _values)):
            was, now = read(known), read(parameter)
            if was != now:
                yield _difference(what, parameter.name, was, now)
    for name in were:
        yield _difference(REMOVED, name, None, None)


def _difference(what: str, name: str, before: Any, after: Any) -> Difference:
    return {"what": what, "name": name, "before": before, "after": after}


def _bounds(parameter: Parameter) -> list[float] | None:
    bounds = parameter.bounds
    return None if bounds is None else [bounds.min, bounds.max]


def _values(parameter: Parameter) -> list[float | str] | None:
    if parameter.categorical_values is not None:
        return [value.name for value in parameter.categorical_values]
    return None if not parameter.grid else list(parameter.grid)

"""What about an experiment makes good answers unlikely, in plain words."""

from __future__ import annotations

import math

from tradeoff.engine import design
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.store import tables

#: More parameters than this need very many observations.
MANY_PARAMETERS = 20
#: A search wants so many observations for each parameter.
PER_PARAMETER = 10
#: So many rounds, each of `parallel_bandwidth` trainings, are the least to learn from one another.
ROUNDS = 5
MANY_CATEGORIES = 10
#: From this ratio of its bounds on a positive parameter belongs on a log scale.
WIDE = 1_000.0
#: This share of failures is too high, once so many observations are there.
MANY_FAILURES, ENOUGH_TO_TELL = 0.5, 10


def violations(experiment: tables.Experiment) -> list[str]:
    """What could be better; nothing about experiments whose points no model proposes."""
    spec = experiment.spec
    if spec.type != "offline":
        return []
    return [*_of_size(spec), *_of_parameters(spec), *_of_history(experiment)]


def _of_size(spec: ExperimentSpec) -> list[str]:
    found = []
    dimensions = len(spec.parameters) + len(spec.conditionals)
    budget, bandwidth = spec.observation_budget, spec.parallel_bandwidth or 1
    if dimensions > MANY_PARAMETERS:
        found.append(
            f"There are {dimensions} parameters; above {MANY_PARAMETERS} leave out those that you "
            "expect to matter least, or fix them."
        )
    if budget is None:
        found.append(
            "There is no budget; with one it can be told whether it suffices for the parameters."
        )
        return found
    if budget < PER_PARAMETER * dimensions:
        found.append(
            f"A budget of {budget} is small for {dimensions} parameters; about "
            f"{PER_PARAMETER * dimensions} observations, {PER_PARAMETER} for each, are better."
        )
    if budget < 2 * design.initial_size(spec):
        found.append(
            f"The first {design.initial_size(spec)} suggestions only spread over the space; a "
            f"budget of {budget} leaves few that know of them."
        )
    if bandwidth * ROUNDS > budget:
        found.append(
            f"A parallel_bandwidth of {bandwidth} is high for a budget of {budget}: suggestions "
            f"learn from those before in fewer than {ROUNDS} rounds. At most "
            f"{max(1, budget // ROUNDS)} is better."
        )
    return found


def _of_parameters(spec: ExperimentSpec) -> list[str]:
    found = []
    for parameter in spec.parameters:
        categories = len(parameter.categorical_values or ())
        if categories > MANY_CATEGORIES:
            found.append(
                f"The parameter {parameter.name} has {categories} categorical values; each is "
                "learnt by itself. If they have an order, use an int or a grid."
            )
        bounds = parameter.bounds
        if bounds is None or parameter.type != "double" or parameter.transformation is not None:
            continue
        if bounds.min > 0 and bounds.max / bounds.min >= WIDE and parameter.prior is None:
            decades = math.log10(bounds.max / bounds.min)
            found.append(
                f"The bounds of {parameter.name} span {decades:.0f} powers of ten; "
                'with "transformation": "log" all of them are searched alike.'
            )
    return found


def _of_history(experiment: tables.Experiment) -> list[str]:
    count = experiment.observation_count - experiment.transient_count
    failed = experiment.failure_count - experiment.transient_count
    if count < ENOUGH_TO_TELL or failed <= MANY_FAILURES * count:
        return []
    return [
        f"{failed} of {count} observations failed; narrow the bounds to where trainings work, or "
        "report what makes them fail as a constraint metric."
    ]

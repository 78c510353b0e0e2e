"""Constraints of three kinds: on parameters, on a measured value, and what only trying shows.

Start a server with `tradeoff up`, then in another terminal: python constraints.py
"""

import math

from tradeoff import Client


class OutOfMemory(Exception):
    """What a device says whose memory is too small; nobody knows beforehand for which networks."""


def train(share_conv: float, share_dense: float, width: int) -> dict[str, float]:
    """A stand-in: how good a network is, how fast, and how much energy it takes."""
    if width * (1 + share_conv) > 400:
        raise OutOfMemory
    accuracy = 1 - math.exp(-width / 60) * (1.5 - share_conv) - 0.1 * abs(share_dense - 0.3)
    return {
        "accuracy": accuracy,
        "milliseconds": 0.4 + 0.01 * width * (1 + 2 * share_conv),
        "joules": 0.02 * width + 3 * share_dense,
    }


experiment = Client().experiments.create(
    name="Constraints",
    parameters=[
        {"name": "share_conv", "type": "double", "bounds": {"min": 0, "max": 1}},
        {"name": "share_dense", "type": "double", "bounds": {"min": 0, "max": 1}},
        {"name": "width", "type": "int", "bounds": {"min": 8, "max": 512}},
    ],
    # Known beforehand: the two shares are of one whole. Suggestions always keep to it.
    linear_constraints=[
        {
            "type": "less_than",
            "threshold": 1,
            "terms": [{"name": "share_conv", "weight": 1}, {"name": "share_dense", "weight": 1}],
        }
    ],
    metrics=[
        # Of no interest below this: a threshold of an optimized metric.
        {"name": "accuracy", "threshold": 0.5},
        {"name": "milliseconds", "objective": "minimize"},
        # Not to be the least, only within a limit.
        {"name": "joules", "strategy": "constraint", "objective": "minimize", "threshold": 6},
    ],
    observation_budget=25,
)
# Only trying shows it: a failure is reported, and its like are avoided.
for suggestion in experiment.loop(catch=OutOfMemory):
    with suggestion:
        suggestion.observe(**train(**suggestion.assignments))

for best in experiment.frontier():
    print(best.value_by_metric, best.assignments)

"""The client knows every field that the server answers with, and no other."""

from __future__ import annotations

import inspect

import pytest

from tradeoff.api.wire import (
    accounts,
    checkpoints,
    experiments,
    observations,
    pagination,
    suggestions,
)
from tradeoff.api.wire.base import Answer
from tradeoff.client import objects, resources
from tradeoff.client import suggestions as asked

#: What a user has no use for is reached all the same, as an attribute without a type.
UNLISTED = {"object"}
#: What the client works out of them.
DERIVED = {"resource", "value_by_metric"}

PAIRS = [
    (resources.Experiment, experiments.Experiment),
    (asked.Suggestion, suggestions.Suggestion),
    (objects.Observation, observations.Observation),
    (objects.Checkpoint, checkpoints.Checkpoint),
    (objects.BestAssignments, observations.BestAssignments),
    (objects.Evaluation, observations.Evaluation),
    (objects.Progress, experiments.Progress),
    (objects.Token, accounts.Token),
    (objects.ClientInfo, accounts.Client),
    (objects.Page, pagination.Pagination),
]


def fields_of(view: type[objects.View]) -> set[str]:
    listed: set[str] = set()
    for kind in view.__mro__[: view.__mro__.index(objects.View)]:
        listed |= {name for name in inspect.get_annotations(kind) if not name.startswith("_")}
        listed |= {name for name, value in vars(kind).items() if isinstance(value, property)}
    return listed


@pytest.mark.parametrize(("view", "answer"), PAIRS, ids=lambda pair: pair.__name__)
def test_the_client_has_the_fields_of_the_wire(
    view: type[objects.View], answer: type[Answer]
) -> None:
    ours, theirs = fields_of(view), set(answer.model_fields)

    assert theirs - UNLISTED - ours == set(), "fields of the wire that the client does not list"
    assert ours - theirs - DERIVED == set(), "fields of the client that are not sent"

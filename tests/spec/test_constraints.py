from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tradeoff.spec.constraints import LinearConstraint


def make(**changes: Any) -> LinearConstraint:
    return LinearConstraint.model_validate(
        {
            "type": "less_than",
            "threshold": 1,
            "terms": [{"name": "b", "weight": 1}, {"name": "A", "weight": 2}],
            **changes,
        }
    )


def test_terms_are_sorted_without_regard_to_case_and_zero_weights_dropped() -> None:
    constraint = make(
        terms=[
            {"name": "b", "weight": 1},
            {"name": "z", "weight": 0},
            {"name": "A", "weight": -2, "object": "constraint_term"},
        ]
    )

    assert [(term.name, term.weight) for term in constraint.terms] == [("A", -2.0), ("b", 1.0)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "equal"}, "type"),
        ({"threshold": None}, "threshold"),
        ({"terms": []}, "terms"),
        ({"terms": [{"name": "a", "weight": 1}]}, "at least two"),
        ({"terms": [{"name": "a", "weight": 1}, {"name": "b", "weight": 0}]}, "at least two"),
        ({"terms": [{"name": "a", "weight": 1}, {"name": "a", "weight": 2}]}, "twice"),
        ({"terms": [{"name": "a", "weight": True}, {"name": "b", "weight": 2}]}, "weight"),
        ({"terms": [{"name": "a"}, {"name": "b", "weight": 2}]}, "weight"),
        ({"terms": [{"name": "a", "weight": 1, "x": 1}, {"name": "b", "weight": 2}]}, "x"),
        ({"more": 1}, "more"),
    ],
)
def test_constraints_that_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        make(**changes)


@pytest.mark.parametrize(
    ("kind", "a", "met"),
    [
        ("less_than", 0.0, True),
        ("less_than", 0.5, True),  # on the boundary
        ("less_than", 0.51, False),
        ("greater_than", 0.5, True),
        ("greater_than", 0.49, False),
    ],
)
def test_a_constraint_holds_up_to_its_boundary(kind: str, a: float, met: bool) -> None:
    assert make(type=kind).is_met({"A": a, "b": 0.0}) is met


def test_rounding_does_not_break_a_constraint() -> None:
    constraint = make(threshold=0.3, terms=[{"name": "a", "weight": 1}, {"name": "b", "weight": 1}])

    assert constraint.is_met({"a": 0.1, "b": 0.2})  # 0.30000000000000004


def test_the_largest_numbers_do_not_overflow() -> None:
    constraint = make(terms=[{"name": "a", "weight": 1e150}, {"name": "b", "weight": -1e150}])

    assert not constraint.is_met({"a": 1e150, "b": -1e150})

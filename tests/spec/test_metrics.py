from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tradeoff.spec.metrics import Metric, MetricEvaluation


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("accuracy", Metric(name="accuracy")),
        ({"name": "accuracy"}, Metric(name="accuracy", objective="maximize", strategy="optimize")),
        ({"name": " accuracy ", "object": "metric"}, Metric(name="accuracy")),
        ({}, Metric()),
        ({"name": "a", "objective": None, "strategy": None, "threshold": None}, Metric(name="a")),
        (
            {"name": "a", "strategy": "constraint", "threshold": 1},
            Metric(name="a", strategy="constraint", threshold=1.0),
        ),
    ],
)
def test_metrics_that_are_possible(given: Any, kept: Metric) -> None:
    assert Metric.model_validate(given) == kept


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"name": "a", "strategy": "constraint"}, "threshold: required"),
        ({"name": "a", "strategy": "store", "threshold": 0}, "threshold: a stored metric"),
        ({"name": "a", "objective": "max"}, "objective"),
        ({"name": "a", "strategy": "Optimize"}, "strategy"),
        ({"name": "a" * 101}, "100"),
        ({"name": 5}, "string"),
        ({"name": "a", "threshold": "1"}, "number"),
        ({"name": "a", "threshold": True}, "number"),
        ({"name": "a", "thresold": 1}, "thresold"),
        ({"name": "a", "object": "experiment"}, "object"),
        (["a"], "metric|dictionary"),
        (7, "metric|dictionary"),
    ],
)
def test_metrics_that_are_refused(given: Any, reason: str) -> None:
    with pytest.raises(ValidationError, match=f"(?i){reason}"):
        Metric.model_validate(given)


@pytest.mark.parametrize(
    ("objective", "value", "met"),
    [
        ("maximize", 5.0, True),
        ("maximize", 4.999, False),
        ("maximize", 6.0, True),
        ("minimize", 5.0, True),
        ("minimize", 5.001, False),
        ("minimize", -6.0, True),
    ],
)
def test_a_threshold_is_met_inclusively(objective: Any, value: float, met: bool) -> None:
    metric = Metric(name="m", objective=objective, threshold=5.0)

    assert metric.meets_threshold(value) is met


def test_without_threshold_everything_is_acceptable() -> None:
    assert Metric().meets_threshold(-1e150)


@pytest.mark.parametrize(
    "given",
    [
        {"value": None},
        {"value": float("nan")},
        {"value": "1"},
        {"value": True},
        {"value": 1, "value_stddev": -0.1},
        {"value": 1, "value_stddev": "0"},
        {"value": 1, "stddev": 0.1},
        {"name": 3, "value": 1},
    ],
)
def test_evaluations_that_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MetricEvaluation.model_validate(given)


def test_an_evaluation_may_lack_name_and_deviation() -> None:
    evaluation = MetricEvaluation.model_validate({"name": "", "value": 3, "value_stddev": None})

    assert evaluation == MetricEvaluation(value=3.0)

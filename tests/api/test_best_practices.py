from __future__ import annotations

from typing import Any

import pytest

from tests.api.caller import Caller, ok, path_of, refusal

GOOD: dict[str, Any] = {"observation_budget": 30, "parallel_bandwidth": 2}


def violations(api: Caller, **changes: Any) -> list[str]:
    told = ok(api.get(f"{path_of(api.single(**{**GOOD, **changes}))}/best_practices"))
    assert told["object"] == "best_practices"
    found: list[str] = told["violations"]
    return found


def double(name: str, low: float = 0, high: float = 1, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "double", "bounds": {"min": low, "max": high}, **more}


def test_a_sensible_experiment_violates_nothing(api: Caller) -> None:
    assert violations(api) == []
    assert violations(api, type="random", observation_budget=1) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"observation_budget": None}, "no budget"),
        ({"parameters": [double(f"x{i}") for i in range(21)]}, "21 parameters"),
        ({"parameters": [double(f"x{i}") for i in range(4)]}, "about 40 observations"),
        ({"observation_budget": 6}, "only spread over the space"),
        ({"parallel_bandwidth": 10}, "At most 6 is better"),
        ({"parameters": [double("rate", 1e-5, 0.1)]}, "span 4 powers of ten"),
        (
            {
                "parameters": [
                    {
                        "name": "c",
                        "type": "categorical",
                        "categorical_values": [f"v{i}" for i in range(12)],
                    }
                ]
            },
            "12 categorical values",
        ),
    ],
)
def test_what_could_be_better_is_told(api: Caller, changes: dict[str, Any], words: str) -> None:
    assert any(words in each for each in violations(api, **changes))


def test_a_log_scale_is_as_it_should_be(api: Caller) -> None:
    rate = double("rate", 1e-5, 0.1, transformation="log")

    assert violations(api, parameters=[rate]) == []


def test_many_failures_are_told(api: Caller) -> None:
    path = path_of(api.single(**GOOD))
    reports = [{"assignments": {"x": index / 10}, "failed": True} for index in range(6)]
    reports += [{"assignments": {"x": index / 10}, "value": 1} for index in range(4)]
    ok(api.post(f"{path}/observations/batch", {"observations": reports}))

    (told,) = ok(api.get(f"{path}/best_practices"))["violations"]

    assert "6 of 10 observations failed" in told


def test_a_foreign_experiment_has_none(api: Caller, other: Caller) -> None:
    refusal(other.get(f"{path_of(api.single())}/best_practices"), 404)

from __future__ import annotations

from tests.api.caller import Caller, ok, path_of, refusal


def test_the_criteria_are_told(api: Caller) -> None:
    path = path_of(api.single(observation_budget=10))
    assert ok(api.get(f"{path}/stopping_criteria")) == {
        "object": "stopping_criteria",
        "should_stop": False,
        "reasons": [],
    }

    for index in range(11):
        api.observe(path, assignments={"x": index / 20}, value=1)

    told = ok(api.get(f"{path}/stopping_criteria"))
    assert told["should_stop"] is True
    assert sorted(told["reasons"]) == ["observation_budget_reached", "possible_stagnation"]
    assert ok(api.get(f"{path}/stopping_criteria", fields="should_stop")) == {"should_stop": True}


def test_a_foreign_experiment_has_none(api: Caller, other: Caller) -> None:
    refusal(other.get(f"{path_of(api.single())}/stopping_criteria"), 404)

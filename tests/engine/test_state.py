import json

import pytest

from tradeoff.engine.state import State, WarmStart


def test_state_survives_json() -> None:
    state = State(
        seed=7,
        position=12,
        asks=3,
        metrics={"accuracy": WarmStart((0.1, -2.0), 20)},
        success=WarmStart((0.5, -1.0), 25, 3.0),
        success_by_metrics=WarmStart((0.5, 0.2, -1.0), 25, 6.0),
    )

    assert State.from_json(json.loads(json.dumps(state.to_json()))) == state


def test_initial_state_survives_json() -> None:
    state = State.initial(5)

    assert State.from_json(json.loads(json.dumps(state.to_json()))) == state
    assert State.from_json({"seed": 5}) == state


def test_state_without_seed_is_refused() -> None:
    with pytest.raises(KeyError):
        State.from_json({})

from __future__ import annotations

from typing import Any

import pytest

from tradeoff.integrations.space import Space


def test_ranges_and_choices_there_and_back() -> None:
    space = Space(
        {
            "C": (1e-3, 10, "log"),
            "degree": (2, 5),
            "gamma": (0.1, 1),
            "depth": [None, 3],
            "flag": [True, False],
        }
    )
    values = {"C": 0.5, "degree": 3, "gamma": 0.2, "depth": None, "flag": False}

    assert space.parameters == [
        {
            "name": "C",
            "type": "double",
            "bounds": {"min": 1e-3, "max": 10},
            "transformation": "log",
        },
        {"name": "degree", "type": "int", "bounds": {"min": 2, "max": 5}},
        {"name": "gamma", "type": "double", "bounds": {"min": 0.1, "max": 1}},
        {"name": "depth", "type": "categorical", "categorical_values": ["None", "3"]},
        {"name": "flag", "type": "categorical", "categorical_values": ["True", "False"]},
    ]
    assert space.encode(values) == {**values, "depth": "None", "flag": "False"}
    assert space.decode(space.encode(values)) == values


@pytest.mark.parametrize("given", [(1,), (1, 2, "cubic"), "abc", [1], [1, "1"]])
def test_what_is_no_range_is_named(given: Any) -> None:
    with pytest.raises(ValueError, match=r"^C: "):
        Space({"C": given})

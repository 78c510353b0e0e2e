from __future__ import annotations

from typing import Any

import pytest

from tradeoff.store.drafts import hash_assignments


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 3, "b": "x"}, {"b": "x", "a": 3.0}),
        ({"a": 0.0}, {"a": -0.0}),
        ({"a": 0}, {"a": -0.0}),
        ({"a": 1e22}, {"a": 10**22}),
    ],
)
def test_equal_configurations_have_equal_hashes(one: Any, other: Any) -> None:
    assert hash_assignments(one) == hash_assignments(other)


@pytest.mark.parametrize("other", [{"a": 4}, {"a": "3"}, {"b": 3}, {"a": 3, "b": 3}, {}])
def test_different_configurations_have_different_hashes(other: dict[str, Any]) -> None:
    assert hash_assignments({"a": 3}) != hash_assignments(other)

"""What was used last stays, within limits."""

from __future__ import annotations

from tradeoff.worker.recent import Recent


def test_the_ones_not_used_for_longest_go() -> None:
    kept: Recent[str, int] = Recent(most=2, largest=100)
    assert kept.put("a", 1, size=1) == []
    assert kept.put("b", 2, size=1) == []
    assert kept.get("a") == 1

    assert kept.put("c", 3, size=1) == ["b"]

    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (1, None, 3)


def test_their_sizes_are_bounded_but_the_newest_always_stays() -> None:
    kept: Recent[str, int] = Recent(most=10, largest=10)
    kept.put("a", 1, size=4)
    kept.put("b", 2, size=4)

    assert kept.put("c", 3, size=4) == ["a"]
    assert kept.put("d", 4, size=50) == ["b", "c"]
    assert kept.get("d") == 4
    assert kept.put("e", 5, size=1) == ["d"]


def test_a_new_value_of_a_key_takes_the_place_of_the_old_one() -> None:
    kept: Recent[str, int] = Recent(most=10, largest=10)
    kept.put("a", 1, size=9)
    assert kept.put("a", 2, size=5) == []
    assert kept.put("b", 3, size=5) == []

    assert kept.get("a") == 2


def test_nothing_is_left_of_what_was_cleared() -> None:
    kept: Recent[str, int] = Recent(most=10, largest=10)
    kept.put("a", 1, size=9)
    kept.clear()

    assert kept.get("a") is None
    assert kept.put("b", 2, size=9) == []

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeoff.spec import values


@pytest.mark.parametrize("number", [0, -1, 1.5, 1e150, 10**150, -(10**150), 5e-324, 2**60])
def test_numbers_become_floats(number: float) -> None:
    checked = values.check_number(number)

    assert isinstance(checked, float)
    assert checked == float(number)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (True, "must be a number"),
        ("1", "must be a number"),
        (None, "must be a number"),
        ([1], "must be a number"),
        ({}, "must be a number"),
        (math.nan, "finite"),
        (math.inf, "finite"),
        (1.1e150, "magnitude"),
        (-(10**151), "magnitude"),
        (10**400, "magnitude"),
    ],
)
def test_what_is_no_number_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        values.check_number(value)


def test_whole_floats_are_integers() -> None:
    assert values.check_integer(3.0) == 3
    assert isinstance(values.check_integer(3.0), int)
    assert values.check_integer(2**53 - 1) == 2**53 - 1


@pytest.mark.parametrize("value", [3.5, 2**53, 2**53 + 1, -(2**53), 1e100, True, "3"])
def test_what_is_no_safe_integer_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        values.check_integer(value)


@pytest.mark.parametrize("value", [0, -1])
def test_positive_means_at_least_one(value: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        values.check_positive(value)


def test_names_are_trimmed() -> None:
    assert values.check_name("  läuft\t") == "läuft"


@pytest.mark.parametrize(
    "value", ["", "   ", "a" * 101, "a\nb", "a\x1fb", "a\x00", "\ud800", 5, None]
)
def test_what_is_no_name_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        values.check_name(value)


def test_a_name_may_have_a_hundred_characters() -> None:
    assert values.check_name("n" * 100) == "n" * 100


def test_long_values_are_cut_in_messages() -> None:
    assert len(values.shown("x" * 1000)) == 80


@given(st.integers() | st.floats())
def test_a_number_is_taken_or_refused_and_nothing_else(number: float) -> None:
    try:
        checked = values.check_number(number)
    except ValueError:
        return
    assert abs(checked) <= values.MAX_MAGNITUDE

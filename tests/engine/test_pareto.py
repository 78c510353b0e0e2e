import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tradeoff.engine import pareto


def test_non_dominated_rows_are_told_from_beaten_ones() -> None:
    Y = [[1.0, 3.0], [2.0, 2.0], [1.0, 1.0], [3.0, 1.0], [2.0, 1.0]]

    assert pareto.non_dominated(Y).tolist() == [True, True, False, True, False]


def test_of_equal_rows_the_first_is_kept_and_nan_never() -> None:
    Y = [[np.nan, 9.0], [1.0, 1.0], [1.0, 1.0]]

    assert pareto.non_dominated(Y).tolist() == [False, True, False]


def test_one_metric_keeps_the_first_best() -> None:
    assert pareto.non_dominated([[1.0], [3.0], [3.0]]).tolist() == [False, True, False]


def test_no_rows_and_wrong_shape() -> None:
    assert pareto.non_dominated(np.empty((0, 2))).tolist() == []
    with pytest.raises(ValueError, match="two dimensions"):
        pareto.non_dominated([1.0, 2.0])


def test_hypervolume_of_two_metrics_is_a_sum_of_strips() -> None:
    # 3x1 + 1x2 above the common part 1x1: by hand 3 + 2 - 1 = 4, and (2, 2) adds 1.
    assert pareto.hypervolume([[3.0, 1.0], [1.0, 2.0]], [0.0, 0.0]) == pytest.approx(4.0)
    assert pareto.hypervolume([[3, 1], [1, 2], [2, 2]], [0, 0]) == pytest.approx(5.0)
    assert pareto.hypervolume([[3, 1], [1, 2], [-1, 9]], [0, 0]) == pytest.approx(4.0)


def test_hypervolume_of_nothing_is_zero() -> None:
    assert pareto.hypervolume(np.empty((0, 2)), [0, 0]) == 0
    assert pareto.hypervolume([[1.0, -1.0]], [0, 0]) == 0
    assert pareto.hypervolume([[2.5]], [1.0]) == pytest.approx(1.5)


def test_hypervolume_of_three_metrics_by_hand() -> None:
    # Two unit-wide bars along different axes share the unit cube at the origin.
    assert pareto.hypervolume([[2, 1, 1], [1, 1, 3]], [0, 0, 0]) == pytest.approx(2 + 3 - 1)


@given(arrays(float, st.tuples(st.integers(1, 6), st.integers(2, 5)), elements=st.integers(-1, 4)))
def test_hypervolume_counts_the_dominated_unit_cells(Y: np.ndarray) -> None:
    m = Y.shape[1]
    cells = itertools.product(range(4), repeat=m)
    expected = sum(bool((np.array(cell) < Y).all(axis=1).any()) for cell in cells)

    assert pareto.hypervolume(Y, np.zeros(m)) == pytest.approx(expected)


@given(arrays(float, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.integers(0, 5)))
def test_non_dominated_agrees_with_the_definition(Y: np.ndarray) -> None:
    expected = [
        not any(
            ((other >= row).all() and (other > row).any()) or ((other == row).all() and j < i)
            for j, other in enumerate(Y)
        )
        for i, row in enumerate(Y)
    ]

    assert pareto.non_dominated(Y).tolist() == expected


def test_reference_point_lies_a_tenth_below_the_front() -> None:
    assert pareto.reference_point([[0, 10], [10, 0], [-5, -5]]) == pytest.approx([-1, -1])


def test_reference_point_of_a_front_without_range() -> None:
    assert pareto.reference_point([[2.0, 4.0]]) == pytest.approx([1.8, 3.6])
    assert pareto.reference_point([[2.0, 4.0], [1.0, 0.0]]) == pytest.approx([1.9, 3.6])
    assert pareto.reference_point([[0.0, np.nan]]).tolist() == [0, 0]

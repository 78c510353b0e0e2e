"""Importances by trees: cheap, and in the same order as the true effects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.specs import category, double, integer, spec_of
from tradeoff.engine import forest
from tradeoff.engine.space import Space

SPACE = Space(spec_of(double("a"), double("b"), integer("c", 1, 5), category("d", "x", "y", "z")))


def points(count: int) -> np.ndarray:
    return SPACE.from_unit(np.random.default_rng(3).random((count, 4)))


def test_what_matters_most_has_the_largest_share() -> None:
    X = points(40)
    by_name = {dimension.name: dimension for dimension in SPACE.dimensions}
    a, d = X[:, by_name["a"].start], X[:, by_name["d"].columns][:, 1]

    shares = forest.importances(SPACE, X, 3 * a + 2 * d, seed=0)

    names = [SPACE.dimensions[index].name for index in np.argsort(-shares)]
    assert set(names[:2]) == {"a", "d"}
    assert shares.sum() == pytest.approx(1)
    assert shares[[dimension.name in ("b", "c") for dimension in SPACE.dimensions]].max() < 0.1


def test_a_constant_metric_favours_no_parameter() -> None:
    shares = forest.importances(SPACE, points(20), np.full(20, 1e300), seed=0)

    np.testing.assert_allclose(shares, 0.25)


def test_one_parameter_is_all_there_is() -> None:
    space = Space(spec_of(double("a")))
    X = np.linspace(0, 1, 5)[:, None]

    assert forest.importances(space, X, X[:, 0], seed=0).tolist() == [1.0]


def test_the_same_seed_gives_the_same_shares() -> None:
    X = points(30)
    first, again = (forest.importances(SPACE, X, X[:, 0] ** 2, seed=5) for _ in range(2))

    np.testing.assert_array_equal(first, again)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.floats(-1e300, 1e300, allow_nan=False) | st.sampled_from([0.0, 1.0, 1.0, 5e-324]),
        min_size=1,
        max_size=25,
    )
)
def test_any_values_give_shares_of_sum_one(values: list[float]) -> None:
    X = points(len(values))
    X[1::3] = X[0]  # repeated points with other values, which nothing can split

    shares = forest.importances(SPACE, X, np.array(values), seed=0)

    assert np.isfinite(shares).all()
    assert (shares >= 0).all()
    assert shares.sum() == pytest.approx(1)

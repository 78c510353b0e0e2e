import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.specs import (
    CONDITIONAL,
    CONSTRAINED,
    MIXED,
    category,
    double,
    integer,
    spec_of,
    specs,
)
from tradeoff.engine.space import CHOSEN, Space, row_key, unique_rows
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.values import Value

Point = dict[str, Value]


def test_values_sit_where_the_hand_puts_them() -> None:
    space = Space(MIXED)  # batch, layers, momentum, optimizer (3 columns), rate

    point: Point = {"batch": 32, "layers": 1, "momentum": 0.33, "optimizer": "sgd", "rate": 1e-3}
    X = space.encode([point])

    assert space.width == 7
    assert X[0] == pytest.approx([0.5, 1 / 8, 1 / 3, 0, CHOSEN, 0, 0.5])


def test_two_choices_lie_one_apart() -> None:
    space = Space(spec_of(category("c", "x", "y", "z")))

    a, b = space.encode([{"c": "x"}, {"c": "z"}])

    assert np.linalg.norm(a - b) == pytest.approx(1.0)


def test_inactive_parameters_sit_in_the_middle_and_are_absent() -> None:
    space = Space(CONDITIONAL)
    point: Point = {"optimizer": "sgd", "rate": 1e-3, "momentum": 0.9}

    X = space.encode([point])

    # optimizer (3), momentum, rate, schedule (2), warmup
    assert X[0] == pytest.approx([0, CHOSEN, 0, 0.9 / 0.99, 0.5, 0, 0, 0.5])
    assert space.decode(X)[0].keys() == point.keys()


def test_data_from_outside_the_bounds_keeps_its_distance_up_to_one_width() -> None:
    space = Space(spec_of(double("x", 0, 10), integer("k", 1, 4)))

    X = space.encode([{"x": 15.0, "k": 6}, {"x": 1e150, "k": -1000}])

    np.testing.assert_allclose(X, [[5.5 / 4, 1.5], [-1.0, 2.0]])


def test_absent_parameter_takes_its_default_or_the_middle() -> None:
    space = Space(spec_of(double("x"), double("y", default_value=0.2), category("c", "u", "v")))

    X = space.encode([{}])

    assert X[0] == pytest.approx([0, 0, 0.5, 0.2])  # no column marked for the category


def test_unknown_category_and_dropped_level_are_coped_with() -> None:
    space = Space(spec_of(category("c", "u", "v"), {"name": "g", "type": "int", "grid": [1, 3]}))

    X = space.encode([{"c": "gone", "g": 2}])

    assert X[0] == pytest.approx([0, 0, 0.5])


def test_log_scale_is_even_in_factors() -> None:
    space = Space(spec_of(double("x", 1e-4, 1.0, transformation="log")))

    assert space.encode([{"x": 1e-2}])[0, 0] == pytest.approx(0.5)
    assert space.decode(np.array([[0.25]]))[0]["x"] == pytest.approx(1e-3)


@given(specs(), st.integers(0, 2**31))
def test_decode_undoes_encode(spec: ExperimentSpec, seed: int) -> None:
    space = Space(spec)
    V = np.random.default_rng(seed).random((8, len(space.dimensions)))
    points = space.decode(space.from_unit(V, priors=True))

    again = space.decode(space.encode(points))

    for before, after in zip(points, again, strict=True):
        assert before.keys() == after.keys()
        for name, value in before.items():
            if isinstance(value, float):
                assert math.isclose(value, after[name], rel_tol=1e-9, abs_tol=1e-9)  # type: ignore[arg-type]  # a float decodes to a float
            else:
                assert value == after[name]


@given(st.floats(1e-6, 1e7), st.floats(1.1, 1e6), st.booleans())
def test_ends_of_ranges_are_the_bounds_to_the_last_digit(
    low: float, factor: float, is_log: bool
) -> None:
    more = {"transformation": "log"} if is_log else {}
    space = Space(spec_of(double("x", low, low * factor, **more)))

    points = space.decode(space.from_unit(np.array([[0.0], [1.0]])))

    assert points == [{"x": low}, {"x": low * factor}]
    assert space.to_unit(space.encode(points)).tolist() == [[0.0], [1.0]]


@given(specs(), st.integers(0, 2**31))
def test_decoded_points_are_what_the_spec_permits(spec: ExperimentSpec, seed: int) -> None:
    space = Space(spec)
    V = np.random.default_rng(seed).random((8, len(space.dimensions)))
    V[0], V[1] = 0.0, 1.0

    X = space.from_unit(V, priors=True)
    met = space.meets_constraints(X)
    for point in space.decode(X[met]):
        assert spec.check_assignments(point) == point
        for parameter in spec.parameters:
            value = point.get(parameter.name)
            if parameter.bounds is not None and isinstance(value, int | float):
                assert parameter.bounds.min <= value <= parameter.bounds.max


@given(specs(), st.integers(0, 2**31))
def test_constraints_are_judged_as_the_spec_judges_them(spec: ExperimentSpec, seed: int) -> None:
    space = Space(spec)
    X = space.from_unit(np.random.default_rng(seed).random((16, len(space.dimensions))))

    met = space.meets_constraints(X)

    for point, ours in zip(space.decode(X), met, strict=True):
        assert space.accepts(point) or not ours
    far = space.violation(space.to_unit(X)) > 1e-6
    assert not (far & met).any()


@given(specs(), st.integers(0, 2**31))
def test_snapping_twice_changes_nothing(spec: ExperimentSpec, seed: int) -> None:
    space = Space(spec)
    X = np.random.default_rng(seed).random((8, space.width))

    once = space.snap(X)

    assert np.array_equal(space.snap(once), once)


def test_linear_constraints_hold_in_original_units() -> None:
    space = Space(CONSTRAINED)
    X = space.encode(
        [
            {"a": 0.3, "b": 0.3, "k": 2, "l": 5},
            {"a": 0.3, "b": 0.31, "k": 2, "l": 5},
            {"a": 0.3, "b": 0.3, "k": 1, "l": 5},
        ]
    )

    assert space.meets_constraints(X).tolist() == [True, False, False]
    assert [space.accepts(point) for point in space.decode(X)] == [True, False, False]
    assert (space.violation(space.to_unit(X)) > 1e-9).tolist() == [False, True, True]


def test_size_counts_the_points_of_a_finite_space() -> None:
    space = Space(spec_of(integer("k", 1, 4), category("c", "u", "v")))

    listed = space.points(limit=100)

    assert space.size == 8
    assert listed is not None
    assert len(unique_rows(listed)) == 8
    assert space.points(limit=7) is None
    assert Space(MIXED).size == math.inf


def test_conditionals_merge_points_that_differ_only_in_switched_off_parts() -> None:
    space = Space(
        spec_of(
            category("c", "u", "v"),
            integer("k", 1, 3, conditions={"mode": ["on"]}),
            conditionals=[{"name": "mode", "values": ["on", "off"]}],
        )
    )

    listed = space.points(limit=100)

    assert listed is not None
    assert len(listed) == 2 * (3 + 1)


def test_row_keys_tell_points_apart() -> None:
    assert row_key(np.array([0.5, 0.0])) == row_key(np.array([0.5 + 1e-11, -0.0]))
    assert row_key(np.array([0.5])) != row_key(np.array([0.5 + 2e-9]))

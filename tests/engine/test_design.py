import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.specs import ALL, MIXED, NARROW, category, double, integer, spec_of, specs
from tradeoff.engine import design
from tradeoff.engine.space import Space
from tradeoff.spec.experiment import ExperimentSpec


@pytest.mark.parametrize("name", ALL)
def test_sequence_is_one_however_it_is_cut(name: str) -> None:
    spec = ALL[name]

    whole = design.space_filling(spec, seed=3, start=0, count=100)
    parts = [design.space_filling(spec, seed=3, start=s, count=20) for s in range(0, 100, 20)]

    assert [point for part in parts for point in part] == whole
    assert design.space_filling(spec, seed=4, start=0, count=100) != whole


@pytest.mark.parametrize("name", ALL)
def test_a_far_point_is_the_one_that_going_through_the_sequence_meets(name: str) -> None:
    space = Space(ALL[name])
    passed = itertools.islice(design.sequence(space, seed=5), 1_500)
    slowly = space.decode(np.array(list(passed)))

    for start, count in ((0, 1), (0, 9), (1, 4), (63, 3), (64, 1), (700, 33), (1_490, 10), (7, 0)):
        points = design.space_filling(ALL[name], seed=5, start=start, count=count)
        assert points == slowly[start : start + count]


def test_the_sequence_is_the_one_it_always_was() -> None:
    """Experiments that go on after an upgrade must not meet their points again."""
    spec = spec_of(double("x"), integer("k", 1, 9), category("c", "u", "v"))

    points = design.space_filling(spec, seed=7, start=10_000, count=2)

    assert points == [
        {"c": "v", "k": 5, "x": pytest.approx(0.052155109122395515)},
        {"c": "u", "k": 2, "x": pytest.approx(0.5437210453674197)},
    ]


@pytest.mark.parametrize("name", ALL)
def test_points_are_permitted_and_distinct(name: str) -> None:
    spec = ALL[name]

    points = design.space_filling(spec, seed=0, start=0, count=80)

    assert len({tuple(sorted(point.items())) for point in points}) == 80
    for point in points:
        assert spec.check_assignments(point) == point


@given(specs(), st.integers(0, 1000))
def test_points_of_any_space_are_permitted(spec: ExperimentSpec, seed: int) -> None:
    points = [
        *design.space_filling(spec, seed=seed, start=2, count=6),
        *design.random_points(spec, seed=seed, start=2, count=6),
    ]

    for point in points:
        assert spec.check_assignments(point) == point


def test_finite_space_is_listed_fully_before_it_repeats() -> None:
    spec = spec_of(integer("k", 1, 5), category("c", "u", "v", "w"))

    points = design.space_filling(spec, seed=0, start=0, count=30)

    assert len({tuple(point.items()) for point in points[:15]}) == 15
    assert points[15:] == points[:15]


def test_hardly_any_integer_point_meets_the_constraint() -> None:
    spec = spec_of(
        integer("a", 0, 1000),
        integer("b", 0, 1000),
        linear_constraints=[
            {
                "type": "less_than",
                "threshold": 1,
                "terms": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}],
            }
        ],
    )

    points = design.space_filling(spec, seed=0, start=0, count=4)

    assert {(p["a"], p["b"]) for p in points[:3]} == {(0, 0), (0, 1), (1, 0)}
    assert points[3] == points[0]


def test_unmeetable_constraint_still_gets_an_answer() -> None:
    spec = spec_of(
        double("a"),
        double("b"),
        linear_constraints=[
            {
                "type": "greater_than",
                "threshold": 3,
                "terms": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}],
            }
        ],
    )

    assert len(design.space_filling(spec, seed=0, start=0, count=2)) == 2
    assert len(design.random_points(spec, seed=0, start=0, count=2)) == 2


def test_narrow_polytope_is_covered() -> None:
    space = Space(NARROW)
    X = space.encode(design.space_filling(NARROW, seed=0, start=0, count=200))

    # Uniform on the simplex below 0.3: every coordinate has mean 0.3 / 7.
    assert X.mean(axis=0) == pytest.approx(np.full(6, 0.3 / 7), abs=0.012)


def test_priors_shape_the_density() -> None:
    spec = spec_of(
        double("n", 0, 10, prior={"name": "normal", "mean": 2, "scale": 0.5}),
        double("b", 0, 10, prior={"name": "beta", "shape_a": 8, "shape_b": 2}),
    )

    for draw in (design.space_filling, design.random_points):
        points = draw(spec, seed=1, start=0, count=256)
        assert np.mean([float(p["n"]) for p in points]) == pytest.approx(2, abs=0.15)
        assert np.mean([float(p["b"]) for p in points]) == pytest.approx(8, abs=0.25)


def test_random_points_do_not_depend_on_the_cut() -> None:
    whole = design.random_points(MIXED, seed=1, start=0, count=10)

    assert design.random_points(MIXED, seed=1, start=4, count=3) == whole[4:7]


def test_grid_varies_the_first_name_fastest_and_wraps() -> None:
    spec = spec_of(
        category("b", "x", "y"),
        {"name": "a", "type": "int", "grid": [1, 2, 3]},
        type="grid",
        observation_budget=None,
    )

    assert design.grid_size(spec) == 6
    points = [design.grid_point(spec, index) for index in range(8)]
    assert points[:4] == [
        {"a": 1, "b": "x"},
        {"a": 2, "b": "x"},
        {"a": 3, "b": "x"},
        {"a": 1, "b": "y"},
    ]
    assert points[6:] == points[:2]
    with pytest.raises(ValueError, match="levels"):
        design.grid_size(spec_of(double("x")))


def test_design_ends_with_enough_results_and_a_success() -> None:
    spec = spec_of(*[double(f"x{i}") for i in range(6)])

    assert design.is_initial(spec, succeeded=4, failed=0)
    assert not design.is_initial(spec, succeeded=5, failed=0)
    assert design.is_initial(spec, succeeded=1, failed=3)
    assert not design.is_initial(spec, succeeded=1, failed=4)
    assert design.is_initial(spec, succeeded=0, failed=100)


@pytest.mark.parametrize(
    ("numbers", "categories", "size"),
    [(1, 0, 5), (5, 0, 5), (40, 0, 5), (2, 2, 5), (4, 2, 6), (20, 3, 8), (0, 9, 9), (20, 20, 12)],
)
def test_the_design_grows_with_the_parameters(numbers: int, categories: int, size: int) -> None:
    parameters = [double(f"x{i}") for i in range(numbers)]
    parameters += [category(f"c{i}", "a", "b", "c") for i in range(categories)]

    assert design.initial_size(spec_of(*parameters)) == size


@pytest.mark.parametrize(
    ("succeeded", "failed", "missing"), [(0, 0, 5), (3, 0, 2), (1, 3, 1), (0, 30, 1)]
)
def test_missing_successes_end_the_design(succeeded: int, failed: int, missing: int) -> None:
    spec = spec_of(*[double(f"x{i}") for i in range(6)])

    assert design.missing_successes(spec, succeeded=succeeded, failed=failed) == missing
    assert not design.is_initial(spec, succeeded=succeeded + missing, failed=failed)
    assert design.is_initial(spec, succeeded=succeeded + missing - 1, failed=failed)


def test_every_third_place_is_the_designs_while_successes_are_few() -> None:
    spec = spec_of(*[double(f"x{i}") for i in range(6)])

    def places(succeeded: int, failed: int, pending: int = 0) -> list[int]:
        counts = {"succeeded": succeeded, "failed": failed, "pending": pending}
        return design.places(spec, **counts, count=7)

    assert places(1, 5) == [0, 3, 6]
    assert places(1, 5, pending=1) == [2, 5]
    assert places(4, 1) != []
    assert places(5, 1) == []
    assert places(2, 15) != []
    assert places(3, 14) == []


def test_random_experiments_never_leave_the_design() -> None:
    assert design.is_initial(spec_of(double("x"), type="random"), succeeded=99, failed=0)


def test_sample_follows_constraints() -> None:
    for spec in ALL.values():
        space = Space(spec)
        X = design.sample(space, 128, np.random.default_rng(0))
        assert len(X) >= 32
        assert space.meets_constraints(X).all()
        assert np.array_equal(space.snap(X), X)

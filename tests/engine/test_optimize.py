from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.engine.specs import (
    ALL,
    CONDITIONAL,
    CONSTRAINED,
    MIXED,
    category,
    double,
    integer,
    spec_of,
    specs,
)
from tradeoff.engine import design, optimize
from tradeoff.engine.interior import Interior
from tradeoff.engine.optimize import Problem, Walls
from tradeoff.engine.space import Space
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.values import Value

CPU = torch.device("cpu")


class Bowl:
    """A utility with a known best point, in place of the real one."""

    def __init__(self, function: Callable[[Tensor], Tensor], interior: Interior | None = None):
        self.function, self.interior = function, interior

    def __call__(self, Z: Tensor, *, screen: bool = False) -> Tensor:
        return self.function(Z)


def peak_at(target: np.ndarray) -> Bowl:
    return Bowl(lambda Z: -((Z - torch.as_tensor(target)) ** 2).sum(-1) * 30)


def best_of(
    spec: ExperimentSpec, bowl: Bowl, seen: np.ndarray | None = None, seed: int = 0
) -> tuple[np.ndarray, float]:
    space = Space(spec)
    rng = np.random.default_rng(seed)
    start = design.sample(space, 4, rng)
    observed = np.empty((0, space.width)) if seen is None else seen
    problem = Problem(space, start, observed, np.full(space.width, 0.5))
    return optimize.optimize(bowl, problem, rng, CPU)  # type: ignore[arg-type]  # a stand-in


@pytest.mark.parametrize("seed", range(3))
def test_best_point_of_a_mixed_space_is_found(seed: int) -> None:
    space = Space(MIXED)
    goal: dict[str, Value] = {
        "batch": 64,
        "layers": 3,
        "momentum": 0.4,
        "optimizer": "sgd",
        "rate": 2e-3,
    }

    x, _ = best_of(MIXED, peak_at(space.encode([goal])[0]), seed=seed)

    found = space.decode(x[None])[0]
    assert {k: found[k] for k in ("batch", "layers", "optimizer")} == {
        "batch": 64,
        "layers": 3,
        "optimizer": "sgd",
    }
    assert found["momentum"] == pytest.approx(0.4, abs=1e-3)
    assert found["rate"] == pytest.approx(2e-3, rel=1e-2)


def test_best_branch_of_a_conditional_space_is_found() -> None:
    space = Space(CONDITIONAL)
    goal: dict[str, Value] = {"optimizer": "adam", "rate": 1e-4, "warmup": 7, "schedule": "cosine"}

    x, _ = best_of(CONDITIONAL, peak_at(space.encode([goal])[0]))

    found = space.decode(x[None])[0]
    assert {**found, "rate": 0} == {**goal, "rate": 0}


def test_best_point_outside_the_constraints_is_replaced_by_one_at_the_wall() -> None:
    space = Space(CONSTRAINED)
    goal = space.encode([{"a": 0.9, "b": 0.1, "k": 0, "l": 2}])[0]

    x, _ = best_of(CONSTRAINED, peak_at(goal))

    found = space.decode(x[None])[0]
    assert CONSTRAINED.check_assignments(found) == found
    # Nearest to the goal on a + b = 0.6, which is not on the way straight up from most starts.
    a, b = float(found["a"]), float(found["b"])
    assert a + b == pytest.approx(0.6, abs=0.02)
    assert a > 0.5
    assert (found["k"], found["l"]) in {(2, 5), (3, 5), (1, 6), (0, 6)}


@given(specs(), st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_found_points_are_permitted(spec: ExperimentSpec, seed: int) -> None:
    space = Space(spec)

    x, _ = best_of(spec, peak_at(np.full(space.width, 0.6)), seed=seed)

    point = space.decode(x[None])[0]
    assert spec.check_assignments(point) == point


@pytest.mark.parametrize("name", ALL)
def test_what_was_seen_is_not_found_again(name: str) -> None:
    space = Space(ALL[name])
    bowl = peak_at(np.zeros(space.width))  # the corner that climbs end in
    seen = np.empty((0, space.width))

    for _ in range(4):
        x, _ = best_of(ALL[name], bowl, seen)
        assert not optimize.is_seen(x, seen)
        seen = np.concatenate([seen, x[None]])


def test_finite_space_is_used_up_before_it_repeats() -> None:
    spec = spec_of(integer("k", 0, 4), category("c", "u", "v"))
    space = Space(spec)
    bowl = peak_at(space.encode([{"k": 2, "c": "u"}])[0])
    seen = np.empty((0, space.width))
    values = []

    for _ in range(11):
        x, value = best_of(spec, bowl, seen)
        values.append(value)
        seen = np.concatenate([seen, x[None]])

    assert len(np.unique(seen[:10].round(6), axis=0)) == 10
    assert values[:10] == sorted(values[:10], reverse=True)
    assert values[10] == values[0]


def test_larger_finite_space_is_used_up_too() -> None:
    spec = spec_of(integer("k", 0, 2500))
    space = Space(spec)
    everything = space.points(3000)
    assert everything is not None
    left = 1234

    x, _ = best_of(spec, peak_at(everything[5]), np.delete(everything, left, axis=0))

    assert space.decode(x[None])[0] == {"k": left}


def test_utility_that_is_no_number_is_survived() -> None:
    def partly(Z: Tensor) -> Tensor:
        value = -((Z - 0.3) ** 2).sum(-1)
        return torch.where(Z[:, 0] > 0.5, torch.full_like(value, float("nan")), value)

    x, value = best_of(spec_of(double("x"), double("y")), Bowl(partly))

    assert value == pytest.approx(0.0, abs=1e-4)
    assert x == pytest.approx([0.3, 0.3], abs=0.01)


def test_climb_finds_the_top_of_a_curved_ridge() -> None:
    def rosenbrock(Z: Tensor) -> Tensor:
        a, b = 4 * Z[:, 0] - 2, 4 * Z[:, 1] - 2
        return -((1 - a) ** 2) - 10 * (b - a**2) ** 2

    X = torch.rand(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    walls = Walls(Space(spec_of(double("x"), double("y"))), CPU)

    _, value = optimize.climb(
        rosenbrock, X, torch.ones_like(X), torch.ones(2).double(), walls=walls, evaluations=80
    )

    assert float(value.min()) > -1e-3


def test_climb_moves_only_what_is_free_and_stays_in_the_cube() -> None:
    X = torch.full((2, 3), 0.5, dtype=torch.float64)
    free = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    walls = Walls(Space(spec_of(double("x"), double("y"), double("z"))), CPU)

    best, _ = optimize.climb(
        lambda Z: 5 * Z.sum(1), X, free, torch.ones(3).double(), walls=walls, evaluations=25
    )

    np.testing.assert_allclose(best, np.where(free > 0, 1.0, 0.5))


def test_walls_stop_short() -> None:
    space = Space(CONSTRAINED)
    walls = Walls(space, CPU)
    start = torch.as_tensor(space.encode([{"a": 0.1, "b": 0.1, "k": 5, "l": 8}]))
    end = torch.as_tensor(space.encode([{"a": 0.9, "b": 0.1, "k": 5, "l": 8}]))

    share = walls.share(start, end)

    assert float(share) == pytest.approx(0.5, abs=1e-4)  # from 0.2 to 0.6 of the way to 1.0


@given(specs(), st.integers(0, 100))
@settings(max_examples=50)
def test_neighbours_are_snapped_points(spec: ExperimentSpec, seed: int) -> None:
    space = Space(spec)
    rng = np.random.default_rng(seed)
    parents = design.sample(space, 4, rng)

    children = optimize.perturb(space, parents, 16, rng)

    assert np.array_equal(space.snap(children), children)


def test_neighbours_stay_inside_constraints_up_to_rounding() -> None:
    space = Space(ALL["narrow"])
    rng = np.random.default_rng(0)

    children = optimize.perturb(space, design.sample(space, 8, rng), 200, rng)

    assert space.meets_constraints(children).mean() > 0.95


@pytest.mark.parametrize("name", ALL)
def test_nearby_is_looked_within_steps_of_the_incumbents(name: str) -> None:
    space = Space(ALL[name])
    rng = np.random.default_rng(0)
    *incumbents, target = design.sample(space, 8, rng)[:4]
    parents = np.array(incumbents)
    problem = Problem(space, parents, parents, np.full(space.width, 0.5))
    reals = space.first_columns[space.mask_of("real")]

    for width in (0.1, 0.01):
        x, value = optimize.look_nearby(peak_at(target), problem, rng, CPU, width=width)  # type: ignore[arg-type]  # a stand-in

        assert not optimize.is_seen(x, parents)
        assert value == pytest.approx(-((x - target) ** 2).sum() * 30)
        point = space.decode(x[None])[0]
        assert ALL[name].check_assignments(point) == point
        distances = np.abs(x - parents)[:, reals].max(axis=1, initial=0.0)
        assert name == "conditional" or distances.min() < 5 * width  # five deviations


def test_where_all_nearby_is_seen_the_best_anywhere_is_taken() -> None:
    spec = spec_of(integer("k", 0, 30))
    space = Space(spec)
    everything = space.points(100)
    assert everything is not None
    far = everything[20]
    problem = Problem(space, everything[:1], np.delete(everything, 20, axis=0), np.ones(1))

    x, _ = optimize.look_nearby(peak_at(far), problem, np.random.default_rng(0), CPU, width=0.01)  # type: ignore[arg-type]  # a stand-in

    assert x == pytest.approx(far)


def test_points_at_ends_differ_from_their_parents_in_a_number_or_two() -> None:
    space = Space(MIXED)
    rng = np.random.default_rng(0)
    parents = design.sample(space, 1, rng)

    moved = optimize.move_to_ends(space, parents, 400, rng)

    found, (parent,) = space.decode(moved), space.decode(parents)
    changes = [{name for name in point if point[name] != parent[name]} for point in found]
    assert {len(change) for change in changes} <= {0, 1, 2}
    assert 0.5 < np.mean([len(change) == 1 for change in changes]) < 0.9
    ends = {"rate": (1e-5, 1e-1), "momentum": (0.0, 0.99), "layers": (1, 4), "batch": (16, 64)}
    for name, both in ends.items():
        reached = {
            point[name] for point, change in zip(found, changes, strict=True) if name in change
        }
        assert reached == set(both) - {parent[name]}


def test_good_values_at_an_end_are_found_only_if_ends_have_a_weight() -> None:
    """The utility is better at an end than anywhere near it, so that no slope leads there."""
    spec = spec_of(*[double(f"x{i}") for i in range(6)])
    space = Space(spec)

    def spiked(Z: Tensor) -> Tensor:
        return (Z[:, 3] == 1).double() - ((Z - 0.5) ** 2).sum(-1)

    belief = Interior(space, 6, CPU, np.empty((0, 6)))
    without, value = best_of(spec, Bowl(spiked))
    x, best = best_of(spec, Bowl(spiked, belief))

    assert without == pytest.approx([0.5] * 6, abs=0.01)
    assert x == pytest.approx([0.5, 0.5, 0.5, 1.0, 0.5, 0.5], abs=0.01)  # the others climb on
    assert x[3] == 1.0
    assert best == pytest.approx(0.75, abs=0.01)
    assert value == pytest.approx(0.0, abs=0.01)

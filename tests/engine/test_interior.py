import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch

from tests.engine.histories import observe
from tests.engine.specs import category, double, integer, spec_of
from tradeoff.engine import design, interior
from tradeoff.engine.interior import Interior
from tradeoff.engine.space import Space
from tradeoff.engine.state import State
from tradeoff.engine.suggest import suggest
from tradeoff.spec.history import History
from tradeoff.spec.values import Value

CPU = torch.device("cpu")
CUBE = spec_of(*[double(f"x{i}") for i in range(6)])


def rows(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_middle_costs_nothing_and_each_wall_the_floor() -> None:
    belief = Interior(Space(CUBE), 6, CPU)

    middle, one_wall, corner = belief.log_density(rows([0.5] * 6, [0.0] + [0.5] * 5, [1.0] * 6))

    wall = interior.STRENGTH * math.log(interior.FLOOR)
    assert [float(middle), float(one_wall), float(corner)] == pytest.approx([0, wall, 6 * wall])


def test_belief_fades_with_the_observations_for_each_number() -> None:
    Z = rows([0.1] * 6)

    none, few, many = (float(Interior(Space(CUBE), n, CPU).log_density(Z)) for n in (0, 12, 60))

    assert few == pytest.approx(none / 4)
    assert many == pytest.approx(none / 100)


def test_a_corner_of_many_parameters_is_no_more_unlikely_than_one_of_twelve() -> None:
    corners = []
    for p in (interior.MANY, 100):
        space = Space(spec_of(*[double(f"x{i}") for i in range(p)]))
        corners.append(float(Interior(space, p, CPU).log_density(rows([0.0] * p))))

    assert corners[0] == pytest.approx(corners[1])


def test_only_numbers_without_a_prior_take_part() -> None:
    believed = double("b", prior={"name": "beta", "shape_a": 2.0, "shape_b": 5.0})
    space = Space(spec_of(believed, category("c", "u", "v"), integer("k", 1, 1000)))
    belief = Interior(space, 1, CPU)
    points = [{"b": b, "c": c, "k": 1000} for b in (0.0, 0.5, 1.0) for c in ("u", "v")]

    values = belief.log_density(torch.as_tensor(space.encode(points))).tolist()

    assert values == pytest.approx([values[0]] * 6)
    assert values[0] < 0
    nothing = Interior(Space(spec_of(category("c", "u", "v"))), 5, CPU)
    assert nothing.log_density(rows([0.7, 0.0])).tolist() == [0.0]


def test_slope_is_finite_on_the_walls_and_beyond() -> None:
    Z = rows([0.0, 1.0, 0.5, -1.0, 2.0, 1e-9]).requires_grad_(True)

    (slope,) = torch.autograd.grad(Interior(Space(CUBE), 3, CPU).log_density(Z).sum(), Z)

    assert bool(torch.isfinite(slope).all())
    assert float(slope[0, 0]) > 0 > float(slope[0, 1])


def bowl(point: Mapping[str, Value]) -> Mapping[str, float]:
    """Good values want the middle of all but one parameter, along which the metrics compete."""
    x = np.array([float(point[f"x{i}"]) for i in range(6)])
    away = 1 + float(((x[1:] - 0.5) ** 2).sum())
    return {"gain": -away * math.cos(x[0]), "loss": away * math.sin(x[0])}


def on_walls(seed: int) -> int:
    """How many of the six coordinates of the first suggestion by a model lie on a bound."""
    points = design.space_filling(CUBE, seed=seed, start=0, count=9)
    history = History(tuple(observe(point, bowl) for point in points))
    suggested = suggest(CUBE, history, 1, State.initial(seed))
    assert suggested.candidates[0].source == "model"
    x = np.array([float(v) for v in suggested.candidates[0].assignments.values()])
    return int(((x < 1e-6) | (x > 1 - 1e-6)).sum())


def test_few_observations_do_not_send_the_search_to_corners(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inside = sum(on_walls(seed) for seed in range(4))
    monkeypatch.setattr(interior, "STRENGTH", 0.0)
    without = sum(on_walls(seed) for seed in range(4))

    assert inside <= without - 4

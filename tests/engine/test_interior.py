import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch

from tests.engine.histories import observe
from tests.engine.specs import CONDITIONAL, category, double, integer, spec_of
from tradeoff.engine import design, interior
from tradeoff.engine.interior import Interior
from tradeoff.engine.space import Space
from tradeoff.engine.state import State
from tradeoff.engine.suggest import suggest
from tradeoff.spec.history import History
from tradeoff.spec.values import Value

CPU = torch.device("cpu")
CUBE = spec_of(*[double(f"x{i}") for i in range(6)])


def belief_of(
    space: Space, observations: int, efficient: list[dict[str, Value]] | None = None
) -> Interior:
    return Interior(space, observations, CPU, space.encode(efficient or []))


def rows(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_middle_costs_nothing_and_each_wall_the_floor() -> None:
    belief = belief_of(Space(CUBE), 6)

    middle, one_wall, corner = belief.log_density(rows([0.5] * 6, [0.0] + [0.5] * 5, [1.0] * 6))

    wall = interior.STRENGTH * math.log(interior.FLOOR)
    assert [float(middle), float(one_wall), float(corner)] == pytest.approx([0, wall, 6 * wall])


def test_belief_fades_with_the_observations_for_each_number() -> None:
    Z = rows([0.1] * 6)

    none, few, many = (float(belief_of(Space(CUBE), n).log_density(Z)) for n in (0, 12, 60))

    assert few == pytest.approx(none / 4)
    assert many == pytest.approx(none / 100)
    corner = belief_of(Space(CUBE), 6 * interior.FADED).log_density(rows([0.0] * 6))
    assert float(corner) > -0.05  # so it makes no difference that it is left out from there on


def test_a_corner_of_many_parameters_is_no_more_unlikely_than_one_of_twelve() -> None:
    corners = []
    for p in (interior.MANY, 100):
        space = Space(spec_of(*[double(f"x{i}") for i in range(p)]))
        corners.append(float(belief_of(space, p).log_density(rows([0.0] * p))))

    assert corners[0] == pytest.approx(corners[1])


def test_only_numbers_without_a_prior_take_part() -> None:
    believed = double("b", prior={"name": "beta", "shape_a": 2.0, "shape_b": 5.0})
    space = Space(spec_of(believed, category("c", "u", "v"), integer("k", 1, 1000)))
    belief = belief_of(space, 1)
    points = [{"b": b, "c": c, "k": 1000} for b in (0.0, 0.5, 1.0) for c in ("u", "v")]

    values = belief.log_density(torch.as_tensor(space.encode(points))).tolist()

    assert values == pytest.approx([values[0]] * 6)
    assert values[0] < 0
    nothing = belief_of(Space(spec_of(category("c", "u", "v"))), 5, [{"c": "u"}])
    assert nothing.log_density(rows([0.7, 0.0])).tolist() == [0.0]


def test_slope_is_finite_on_the_walls_and_beyond() -> None:
    Z = rows([0.0, 1.0, 0.5, -1.0, 2.0, 1e-9]).requires_grad_(True)

    (slope,) = torch.autograd.grad(belief_of(Space(CUBE), 3).log_density(Z).sum(), Z)

    assert bool(torch.isfinite(slope).all())
    assert float(slope[0, 0]) > 0 > float(slope[0, 1])


def at(x0: float, *, others: float = 0.5) -> dict[str, Value]:
    return {"x0": x0, **{f"x{i}": others for i in range(1, 6)}}


def test_belief_yields_at_walls_where_efficient_observations_lie_and_only_there() -> None:
    Z = rows([0.0] + [0.5] * 5, [1.0] + [0.5] * 5, [0.5, 0.0] + [0.5] * 4)
    space = Space(CUBE)

    unseen = belief_of(space, 6).log_density(Z)
    one, three = (
        belief_of(space, 6, [at(0.001 * k) for k in range(count)]).log_density(Z)
        for count in (1, 3)
    )

    assert float(unseen[0]) < 0.6 * float(one[0])
    assert float(three[0]) > 0.1 * float(unseen[0])  # a twentieth is left of it
    assert bool((three[1:] <= unseen[1:]).all())


def test_few_efficient_observations_elsewhere_change_little() -> None:
    Z, space = rows([0.0] * 6), Space(CUBE)

    unseen, inside = (
        float(belief_of(space, 6, seen).log_density(Z)) for seen in ([], [at(0.3, others=0.7)] * 3)
    )

    assert inside == pytest.approx(unseen, rel=0.2)


def test_where_a_parameter_is_switched_off_is_no_evidence() -> None:
    space = Space(CONDITIONAL)  # momentum belongs to sgd
    fixed: dict[str, Value] = {"rate": 1e-3, "warmup": 5, "schedule": "flat"}
    Z = torch.as_tensor(space.encode([fixed | {"optimizer": "sgd", "momentum": 0.0}]))

    unseen, off, on = (
        float(belief_of(space, 5, seen).log_density(Z))
        for seen in (
            [],
            [fixed | {"optimizer": "lamb"}] * 5,
            [fixed | {"optimizer": "sgd", "momentum": 0.9}] * 5,
        )
    )

    assert off == pytest.approx(unseen)
    assert on < unseen


@pytest.mark.parametrize("x0", [0.0, 0.5, 1.0])
def test_any_number_of_efficient_observations_leaves_the_belief_finite(x0: float) -> None:
    Z = rows([0.0] * 6, [1.0] * 6).requires_grad_(True)

    value = belief_of(Space(CUBE), 6, [at(x0)] * 5_000).log_density(Z)
    (slope,) = torch.autograd.grad(value.sum(), Z)

    assert bool(torch.isfinite(value).all())
    assert bool(torch.isfinite(slope).all())


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


def test_of_many_numbers_one_suggestion_in_three_goes_without_the_belief() -> None:
    def doubts(p: int) -> list[bool]:
        space = Space(spec_of(category("c", "u", "v"), *[double(f"x{i}") for i in range(p)]))
        return [belief_of(space, 5).is_doubted(position) for position in range(30)]

    assert not any(doubts(interior.TRUSTED))
    assert sum(doubts(interior.TRUSTED + 1)) == 10


def test_good_values_on_many_walls_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(*[double(f"x{i}") for i in range(20)])

    def on_wall(point: Mapping[str, Value]) -> Mapping[str, float]:
        x = np.array(list(point.values()), dtype=float)
        return {"gain": 1 - float(x[:10].mean()), "loss": float(x[10:].mean())}

    def best(seed: int) -> float:
        state, history = State.initial(seed), History(())
        for _ in range(30):
            suggested = suggest(spec, history, 1, state)
            state, (candidate,) = suggested.state, suggested.candidates
            history = History((*history.observations, observe(candidate.assignments, on_wall)))
        return max(seen.values["gain"] - seen.values["loss"] for seen in history.observations)

    found = best(0)
    monkeypatch.setattr(interior, "EVERY", 1_000)
    without = best(0)

    assert found > without + 0.1

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch

from tests.engine.histories import Truth, observe
from tests.engine.specs import CONDITIONAL, category, double, integer, spec_of
from tradeoff.engine import design, fitting, interior
from tradeoff.engine.data import build_data
from tradeoff.engine.interior import Interior, count_promising, weigh_ends
from tradeoff.engine.space import Space
from tradeoff.engine.state import State
from tradeoff.engine.suggest import suggest
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.history import History
from tradeoff.spec.values import Value

CPU = torch.device("cpu")
CUBE = spec_of(*[double(f"x{i}") for i in range(6)])
#: Next to an end of a range, where the end's own weight does not count.
NEAR = 1e-9


def belief_of(
    space: Space, observations: int, efficient: list[dict[str, Value]] | None = None
) -> Interior:
    return Interior(space, observations, CPU, space.encode(efficient or []))


def rows(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_middle_costs_nothing_and_each_wall_the_floor() -> None:
    belief = belief_of(Space(CUBE), 6)

    densities = belief.log_density(rows([0.5] * 6, [NEAR] + [0.5] * 5, [1 - NEAR] * 6))

    wall = interior.STRENGTH * math.log(interior.FLOOR)
    assert densities.tolist() == pytest.approx([0, wall, 6 * wall])


def test_each_end_costs_less_than_what_is_next_to_it() -> None:
    belief = belief_of(Space(CUBE), 6)

    one, corner, beyond = belief.log_density(rows([0.0] + [0.5] * 5, [1.0] * 6, [2.0] * 6))

    end = interior.STRENGTH * math.log(interior.END)
    assert [float(one), float(corner), float(beyond)] == pytest.approx([end, 6 * end, 6 * end])


def test_no_end_is_believed_in_less_than_what_is_next_to_it() -> None:
    """Good values all over one wall, not just at the end of the range."""
    belief = Interior(Space(CUBE), 6, CPU, Space(CUBE).encode([at(0.001)] * 9), end=interior.FLOOR)

    end, near = belief.log_density(rows([0.0] + [0.5] * 5, [NEAR] + [0.5] * 5))

    assert float(end) == pytest.approx(float(near))
    assert float(near) > interior.STRENGTH * math.log(0.9)


def test_coordinates_are_held_at_ends_and_not_where_good_values_lie_all_over_the_wall() -> None:
    X = np.array([[0.0, 1.0, 0.0, 0.5, NEAR, 1 - NEAR]])
    seen = [at(0.001)] * 9

    held = belief_of(Space(CUBE), 6, seen).is_held(X)

    assert held.tolist() == [[False, True, True, False, False, False]]
    space = Space(spec_of(integer("k", 0, 99), category("c", "u", "v"), double("x")))
    corner = space.encode([{"k": 0, "c": "u", "x": 1.0}])  # levels are searched, not climbed
    assert belief_of(space, 6).is_held(corner).sum() == 1
    assert belief_of(space, 6).is_held(corner)[:, space.first_columns[2]].all()


@pytest.mark.parametrize("size", [interior.LEVELS, 101])
def test_ends_of_many_levels_count_and_those_of_few_do_not(size: int) -> None:
    levels = [k / 8 for k in range(size)]
    grid = {"name": "g", "type": "double", "grid": levels}
    few = {**grid, "name": "f", "grid": levels[1 : interior.LEVELS]}  # one less
    space = Space(spec_of(integer("k", 1, size), grid, few))
    middle: dict[str, Value] = {"k": size // 2, "g": levels[size // 2], "f": 1.25}
    ends: list[dict[str, Value]] = [{"k": 1}, {"k": size}, {"g": 0.0}, {"g": levels[-1]}]
    others: list[dict[str, Value]] = [{"k": 2}, {"g": levels[-2]}, {"f": 1 / 8}, {"f": 19 / 8}]
    worth, less = (
        belief_of(space, 3).log_density(torch.as_tensor(space.encode([middle | x for x in points])))
        for points in (ends, others)
    )

    least = interior.STRENGTH * math.log(interior.END)
    assert worth.tolist() == pytest.approx([least] * 4, abs=0.1)
    assert float(less.max()) < least - 0.5
    trials = [space.encode([middle | x for x in points] * 3) for points in (ends, others)]
    shares = [weigh_ends(space, X, np.zeros(len(X), dtype=bool)) for X in trials]
    assert shares[0] < interior.END
    assert shares[1] == pytest.approx(interior.END)


def test_belief_fades_with_the_observations_for_each_number() -> None:
    Z = rows([0.1] * 6)

    none, few, many = (float(belief_of(Space(CUBE), n).log_density(Z)) for n in (0, 12, 60))

    assert few == pytest.approx(none / 4)
    assert many == pytest.approx(none / 100)
    corner = belief_of(Space(CUBE), 6 * interior.FADED).log_density(rows([NEAR] * 6))
    assert float(corner) > -0.05  # so it makes no difference that it is left out from there on


def test_a_corner_of_many_parameters_is_no_more_unlikely_than_one_of_twelve() -> None:
    corners = []
    for p in (interior.MANY, 100):
        space = Space(spec_of(*[double(f"x{i}") for i in range(p)]))
        corners.append(float(belief_of(space, p).log_density(rows([NEAR] * p))))

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
    Z = rows([NEAR, 1 - NEAR, 0.0, -1.0, 2.0, 1.0]).requires_grad_(True)

    (slope,) = torch.autograd.grad(belief_of(Space(CUBE), 3).log_density(Z).sum(), Z)

    assert bool(torch.isfinite(slope).all())
    assert float(slope[0, 0]) > 0 > float(slope[0, 1])


def at(x0: float, *, others: float = 0.5) -> dict[str, Value]:
    return {"x0": x0, **{f"x{i}": others for i in range(1, 6)}}


def test_belief_yields_at_walls_where_efficient_observations_lie_and_only_there() -> None:
    Z = rows([NEAR] + [0.5] * 5, [1 - NEAR] + [0.5] * 5, [0.5, NEAR] + [0.5] * 4)
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
    Z, space = rows([NEAR] * 6), Space(CUBE)

    unseen, inside = (
        float(belief_of(space, 6, seen).log_density(Z)) for seen in ([], [at(0.3, others=0.7)] * 3)
    )

    assert inside == pytest.approx(unseen, rel=0.2)


def test_where_a_parameter_is_switched_off_is_no_evidence() -> None:
    space = Space(CONDITIONAL)  # momentum belongs to sgd
    fixed: dict[str, Value] = {"rate": 1e-3, "warmup": 5, "schedule": "flat"}
    Z = torch.as_tensor(space.encode([fixed | {"optimizer": "sgd", "momentum": NEAR}]))

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


def inside(space: Space, count: int) -> list[dict[str, Value]]:
    """Points of the design, none of them near a wall."""
    points = design.space_filling(space.spec, seed=1, start=0, count=count)
    return space.decode(space.from_unit(0.2 + 0.6 * space.to_unit(space.encode(points))))


def promising(spec: ExperimentSpec, truth: Truth) -> dict[str, tuple[bool, bool]]:
    """Whether a model of thirty points, none near a wall, finds either wall of each promising."""
    space = Space(spec)
    points = inside(space, 30)
    data = build_data(space, History(tuple(observe(point, truth) for point in points)))
    rng = np.random.default_rng(0)
    model = fitting.fit_surrogate(space, data, State.initial(0), CPU, rng).surrogate
    counts = count_promising(space, model, data.efficient, data.limits)
    names = [
        each.parameter.name
        for each in space.dimensions
        if each.kind != "choice" and each.parameter is not None
    ]
    return {name: (a > 0, b > 0) for name, a, b in zip(names, *counts, strict=True)}


def number(value: Value) -> float:
    return float(value)


LOSS = {"name": "loss", "objective": "minimize"}
THREE = [{"name": "gain"}, LOSS, {"name": "power"}]
SLOPE = [double("x0"), double("x1"), integer("k", 1, 50)]


def slope(point: Mapping[str, Value]) -> Mapping[str, float]:
    """The more of `x0` the better, and the less of `k`; the middle of `x1`."""
    gain, loss = number(point["x0"]), number(point["k"]) / 50
    return {"gain": gain, "loss": loss, "power": -((number(point["x1"]) - 0.5) ** 2)}


def test_model_speaks_for_the_walls_that_it_sees_good_values_at_and_for_no_others() -> None:
    found = promising(spec_of(*SLOPE, metrics=THREE), slope)

    assert found == {"x0": (False, True), "x1": (False, False), "k": (True, False)}


def test_with_two_metrics_the_model_is_not_asked() -> None:
    found = promising(spec_of(*SLOPE), slope)

    assert set(found.values()) == {(False, False)}


def test_model_speaks_for_no_wall_where_a_constraint_is_not_met() -> None:
    def heavy(point: Mapping[str, Value]) -> Mapping[str, float]:
        return {**slope(point), "weight": number(point["x0"])}

    weight = {"name": "weight", "objective": "minimize", "strategy": "constraint"}
    light = spec_of(*SLOPE, metrics=[*THREE, {**weight, "threshold": 0.6}])
    terms = [{"name": "x0", "weight": 1}, {"name": "x1", "weight": 1}]
    under = [{"type": "less_than", "threshold": 0.9, "terms": terms}]
    linear = spec_of(*SLOPE, metrics=THREE, linear_constraints=under)

    for spec, truth in ((light, heavy), (linear, slope)):
        found = promising(spec, truth)

        assert found == {"x0": (False, False), "x1": (False, False), "k": (True, False)}


def test_wall_of_a_parameter_that_is_switched_off_is_not_promising() -> None:
    def fast(point: Mapping[str, Value]) -> Mapping[str, float]:
        """The more momentum the better, and without any it is better still."""
        gain = number(point.get("momentum", 5.0)) + (point["optimizer"] != "sgd")
        return {"gain": gain, "loss": -gain, "power": gain}

    momentum, optimizers = double("momentum", 0.0, 0.99), ("adam", "sgd", "lamb")
    always = spec_of(momentum, category("optimizer", *optimizers), metrics=THREE)
    at_times = spec_of(
        double("rate"),
        {**momentum, "conditions": {"optimizer": ["sgd"]}},
        conditionals=[{"name": "optimizer", "values": optimizers}],
        metrics=THREE,
    )

    assert promising(always, fast)["momentum"] == (False, True)
    assert promising(at_times, fast)["momentum"] == (False, False)


def test_all_constraints_and_no_numbers_have_no_walls_to_speak_of() -> None:
    met = {"name": "gain", "objective": "maximize", "strategy": "constraint", "threshold": 0.5}
    searched = spec_of(*SLOPE, metrics=[met])

    assert set(promising(searched, slope).values()) == {(False, False)}
    chosen = spec_of(category("c", *"uvwxyzabcdefgh"), metrics=THREE)
    values = {"loss": 0.0, "power": 0.0}
    assert promising(chosen, lambda point: {"gain": ord(str(point["c"])), **values}) == {}


def test_of_many_efficient_observations_some_are_looked_at() -> None:
    def rival(point: Mapping[str, Value]) -> Mapping[str, float]:
        return {"gain": number(point["x0"]), "loss": number(point["x0"]), "power": 0.0}

    space = Space(spec_of(*SLOPE, metrics=THREE))
    points = inside(space, 400)
    data = build_data(space, History(tuple(observe(point, rival) for point in points)))
    rng = np.random.default_rng(0)
    model = fitting.fit_surrogate(space, data, State.initial(0), CPU, rng).surrogate

    counts = count_promising(space, model, data.efficient, data.limits)

    assert len(data.efficient) == 400
    assert 0 < counts.max() <= interior.LOOKED_AT / 6


def test_what_the_model_finds_promising_counts_as_if_it_had_been_seen() -> None:
    Z, space = rows([NEAR] + [0.5] * 5, [1 - NEAR] + [0.5] * 5), Space(CUBE)
    found = np.zeros((2, 6))
    found[0, 0] = 1

    seen = belief_of(space, 6, [at(0.0)])
    told = Interior(space, 6, CPU, space.encode([]), found)

    assert float(told.log_density(Z[:1])) == pytest.approx(float(seen.log_density(Z[:1])), rel=0.2)
    assert float(told.log_density(Z[1:])) == float(belief_of(space, 6).log_density(Z[1:]))


@pytest.mark.parametrize("x0", [0.0, 0.5, 1.0])
def test_any_number_of_efficient_observations_leaves_the_belief_finite(x0: float) -> None:
    Z = rows([0.0] * 6, [1.0] * 6, [NEAR] * 6, [1 - NEAR] * 6).requires_grad_(True)

    value = belief_of(Space(CUBE), 6, [at(x0)] * 5_000).log_density(Z)
    (slope,) = torch.autograd.grad(value.sum(), Z)

    assert bool(torch.isfinite(value).all())
    assert bool(torch.isfinite(slope).all())


def bowl(point: Mapping[str, Value]) -> Mapping[str, float]:
    """Good values want the middle of all but one parameter, along which the metrics compete."""
    x = np.array([float(point[f"x{i}"]) for i in range(6)])
    away = 1 + float(((x[1:] - 0.5) ** 2).sum())
    return {"gain": -away * math.cos(x[0]), "loss": away * math.sin(x[0])}


def on_walls(seed: int, *, failed: int = 0) -> int:
    """How many of the six coordinates of the first suggestion by a model lie on a bound.

    Args:
        seed: of the design and the suggestion.
        failed: how many of the nine observations before it failed.
    """
    points = design.space_filling(CUBE, seed=seed, start=0, count=9)
    history = History(
        tuple(
            observe(point, bowl if number >= failed else lambda _: None)
            for number, point in enumerate(points)
        )
    )
    suggested = suggest(CUBE, history, 1, State.initial(seed))
    assert suggested.candidates[0].source == "model"
    x = np.array([float(v) for v in suggested.candidates[0].assignments.values()])
    return int(((x < 1e-6) | (x > 1 - 1e-6)).sum())


def test_ends_have_no_weight_of_their_own_once_a_training_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tradeoff.engine.suggest.weigh_ends", lambda *_: 1.0)  # as the middle

    assert sum(on_walls(seed) for seed in range(4)) >= 4
    assert sum(on_walls(seed, failed=1) for seed in range(4)) <= 1


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


def ends_of(pattern: str, *, good: str) -> float:
    """What ends are worth after observations inside (`i`) and at ends (`e`), some of them good.

    Args:
        pattern: where each lies.
        good: which were advances, `+`.
    """
    points = [at(1.0 if place == "e" else 0.3) for place in pattern]
    is_advance = np.array([mark == "+" for mark in good], dtype=bool)
    return weigh_ends(Space(CUBE), Space(CUBE).encode(points), is_advance)


def test_ends_are_worth_what_was_found_at_them() -> None:
    assert ends_of("", good="") == pytest.approx(interior.END)
    assert ends_of("iiii" * 5, good="+---" * 5) == pytest.approx(interior.END)
    as_good, worse = (
        ends_of("iii" + "ieie" * 8, good="+++" + marks * 8) for marks in ("++--", "+---")
    )
    assert as_good == pytest.approx(0.95, abs=0.05)
    assert worse < 0.3
    assert ends_of("iii" + "e" * 90, good="+++" + "-" * 90) == interior.FLOOR
    assert ends_of("iii" + "ei" * 30, good="+++" + "+-" * 30) == 1.0


def test_first_observations_are_no_evidence_of_ends() -> None:
    assert ends_of("eee", good="+++") == pytest.approx(interior.END)
    assert ends_of("iii", good="---") == pytest.approx(interior.END)


def test_ends_of_few_levels_and_of_what_is_switched_off_are_no_trials() -> None:
    space = Space(CONDITIONAL)
    point: dict[str, Value] = {"rate": 1e-3, "warmup": 1, "schedule": "flat", "optimizer": "adam"}
    X = space.encode([point] * 9)

    assert weigh_ends(space, X, np.zeros(9, dtype=bool)) == pytest.approx(interior.END)
    sgd = space.encode([{"rate": 1e-3, "optimizer": "sgd", "momentum": 0.0}] * 9)
    assert weigh_ends(space, sgd, np.zeros(9, dtype=bool)) < interior.END


def best_on_walls(p: int, metrics: list[dict[str, str]], *, observations: int) -> float:
    """The best sum of metrics whose good values lie at one end of each of `p` ranges."""
    spec = spec_of(*[double(f"x{i}") for i in range(p)], metrics=metrics)

    def on_wall(point: Mapping[str, Value]) -> Mapping[str, float]:
        x = np.array(list(point.values()), dtype=float)
        parts = zip(spec.metrics, np.array_split(x, len(metrics)), strict=True)
        return {metric.key: -metric.sign * float(part.mean()) for metric, part in parts}

    state, history = State.initial(0), History(())
    for _ in range(observations):
        suggested = suggest(spec, history, 1, state)
        state, (candidate,) = suggested.state, suggested.candidates
        history = History((*history.observations, observe(candidate.assignments, on_wall)))
    return max(
        sum(metric.sign * seen.values[metric.key] for metric in spec.metrics)
        for seen in history.observations
    )


@pytest.mark.parametrize(("p", "metrics", "observations"), [(8, THREE, 15), (20, THREE[:2], 30)])
def test_good_values_on_many_walls_are_found_also_without_a_weight_of_ends(
    p: int, metrics: list[dict[str, str]], observations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradeoff.engine.suggest.weigh_ends", lambda *_: 0.0)
    found = best_on_walls(p, metrics, observations=observations)
    monkeypatch.setattr(interior, "EVERY", 1_000)
    monkeypatch.setattr(interior, "MARGIN", math.inf)  # so that the model speaks for no wall
    without = best_on_walls(p, metrics, observations=observations)

    assert found > without + 0.1


@pytest.mark.parametrize(
    ("p", "metrics", "observations"), [(8, THREE[:2], 15), (12, THREE[:2], 20)]
)
def test_good_values_at_many_ends_are_found_since_ends_have_a_weight(
    p: int, metrics: list[dict[str, str]], observations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = best_on_walls(p, metrics, observations=observations)
    monkeypatch.setattr("tradeoff.engine.suggest.weigh_ends", lambda *_: 0.0)
    without = best_on_walls(p, metrics, observations=observations)

    assert found > without + 0.1

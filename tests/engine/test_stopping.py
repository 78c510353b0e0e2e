from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import make_spec
from tradeoff.engine import pareto
from tradeoff.engine.stopping import Rival, Standing, judge, optimistic_end
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import Metric
from tradeoff.spec.stopping import EarlyStopping

RULE = EarlyStopping()
UP = Metric(name="up")
DOWN = Metric(name="down", objective="minimize")

values = st.integers(-1_000, 1_000).map(lambda number: number / 8)
curves = st.lists(st.tuples(values, values), max_size=40)
rules = st.builds(
    EarlyStopping,
    min_step=st.integers(0, 3),
    min_trainings=st.integers(2, 12),
    confidence=st.floats(0.5, 0.999),
)


def experiment(*metrics: dict[str, Any], **changes: Any) -> ExperimentSpec:
    return make_spec(metrics=list(metrics), observation_budget=50, **changes)


TWO = experiment({"name": "up"}, {"name": "down", "objective": "minimize"})
ONE = experiment({"name": "up"})


def standing(best: float, pairs: Sequence[tuple[float, float]], *, step: int = 5) -> Standing:
    return Standing(step, best, [pair[0] for pair in pairs], [pair[1] for pair in pairs])


def constant(best: float, *, gain: float = 0.0, count: int = 10) -> Standing:
    """Everybody gained the same from here."""
    return standing(best, [(float(index), index + gain) for index in range(count)])


def dominates(spec: ExperimentSpec, rival: Rival, ends: dict[str, float]) -> bool:
    pair = np.array(
        [
            [metric.sign * source[metric.key] for metric in spec.optimized_metrics]
            for source in (ends, rival.values)
        ]
    )
    return list(pareto.non_dominated(pair)) == [False, True]


def test_what_cannot_reach_the_best_stops_and_says_why() -> None:
    run = {"up": constant(0.5, gain=0.25)}

    reasons = judge(ONE, RULE, run, [Rival(41, {"up": 0.875})])

    assert reasons == [
        "up is 0.5 after step 5 and rises to at most 0.75, by what 10 finished trainings showed",
        "observation 41 has up 0.875",
    ]


def test_what_can_reach_the_best_goes_on() -> None:
    run = {"up": constant(0.5, gain=0.25)}

    assert judge(ONE, RULE, run, [Rival(41, {"up": 0.75})]) == []
    assert judge(ONE, RULE, run, []) == []


def test_several_metrics_stop_a_training_only_together() -> None:
    run = {"up": constant(0.5), "down": constant(2.0, gain=-1.0)}

    assert judge(TWO, RULE, run, [Rival(1, {"up": 0.9, "down": 1.5})]) == []
    assert judge(TWO, RULE, run, [Rival(1, {"up": 0.4, "down": 0.5})]) == []
    assert judge(TWO, RULE, run, [Rival(1, {"up": 0.5, "down": 1.0})]) == []  # no worse is no loss
    reasons = judge(TWO, RULE, run, [Rival(7, {"up": 0.9, "down": 0.5})])
    assert reasons == [
        "down is 2 after step 5 and falls to at least 1, by what 10 finished trainings showed",
        "up is 0.5 after step 5 and gets no better, by what 10 finished trainings showed",
        "observation 7 has down 0.5 and up 0.9",
    ]


def test_what_is_not_measured_may_be_ideal() -> None:
    best = [Rival(1, {"up": 9.0, "down": -9.0})]

    assert judge(TWO, RULE, {"up": constant(0.0)}, best) == []
    assert judge(TWO, RULE, {}, best) == []
    assert judge(TWO, RULE, {"up": constant(0.0), "down": constant(0.0)}, best) != []


def test_too_few_finished_trainings_condemn_nobody() -> None:
    best = [Rival(1, {"up": 99.0})]

    assert judge(ONE, RULE, {"up": constant(0.0, count=4)}, best) == []
    assert judge(ONE, RULE, {"up": constant(0.0, count=5)}, best) != []
    patient = EarlyStopping(min_trainings=6)
    assert judge(ONE, patient, {"up": constant(0.0, count=5)}, best) == []


def test_nothing_stops_before_its_first_step() -> None:
    best = [Rival(1, {"up": 99.0})]
    run = {"up": standing(0.0, [(0.0, 0.0)] * 8, step=2)}

    assert judge(ONE, EarlyStopping(min_step=3), run, best) == []
    assert judge(ONE, EarlyStopping(min_step=2), run, best) != []


def test_a_limit_out_of_reach_stops_without_any_rival() -> None:
    spec = experiment(
        {"name": "up"}, {"name": "mb", "objective": "minimize", "strategy": "constraint",
                         "threshold": 500},
    )  # fmt: skip
    over = {"mb": constant(812.0, gain=-12.0)}

    assert judge(spec, RULE, over, []) == [
        "mb is 812 after step 5 and falls to at least 800, by what 10 finished trainings showed; "
        "it must come to 500"
    ]
    assert judge(spec, RULE, {"mb": constant(512.0, gain=-12.0)}, []) == []


def test_the_threshold_of_an_optimized_metric_is_a_limit_too() -> None:
    spec = experiment({"name": "up", "threshold": 0.7}, {"name": "down"})

    assert judge(spec, RULE, {"up": constant(0.5)}, []) != []
    assert judge(spec, RULE, {"up": constant(0.5, gain=0.2)}, []) == []


def test_constraints_alone_compare_with_nobody() -> None:
    spec = experiment({"name": "up", "strategy": "constraint", "threshold": 1})

    assert judge(spec, RULE, {"up": constant(2.0)}, [Rival(1, {"up": 9.0})]) == []
    assert judge(spec, RULE, {"up": constant(0.5)}, []) != []


def test_stored_metrics_play_no_part() -> None:
    spec = experiment({"name": "up"}, {"name": "note", "strategy": "store"})
    run = {"up": constant(1.0), "note": constant(0.0)}

    assert judge(spec, RULE, run, [Rival(1, {"up": 0.5, "note": 99.0})]) == []


def test_with_several_solutions_the_least_good_one_is_the_hurdle() -> None:
    spec = experiment({"name": "up"}, num_solutions=2)
    run = {"up": constant(0.5)}

    assert judge(spec, RULE, run, [Rival(1, {"up": 0.9})]) == []
    assert judge(spec, RULE, run, [Rival(1, {"up": 0.9}), Rival(2, {"up": 0.4})]) == []
    reasons = judge(spec, RULE, run, [Rival(2, {"up": 0.6}), Rival(1, {"up": 0.9})])
    assert reasons[-1] == "observation 2 has up 0.6"


def test_an_unnamed_metric_is_called_the_value() -> None:
    reasons = judge(experiment({}), RULE, {"": constant(0.5)}, [Rival(1, {"": 0.75})])

    assert reasons[0].startswith("the value is 0.5 after step 5")
    assert reasons[1] == "observation 1 has the value 0.75"


def test_the_credit_is_what_all_but_a_share_of_the_nearest_gained() -> None:
    # Nine are enough for 0.9; those at 0 gained 1 to 9, those far above nothing.
    pairs = [(0.0, float(gain)) for gain in range(1, 10)] + [(100.0, 100.0)] * 9

    assert optimistic_end(UP, RULE, standing(0.0, pairs)) == 9.0
    assert optimistic_end(UP, RULE, standing(100.0, pairs)) == 100.0


def test_few_trainings_make_the_credit_larger_than_any_gain() -> None:
    pairs = [(0.0, float(gain)) for gain in (1, 2, 3, 4, 5)]

    assert optimistic_end(UP, RULE, standing(0.0, pairs)) == 6.0  # 5, and the mean gap of 1
    assert optimistic_end(UP, EarlyStopping(confidence=0.5), standing(0.0, pairs)) == 3.0


def test_trainings_that_fell_give_no_debit() -> None:
    assert optimistic_end(UP, RULE, constant(0.5, gain=-0.25)) == 0.5
    assert optimistic_end(DOWN, RULE, constant(0.5, gain=0.25)) == 0.5


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_hardly_any_history_gives_infinite_hope(count: int) -> None:
    run = constant(0.5, count=count)

    assert optimistic_end(UP, RULE, run) == math.inf
    assert optimistic_end(DOWN, RULE, run) == -math.inf


def test_equal_trainings_and_great_numbers_stay_finite() -> None:
    same = standing(1.0, [(1.0, 1.0)] * 30)
    great = standing(-1e150, [(-1e150, 1e150)] * 30)

    assert optimistic_end(UP, RULE, same) == 1.0
    assert math.isfinite(optimistic_end(UP, RULE, great))
    assert judge(ONE, RULE, {"up": same}, [Rival(1, {"up": 1.0})]) == []


@given(values, curves, rules, values, values)
def test_nothing_stops_whose_optimistic_end_is_not_dominated(
    best: float, pairs: list[tuple[float, float]], rule: EarlyStopping, up: float, down: float
) -> None:
    run = {"up": standing(best, pairs), "down": standing(-best, pairs)}
    ends = {metric.key: optimistic_end(metric, rule, run[metric.key]) for metric in (UP, DOWN)}
    rival = Rival(1, {"up": up, "down": down})

    stops = bool(judge(TWO, rule, run, [rival]))

    assert stops == (len(pairs) >= rule.min_trainings and dominates(TWO, rival, ends))


@given(values, st.floats(0, 100), curves, rules, values)
def test_a_better_value_never_turns_going_on_into_stopping(
    best: float, more: float, pairs: list[tuple[float, float]], rule: EarlyStopping, rival: float
) -> None:
    best_of_all = [Rival(1, {"up": rival})]
    lower = optimistic_end(UP, rule, standing(best, pairs))
    higher = optimistic_end(UP, rule, standing(best + more, pairs))

    assert best <= lower <= higher
    if not judge(ONE, rule, {"up": standing(best, pairs)}, best_of_all):
        assert not judge(ONE, rule, {"up": standing(best + more, pairs)}, best_of_all)


@given(values, curves, rules)
def test_direction_makes_no_difference(
    best: float, pairs: list[tuple[float, float]], rule: EarlyStopping
) -> None:
    mirrored = [(-earlier, -final) for earlier, final in pairs]

    assert optimistic_end(DOWN, rule, standing(-best, mirrored)) == -optimistic_end(
        UP, rule, standing(best, pairs)
    )


@given(values, curves, rules, st.integers(-8, 8), values)
def test_units_make_no_difference(
    best: float, pairs: list[tuple[float, float]], rule: EarlyStopping, power: int, offset: float
) -> None:
    def other(value: float) -> float:
        return value * 2.0**power + offset

    scaled = [(other(earlier), other(final)) for earlier, final in pairs]

    end = optimistic_end(UP, rule, standing(best, pairs))

    assert optimistic_end(UP, rule, standing(other(best), scaled)) == pytest.approx(
        other(end), rel=1e-9, abs=1e-9
    )


@given(values, curves, rules, st.randoms())
def test_the_order_of_the_trainings_makes_no_difference(
    best: float, pairs: list[tuple[float, float]], rule: EarlyStopping, random: Any
) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)

    ends = {optimistic_end(UP, rule, standing(best, each)) for each in (pairs, shuffled)}

    assert len(ends) == 1


def test_the_credit_is_enough_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    exceeded = []
    for _ in range(400):
        levels = rng.uniform(0, 1, 41)
        finals = levels + (1 - levels) * rng.uniform(0, 1, 41)
        pairs = list(zip(levels[1:].tolist(), finals[1:].tolist(), strict=True))
        exceeded.append(finals[0] > optimistic_end(UP, RULE, standing(float(levels[0]), pairs)))

    assert np.mean(exceeded) <= 1 - RULE.confidence

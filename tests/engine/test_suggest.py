import json
import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.histories import history_of, observe
from tests.engine.specs import ALL, MIXED, category, double, integer, spec_of, specs
from tradeoff.engine import design, fitting, suggest
from tradeoff.engine.data import build_data
from tradeoff.engine.exchange import Effort, Suggested
from tradeoff.engine.space import Space
from tradeoff.engine.state import State, WarmStart
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.history import History, Observation
from tradeoff.spec.values import Value

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
        ],
    ),
]

PLANE = spec_of(double("x"), double("y"))


def ask(
    spec: ExperimentSpec,
    history: History,
    q: int = 1,
    state: State | None = None,
    device: str = "cpu",
) -> Suggested:
    """Suggest, and check what must hold of every answer."""
    before = state or State.initial(0)
    suggested = suggest.suggest(spec, history, q, before, device=device)
    assert len(suggested.candidates) == q
    for candidate in suggested.candidates:
        assert spec.check_assignments(candidate.assignments) == candidate.assignments
        json.dumps(candidate.explanation, allow_nan=False)
    assert State.from_json(json.loads(json.dumps(suggested.state.to_json()))) == suggested.state
    return suggested


def sources(suggested: Suggested) -> set[str]:
    return {candidate.source for candidate in suggested.candidates}


def key(point: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    return tuple(sorted(point.items()))


def assert_all_new(history: History, suggested: Suggested) -> None:
    known = {key(o.assignments) for o in history.observations}
    known |= {key(point) for point in history.pending}
    fresh = [key(candidate.assignments) for candidate in suggested.candidates]
    assert len(set(fresh)) == len(fresh)
    assert not known & set(fresh)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ALL)
def test_model_answers_in_every_kind_of_space(name: str, device: str) -> None:
    history = history_of(ALL[name], 25, failing=0.2, pending=4)

    suggested = ask(ALL[name], history, q=3, device=device)

    assert sources(suggested) == {"model"}
    assert_all_new(history, suggested)
    assert [c.explanation["reason"] for c in suggested.candidates] == [None] * 3


@pytest.mark.parametrize(
    ("optimized", "constraints"), [(1, 0), (2, 0), (3, 0), (4, 0), (6, 0), (1, 2), (2, 1), (0, 2)]
)
def test_any_number_of_metrics_is_modelled(optimized: int, constraints: int) -> None:
    metrics: list[Any] = [{"name": f"m{k}"} for k in range(optimized)]
    metrics += [
        {"name": f"c{k}", "objective": "minimize", "strategy": "constraint", "threshold": 1.0}
        for k in range(constraints)
    ]
    spec = spec_of(double("x"), double("y"), metrics=[*metrics, {"name": "s", "strategy": "store"}])
    history = history_of(spec, 20, pending=2)

    suggested = ask(spec, history, q=2)

    assert sources(suggested) == {"model"}
    assert_all_new(history, suggested)
    explanation = suggested.candidates[0].explanation
    assert set(explanation["metrics"]) == {metric["name"] for metric in metrics}
    assert len(explanation["probability_of_feasibility"]) == constraints


@pytest.mark.parametrize("device", DEVICES)
def test_same_input_gives_same_output(device: str) -> None:
    history = history_of(MIXED, 30, failing=0.3, pending=3)
    state = ask(MIXED, history, device=device).state

    once, again = (ask(MIXED, history, q=2, state=state, device=device) for _ in range(2))

    assert once == again
    assert ask(MIXED, history, q=2, state=State.initial(1)).candidates != once.candidates


def test_global_random_state_is_neither_read_nor_changed() -> None:
    history = history_of(MIXED, 20, failing=0.3)
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002  # it is this global state that must not matter
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002

    ask(MIXED, history, q=2)

    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index]  # noqa: NPY002


# The design


def test_design_continues_its_sequence() -> None:
    expected = design.space_filling(MIXED, seed=0, start=0, count=4)

    first = ask(MIXED, History(), q=2)
    second = ask(MIXED, History(), q=2, state=first.state)

    assert sources(first) == {"space_filling"}
    assert [c.assignments for c in (*first.candidates, *second.candidates)] == expected


def test_design_passes_over_what_is_known() -> None:
    points = design.space_filling(MIXED, seed=0, start=0, count=6)
    history = History(
        tuple(observe(p, lambda _: {"gain": 1.0, "loss": 1.0}) for p in points[:2]),
        tuple(points[2:4]),
    )

    suggested = ask(MIXED, history, q=2)

    assert [c.assignments for c in suggested.candidates] == points[4:6]


def test_design_goes_on_while_everything_fails() -> None:
    points = design.space_filling(PLANE, seed=0, start=0, count=33)
    history = History(tuple(observe(point, lambda _: None) for point in points[:30]))

    suggested = ask(PLANE, history, q=3)

    assert [c.assignments for c in suggested.candidates] == points[30:]


def test_one_success_lets_the_model_answer_beside_the_design() -> None:
    points = design.space_filling(PLANE, seed=0, start=0, count=10)
    observations = [observe(point, lambda _: None) for point in points[:8]]
    history = History((*observations, observe(points[8], lambda _: {"gain": 1.0, "loss": 1.0})))

    suggested = ask(PLANE, history, q=4)

    made = [candidate.source for candidate in suggested.candidates]
    assert made == ["space_filling", "model", "model", "space_filling"]
    assert suggested.candidates[0].assignments == points[9]
    known = [*points[:9], *(candidate.assignments for candidate in suggested.candidates)]
    assert len({tuple(sorted(point.items())) for point in known}) == 13
    alone = ask(PLANE, history, q=1)
    assert alone.candidates == suggested.candidates[:1]
    assert alone.state.asks == 0


def test_random_experiment_draws_at_random() -> None:
    spec = MIXED.model_copy(update={"type": "random"})

    first = ask(spec, history_of(MIXED, 40), q=3)
    second = ask(spec, history_of(MIXED, 40), q=3, state=first.state)

    points = [c.assignments for c in (*first.candidates, *second.candidates)]
    assert points == design.random_points(spec, seed=0, start=0, count=6)


def test_grid_experiment_walks_its_grid() -> None:
    spec = spec_of(
        category("b", "u", "v"),
        {"name": "a", "type": "int", "grid": [1, 2, 3]},
        type="grid",
        observation_budget=None,
    )
    history = History(
        tuple(observe(design.grid_point(spec, k), lambda _: None) for k in range(2)),
        (design.grid_point(spec, 2),),
    )

    suggested = ask(spec, history, q=2)

    expected = [design.grid_point(spec, 3), design.grid_point(spec, 4)]
    assert [c.assignments for c in suggested.candidates] == expected


# The explanation


def test_explanation_speaks_the_users_units() -> None:
    def truth(point: Mapping[str, Value]) -> Mapping[str, float]:
        x, y = float(point["x"]), float(point["y"])
        return {"gain": 1000 + 100 * x, "loss": 5 + (y - 0.5) ** 2}

    points = design.space_filling(PLANE, seed=0, start=0, count=30)
    history = History(tuple(observe(point, truth) for point in points))

    for candidate in ask(PLANE, history, q=3).candidates:
        expected = truth(candidate.assignments)
        assert candidate.explanation["probability_of_success"] is None
        assert candidate.explanation["observations"] == 30
        for name, value in expected.items():
            told = candidate.explanation["metrics"][name]
            assert told["low"] < told["mean"] < told["high"]
            assert told["mean"] == pytest.approx(value, abs=0.1 * (100 if name == "gain" else 1))


def test_probability_of_success_is_told_once_failures_were_seen() -> None:
    history = history_of(PLANE, 40, failing=0.4)

    told = [c.explanation["probability_of_success"] for c in ask(PLANE, history, q=3).candidates]

    assert all(0.5 < p <= 1 for p in told)


def test_known_failure_region_is_avoided() -> None:
    history = history_of(PLANE, 40, failing=0.4)

    suggested = ask(PLANE, history, q=6)

    assert all(float(c.assignments["x"]) > 0.38 for c in suggested.candidates)


CUBE = spec_of(*(double(name) for name in "abcd"))


def deep(point: Mapping[str, Value], radius: float = 0.15) -> Mapping[str, float] | None:
    """Succeeds in a small ball; 0.3 % of the cube."""
    away = [float(x) - 0.4 for x in point.values()]
    if math.hypot(*away) > radius:
        return None
    return {"gain": away[0], "loss": away[1]}


def test_after_failures_in_a_row_the_search_keeps_close_to_the_success() -> None:
    success = observe(dict.fromkeys("abcd", 0.4), deep)
    points = design.space_filling(CUBE, seed=0, start=0, count=30)
    failures = [observe(point, lambda _: None) for point in points]

    for streak, steps in ((2, None), (3, 0.25), (6, 0.054), (12, 0.01)):
        before, since = failures[: 30 - streak], failures[30 - streak :]
        (candidate,) = ask(CUBE, History((*before, success, *since))).candidates
        away = max(abs(float(x) - 0.4) for x in candidate.assignments.values())
        close = steps is not None
        assert candidate.explanation["method"].endswith("close to successes") is close
        assert steps is None or away < 4 * steps


@pytest.mark.parametrize("name", ALL)
def test_after_failures_in_a_row_every_kind_of_space_has_an_answer(name: str) -> None:
    history = history_of(ALL[name], 24)
    failures = tuple(Observation(o.assignments, {}, {}, True) for o in history.observations[18:])
    history = History((*history.observations[:18], *failures))

    suggested = ask(ALL[name], history, q=2)

    assert sources(suggested) == {"model"}
    assert_all_new(history, suggested)


def test_failures_in_a_row_of_many_workers_say_nothing_yet() -> None:
    points = design.space_filling(CUBE, seed=0, start=0, count=45)
    failures = [observe(point, lambda _: None) for point in points[:40]]
    observations = (*failures[:34], observe(dict.fromkeys("abcd", 0.4), deep), *failures[34:])

    for at_work, close in ((5, False), (3, True)):
        history = History(observations, tuple(points[40 : 40 + at_work]))
        methods = {c.explanation["method"] for c in ask(CUBE, history).candidates}
        assert any(method.endswith("close to successes") for method in methods) is close


@pytest.mark.parametrize("seed", range(3))
def test_one_success_among_failures_is_soon_followed_by_another(seed: int) -> None:
    points = design.space_filling(CUBE, seed=seed, start=0, count=40)
    observations = [observe(point, lambda _: None) for point in points]
    observations.append(observe(dict.fromkeys("abcd", 0.42), deep))
    state = replace(State.initial(seed), position=40)

    for _ in range(14):
        suggested = ask(CUBE, History(tuple(observations)), state=state)
        state = suggested.state
        observations.append(observe(suggested.candidates[0].assignments, deep))

    assert any(not observation.failed for observation in observations[41:])


# The state


def test_warm_start_is_kept_and_used() -> None:
    history = history_of(MIXED, 70, failing=0.2)
    first = ask(MIXED, history)

    second = ask(MIXED, history, state=first.state)

    assert set(first.state.metrics) == {"gain", "loss"}
    assert second.state.metrics == first.state.metrics  # nothing new was seen: no new fit
    assert first.state.success is not None
    assert first.state.success_by_metrics is not None
    assert second.state.success == first.state.success
    assert second.state.success_by_metrics == first.state.success_by_metrics
    assert second.state.asks == 2


def test_success_is_explained_by_metrics_once_more_succeeded_than_there_are_parameters() -> None:
    points = design.space_filling(CUBE, seed=0, start=0, count=12)
    good = [
        observe(point, lambda p: {"gain": float(p["a"]), "loss": float(p["b"])})
        for point in points[:5]
    ]
    bad = [observe(point, lambda _: None) for point in points[5:]]

    few, enough = (ask(CUBE, History((*bad, *good[:count]))).state for count in (4, 5))

    assert few.success is not None
    assert few.success_by_metrics is None
    assert enough.success is not None
    assert enough.success_by_metrics is not None


def test_warm_start_of_another_space_is_ignored() -> None:
    state = State(0, metrics={"gain": WarmStart((0.0,) * 99, 5)}, success=WarmStart((0.0,) * 99, 5))

    suggested = ask(MIXED, history_of(MIXED, 20, failing=0.3), state=state)

    assert sources(suggested) == {"model"}
    assert suggested.candidates[0].explanation["reason"] is None


def test_poisoned_warm_start_is_thrown_away_with_a_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    nan = WarmStart((math.nan,) * 8, 20)
    state = State(0, metrics={"gain": nan, "loss": nan})

    with caplog.at_level(logging.WARNING):
        suggested = ask(MIXED, history_of(MIXED, 20), state=state)

    assert sources(suggested) == {"model"}
    if suggested.candidates[0].explanation["reason"] is not None:
        assert "model failed" in caplog.text


def test_model_that_cannot_answer_is_replaced_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(fitting, "fit_map", broken)
    history = history_of(MIXED, 20)

    suggested = ask(MIXED, history, q=4)

    assert sources(suggested) == {"space_filling"}
    assert_all_new(history, suggested)
    assert all("RuntimeError" in c.explanation["reason"] for c in suggested.candidates)


@pytest.mark.skipif(torch.cuda.is_available(), reason="shows what happens without a GPU")
def test_missing_gpu_is_named() -> None:
    suggested = ask(MIXED, history_of(MIXED, 20), device="cuda")

    assert sources(suggested) == {"model"}
    assert "no CUDA device" in suggested.candidates[0].explanation["reason"]


# Never raise


def points_of(spec: ExperimentSpec, count: int) -> list[dict[str, Value]]:
    return design.space_filling(spec, seed=5, start=0, count=count)


def table(values: list[tuple[float, float]], *, failed: int = 0) -> History:
    """Points of the plane with these values; the first `failed` ones failed."""
    points = points_of(PLANE, len(values))
    return History(
        tuple(
            Observation(point, {"gain": a, "loss": b}, {}, k < failed)
            for k, (point, (a, b)) in enumerate(zip(points, values, strict=True))
        )
    )


RNG = np.random.default_rng(0)
NOISE = [(float(a), float(b)) for a, b in RNG.normal(size=(30, 2))]
DUPLICATES = History(
    tuple(
        Observation({"x": 0.5, "y": 0.5}, {"gain": 1.0, "loss": 2.0}, {}, False) for _ in range(30)
    )
)
DEGENERATE = {
    "nothing": History(),
    "one": table(NOISE[:1]),
    "two": table(NOISE[:2]),
    "plain": table(NOISE),
    "constant metric": table([(a, 1.0) for a, _ in NOISE]),
    "all constant": table([(1.0, 1.0)] * 30),
    "one repeated point": DUPLICATES,
    "huge": table([(a * 1e150, b * 1e300) for a, b in NOISE]),
    "tiny": table([(a * 1e-200, b * 1e-300) for a, b in NOISE]),
    "subnormal": table([(a * 1e-310, 0.0) for a, b in NOISE]),
    "wreck": table([*NOISE, (-1e12, 1e12)]),
    "offset": table([(1e9 + 1e-6 * a, 1e9 - 1e-6 * b) for a, b in NOISE]),
    "not a number": table([(math.nan, math.inf), *NOISE]),
    "only not a number": table([(math.nan, 1.0)] * 30),
    "most failed": table(NOISE, failed=26),
    "all but three failed": table(NOISE, failed=27),
    "all failed": table(NOISE, failed=30),
    "collinear": table([(a, -a) for a, _ in NOISE]),
    "same metric twice": table([(a, a) for a, _ in NOISE]),
    "pending repeats data": History(
        table(NOISE).observations, tuple(o.assignments for o in table(NOISE).observations[:10])
    ),
    "many pending": History(table(NOISE).observations, tuple(points_of(PLANE, 400)[30:])),
    "on a line": History(
        tuple(
            Observation({"x": k / 30, "y": 0.5}, {"gain": a, "loss": b}, {}, False)
            for k, (a, b) in enumerate(NOISE)
        )
    ),
    "far outside": History(
        tuple(
            Observation({"x": 1e150 * a, "y": -1e6 * b}, {"gain": a, "loss": b}, {}, False)
            for a, b in NOISE
        )
    ),
    "known noise": History(
        tuple(
            Observation(o.assignments, o.values, {"gain": 1e300, "loss": 0.0}, False)
            for o in table(NOISE).observations
        )
    ),
}


@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("threshold", [None, 1e100, -1e100, 0.0])
def test_degenerate_history_gets_a_model_or_design_answer(
    case: str, threshold: float | None
) -> None:
    metrics = [
        {"name": "gain", "threshold": threshold},
        {"name": "loss", "objective": "minimize"},
    ]
    spec = spec_of(double("x"), double("y"), metrics=metrics)

    suggested = ask(spec, DEGENERATE[case], q=2)

    assert_all_new(DEGENERATE[case], suggested)
    assert all(c.explanation["reason"] is None for c in suggested.candidates)


@pytest.mark.parametrize("case", ["plain", "all constant", "one repeated point", "huge", "tiny"])
@pytest.mark.parametrize("metrics", [1, 3, 4])
def test_degenerate_history_of_other_numbers_of_metrics(case: str, metrics: int) -> None:
    names = ["gain", "loss", "third", "fourth"][:metrics]
    spec = spec_of(double("x"), double("y"), metrics=names)
    observations = tuple(
        Observation(
            o.assignments,
            {name: o.values["gain" if k % 2 else "loss"] for k, name in enumerate(names)},
            {},
            o.failed,
        )
        for o in DEGENERATE[case].observations
    )

    suggested = ask(spec, History(observations), q=2)

    assert all(c.explanation["reason"] is None for c in suggested.candidates)


WIDE = spec_of(*[double(f"x{i}") for i in range(100)])
ENTANGLED = spec_of(
    double("a"),
    double("b"),
    double("only_with_u", conditions={"kind": ["u"]}),
    category("only_with_v", "p", "q", "r", conditions={"kind": ["v"]}),
    conditionals=[{"name": "kind", "values": ["u", "v"]}],
    linear_constraints=[
        {
            "type": "less_than",
            "threshold": 0.6,
            "terms": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}],
        }
    ],
)
FIVE_METRICS = spec_of(
    double("x"),
    integer("k", 1, 2),
    metrics=["a", "b", "c", "d", "e", {"name": "f", "strategy": "constraint", "threshold": 1e149}],
)


@pytest.mark.parametrize(
    ("spec", "stddev"),
    [(WIDE, math.nan), (ENTANGLED, math.inf), (FIVE_METRICS, -1.0)],
    ids=["hundred parameters", "conditions and constraints", "six metrics"],
)
def test_wide_entangled_and_many_metrics_with_stddevs_that_are_no_numbers(
    spec: ExperimentSpec, stddev: float
) -> None:
    seen = history_of(spec, 26, failing=0.1)
    keys = [metric.key for metric in spec.metrics]
    history = History(
        tuple(replace(o, stddevs=dict.fromkeys(keys, stddev)) for o in seen.observations)
    )

    suggested = ask(spec, history, q=2)

    assert_all_new(history, suggested)
    assert sources(suggested) == {"model"}
    assert all(c.explanation["reason"] is None for c in suggested.candidates)


def test_tiny_space_is_used_up_and_then_repeats() -> None:
    spec = spec_of(integer("k", 0, 2), category("c", "u", "v"))
    points = [{"k": k, "c": c} for k in range(3) for c in ("u", "v")]
    values = [{"gain": float(k), "loss": float(-k)} for k in range(6)]
    observations = tuple(Observation(p, v, {}, False) for p, v in zip(points, values, strict=True))

    last = ask(spec, History(observations[:5]))
    more = ask(spec, History(observations), q=3)

    assert last.candidates[0].assignments == points[5]
    assert sources(more) == {"model"}


def test_whole_tiny_space_pending_during_the_design() -> None:
    spec = spec_of(integer("k", 0, 1))

    suggested = ask(spec, History((), ({"k": 0}, {"k": 1})), q=3)

    assert sources(suggested) == {"space_filling"}


@given(specs(), st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_history_of_any_space_gets_a_valid_answer(
    spec: ExperimentSpec, data: st.DataObject
) -> None:
    points = points_of(spec, 16)
    number = st.floats(allow_nan=True, allow_infinity=True)
    observations = [
        Observation(
            data.draw(st.sampled_from(points)),
            {metric.key: data.draw(number) for metric in spec.metrics},
            {},
            data.draw(st.booleans()),
        )
        for _ in range(data.draw(st.integers(0, 16)))
    ]
    history = History(tuple(observations), tuple(points[: data.draw(st.integers(0, 4))]))

    suggested = ask(spec, history, q=data.draw(st.integers(1, 3)))

    assert all(c.explanation["reason"] is None for c in suggested.candidates)


# Less effort


@pytest.mark.parametrize("effort", ["subset", "light"])
@pytest.mark.parametrize("name", ALL)
def test_with_less_effort_the_model_still_answers(name: str, effort: Effort) -> None:
    history = history_of(ALL[name], 30, failing=0.2, pending=4)

    suggested = suggest.suggest(ALL[name], history, 3, State.initial(4), effort=effort)

    assert sources(suggested) == {"model"}
    assert_all_new(history, suggested)


def test_with_less_effort_the_model_sees_the_best_and_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(suggest, "SUBSET_ROWS", 20)
    outstanding = 7
    values = [(100.0, -100.0) if k == outstanding else (0.1 * (k % 9), 0.0) for k in range(60)]
    history = table(values, failed=5)

    suggested = suggest.suggest(PLANE, history, 2, State.initial(4), effort="subset")
    whole = build_data(Space(PLANE), history)
    subset = suggest._subset(whole)

    assert sources(suggested) == {"model"}
    assert suggested.candidates[0].explanation["observations"] == 20
    assert_all_new(history, suggested)
    assert whole.X[outstanding].tolist() in subset.X.tolist()
    assert (subset.X[-5:] == whole.X[-5:]).all()
    assert len(subset.Y) == len(subset.Yvar) == int((~subset.failed).sum())
    assert len(subset.seen) == 60


def test_full_effort_sees_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggest, "SUBSET_ROWS", 20)

    suggested = ask(PLANE, DEGENERATE["plain"])

    assert suggested.candidates[0].explanation["observations"] == 30

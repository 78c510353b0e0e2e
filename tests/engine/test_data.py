import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.specs import double, spec_of
from tradeoff.engine.data import Scale, build_data, thin
from tradeoff.engine.space import Space
from tradeoff.spec.history import History, Observation

SPEC = spec_of(
    double("x"),
    metrics=[
        {"name": "gain", "objective": "maximize", "threshold": 2.0},
        {"name": "cost", "objective": "minimize"},
        {"name": "heat", "objective": "minimize", "strategy": "constraint", "threshold": 20.0},
        {"name": "note", "strategy": "store"},
    ],
)


def seen(
    x: float, gain: float, cost: float, heat: float, stddev: float | None = None
) -> Observation:
    values = {"gain": gain, "cost": cost, "heat": heat, "note": math.nan}
    stddevs = {} if stddev is None else {"gain": stddev}
    return Observation({"x": x}, values, stddevs, failed=False)


def test_values_are_turned_and_standardised() -> None:
    history = History((seen(0.1, 1, 10, 30), seen(0.2, 3, 30, 10)))

    data = build_data(Space(SPEC), history)

    assert [metric.key for metric in data.metrics] == ["cost", "gain", "heat"]
    np.testing.assert_allclose(data.Y, [[1, -1, -1], [-1, 1, 1]])
    assert data.thresholds == pytest.approx([math.nan, 0.0], nan_ok=True)
    assert data.limits == pytest.approx([0.0])
    assert data.objectives == 2


def test_efficient_are_those_that_meet_the_limits_and_nothing_dominates() -> None:
    observations = (
        seen(0.1, 1, 10, 10),
        seen(0.2, 9, 1, 21),  # too hot
        Observation({"x": 0.3}, {}, {}, failed=True),
        seen(0.4, 2, 20, 10),
        seen(0.5, 2, 21, 10),
    )

    data = build_data(Space(SPEC), History(observations))

    np.testing.assert_allclose(data.efficient, [[0.1], [0.4]])
    assert build_data(Space(SPEC), History(())).efficient.shape == (0, 1)


@pytest.mark.parametrize(
    ("failed", "since"),
    [([], 0), ([0, 0], 0), ([1, 0, 1, 1], 2), ([1, 1], 2), ([0, 1, 0], 0)],
)
def test_failures_since_the_last_success_are_counted(failed: list[int], since: int) -> None:
    bad = np.array(failed, dtype=bool)

    data = replace(build_data(Space(SPEC), History(())), failed=bad, X=np.zeros((len(bad), 1)))

    assert data.failed_in_a_row == since


def test_advances_are_efficient_among_those_before_them() -> None:
    observations = (
        seen(0.1, 1, 10, 40),  # too hot, and nothing is known yet
        Observation({"x": 0.15}, {}, {}, failed=True),
        seen(0.2, 9, 1, 50),  # hotter
        seen(0.3, 0, 99, 30),  # less hot
        seen(0.4, 2, 20, 10),  # the first that meets the limit
        seen(0.5, 9, 1, 21),  # too hot, when others are not
        seen(0.6, 1, 30, 10),  # dominated
        seen(0.7, 2, 20, 10),  # a repeat
        seen(0.8, 3, 25, 10),
        seen(0.9, 4, 10, 10),  # dominates all
        seen(1.0, 3.5, 11, 10),
    )

    data = build_data(Space(SPEC), History(observations))

    assert data.successes[data.advances, 0].tolist() == [0.1, 0.3, 0.4, 0.8, 0.9]
    assert build_data(Space(SPEC), History(())).advances.shape == (0,)


@given(st.lists(st.tuples(*[st.integers(0, 9)] * 3), max_size=20))
def test_all_that_is_efficient_was_an_advance_or_repeats_one(
    values: list[tuple[int, int, int]],
) -> None:
    observations = tuple(
        seen(k / 20, gain, cost, 15 + heat) for k, (gain, cost, heat) in enumerate(values)
    )
    data = build_data(Space(SPEC), History(observations))

    advances = data.advances

    efficient = np.isin(data.X[:, 0], data.efficient[:, 0])
    before = {tuple(y) for y in data.Y[advances, : data.objectives]}
    assert all(tuple(y) in before for y in data.Y[efficient, : data.objectives])
    assert not len(data.Y) or advances[0]


def test_known_noise_is_a_variance_in_the_same_units() -> None:
    history = History((seen(0.1, 1, 10, 30, 0.5), seen(0.2, 3, 30, 10)))

    data = build_data(Space(SPEC), history)

    np.testing.assert_allclose(data.Yvar, np.array([[0, 0.25, 0], [0, 0, 0.0]]))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_no_numbers_count_as_failures(bad: float) -> None:
    observations = (
        seen(0.1, 1, 10, 30),
        seen(0.2, bad, 30, 10),
        Observation({"x": 0.3}, {}, {}, failed=True),
        Observation({"x": 0.4}, {"gain": 1.0}, {}, failed=False),
    )

    data = build_data(Space(SPEC), History(observations, ({"x": 0.5},)))

    assert data.failed.tolist() == [False, True, True, True]
    assert data.successes.tolist() == [[0.1]]
    assert data.seen.ravel().tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_nothing_observed_gives_empty_arrays() -> None:
    data = build_data(Space(SPEC), History())

    assert data.Y.shape == (0, 3)
    assert data.X.shape == (0, 1)
    assert data.X_pending.shape == (0, 1)


def test_only_the_bad_tail_is_pulled_in() -> None:
    values = np.append(np.linspace(0, 1, 21), [-1e6, 1e6])

    scale = Scale.of(values, 1)
    z = scale.standardise(values)

    # The good outlier stays in proportion, the wreck comes close to the rest.
    assert (z[22] - z[20]) / (z[20] - z[0]) == pytest.approx(1e6 - 1, rel=1e-6)
    assert (z[0] - z[21]) / (z[20] - z[0]) < 10


def test_half_of_the_values_on_a_plateau_are_not_bent() -> None:
    values = np.array([0.0] * 30 + [-5.0, 1.0])

    z = Scale.of(values, 1).standardise(values)

    assert (z[0] - z[30]) / (z[31] - z[0]) == pytest.approx(5.0)


def test_what_is_close_to_a_limit_is_told_apart_whatever_lies_far_from_it() -> None:
    values = np.array([-2e5, -1e5, -6e4, -3e4, -1e4, -3e3, -900, -300, -80, 70, 200])

    near = Scale.of(values, 1, limit=0).standardise(values)
    far = Scale.of(values, 1).standardise(values)

    # A minimised constraint is the same, turned.
    np.testing.assert_allclose(Scale.of(-values, -1, limit=0).standardise(-values), near)
    assert near[9] - near[8] > 5 * (far[9] - far[8])
    assert near[0] > -2.5, "nor do the worst ones count for more"


def test_a_limit_amid_the_values_hardly_bends_them() -> None:
    values = np.linspace(-1, 1, 21)

    z = Scale.of(values, 1, limit=0).standardise(values)

    assert np.abs(z - Scale.of(values, 1).standardise(values)).max() < 0.25


@pytest.mark.parametrize("limit", [1e100, -1e100])
def test_values_are_told_apart_also_where_their_limit_is_out_of_reach(limit: float) -> None:
    values = np.array([1.0, 2.0, 5.0, 3.0, 4.5])

    z = Scale.of(values, 1, limit=limit).standardise(values)

    np.testing.assert_allclose(z, Scale.of(values, 1).standardise(values), atol=0.1)


@pytest.mark.parametrize("limit", [None, 1.0])
def test_known_noise_is_scaled_as_its_value_is(limit: float | None) -> None:
    values = np.array([-400.0, -3.0, 0.5, 1.0, 1.5, 2.0, 4.0, 5.0])
    scale = Scale.of(values, -1, limit=limit)

    moved = scale.standardise(values + 1e-6) - scale.standardise(values)

    np.testing.assert_allclose(scale.variance(values, np.full(8, 1e-6)), moved**2, rtol=1e-3)


@pytest.mark.parametrize("factor", [1e-300, 1e-5, 1.0, 1e150, 1e300])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("limit", [None, 4.0])
def test_any_magnitude_is_standardised_alike(factor: float, sign: int, limit: float | None) -> None:
    base = np.array([1.0, 2.0, 5.0, 3.0, 4.5])

    scale = Scale.of(base * factor, sign, limit=None if limit is None else limit * factor)

    np.testing.assert_allclose(
        scale.standardise(base * factor),
        Scale.of(base, sign, limit=limit).standardise(base),
        rtol=1e-6,
        atol=1e-9,
    )
    np.testing.assert_allclose(scale.restore(scale.standardise(base * factor)), base * factor)


def test_constant_metric_is_zero_everywhere() -> None:
    scale = Scale.of(np.full(5, 7.0), -1)

    assert scale.standardise(np.full(5, 7.0)).tolist() == [0.0] * 5
    assert scale.restore(np.zeros(1))[0] == pytest.approx(7.0)


@given(
    st.lists(st.floats(-1e150, 1e150), min_size=1, max_size=30),
    st.sampled_from([1, -1]),
    st.floats(-50, 50),
    st.none() | st.floats(-1e300, 1e300),
)
def test_scale_is_monotone_and_finite(
    values: list[float], sign: int, z: float, limit: float | None
) -> None:
    array = np.array(values)
    scale = Scale.of(array, sign, limit=limit)

    standardised = scale.standardise(np.sort(sign * array) * sign)

    assert np.isfinite(standardised).all()
    assert (np.diff(standardised) >= -1e-9).all()
    assert np.isfinite(scale.restore(np.array([z, -1e9, 1e9]))).all()


def test_thresholds_stay_within_reach() -> None:
    observations = tuple(seen(x / 10, x, x, x) for x in range(10))

    for threshold in (-1e100, 1e100):
        metrics = [m.model_copy(update={"threshold": threshold}) for m in SPEC.optimized_metrics]
        spec = SPEC.model_copy(update={"metrics": tuple(metrics)})
        data = build_data(Space(spec), History(observations))
        assert np.abs(data.thresholds).max() <= 10


def test_thinning_keeps_the_front_and_the_newest() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.random((500, 3)), rng.random((500, 2))
    Y[7] = 2.0

    kept = thin(X, Y, limit=100)

    assert len(kept) == 100
    assert 7 in kept
    assert set(range(450, 500)) <= set(kept.tolist())
    assert thin(X, Y, limit=500).tolist() == list(range(500))

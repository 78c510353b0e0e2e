import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tradeoff.engine import feasibility
from tradeoff.engine.feasibility import SuccessModel, find_mode
from tradeoff.engine.models import Layout, matern, squared_distance

LAYOUT = Layout(np.arange(3), np.ones(3, dtype=bool))


def failing_corner(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Points of the cube, of which those with a large first coordinate fail."""
    generator = torch.Generator().manual_seed(seed)
    X = torch.rand(n, 3, dtype=torch.float64, generator=generator)
    return X, X[:, 0] + 0.3 * X[:, 1] > 0.7


def test_probability_follows_the_rule_and_is_calibrated() -> None:
    X, failed = failing_corner(120)
    Z, truth = failing_corner(2000, seed=1)

    p = SuccessModel(X, failed, LAYOUT).log_probability(Z).exp()

    right = (p > 0.5) != truth
    assert float(right.double().mean()) > 0.95
    sure = p > 0.9
    assert float((~truth[sure]).double().mean()) > 0.95


def test_far_from_data_the_base_rate_holds() -> None:
    X, failed = failing_corner(30)

    far = torch.full((1, 3), 50.0, dtype=torch.float64)
    p = SuccessModel(X, failed, LAYOUT).log_probability(far).exp()

    assert float(p) == pytest.approx((float((~failed).sum()) + 1) / 32)


def test_what_is_shown_is_surest_where_most_is_known() -> None:
    X, failed = failing_corner(60)
    model = SuccessModel(X, failed, LAYOUT)
    away = torch.full((1, 3), 50.0, dtype=torch.float64)

    for Z in (X, away):
        mode, shown = model.log_probability(Z).exp(), model.expected_probability(Z)
        assert bool(((shown - 0.5).abs() <= (mode - 0.5).abs() + 1e-12).all())
        assert bool(((shown > 0.5) == (mode > 0.5)).all())

    repeated = torch.cat([X, *[X[:1]] * 40])
    again = torch.cat([failed, *[failed[:1]] * 40])
    model = SuccessModel(repeated, again, LAYOUT)
    difference = model.log_probability(X[:1]).exp() - model.expected_probability(X[:1])
    assert float(difference.abs()) < 0.02


def test_mode_satisfies_its_equation() -> None:
    X, failed = failing_corner(25)
    labels = torch.where(failed, -1.0, 1.0).double()
    K = matern(squared_distance(X, X))

    mode = find_mode(K, labels, 3.0)

    # At the mode the weights are the gradient of the log likelihood.
    latent = (9.0 * K + 1e-6 * torch.eye(25)) @ mode.weights + mode.base
    gradient = (labels + 1) / 2 - torch.sigmoid(latent)
    torch.testing.assert_close(mode.weights, gradient, atol=1e-4, rtol=0)
    assert mode.step < feasibility.CONVERGED


@pytest.mark.parametrize("failures", [1, 29, 30])
def test_lopsided_labels_are_coped_with(failures: int) -> None:
    X, _ = failing_corner(30)
    failed = torch.arange(30) < failures

    log_p = SuccessModel(X, failed, LAYOUT).log_probability(X)

    assert bool(torch.isfinite(log_p).all())
    assert bool((log_p <= 0).all())
    assert float(log_p[failed].mean()) < float(log_p[~failed].mean() if failures < 30 else 0)


def test_contradicting_repeats_meet_in_the_middle() -> None:
    X = torch.full((20, 3), 0.5, dtype=torch.float64)
    failed = torch.arange(20) < 10

    p = SuccessModel(X, failed, LAYOUT).log_probability(X[:1]).exp()

    assert float(p) == pytest.approx(0.5, abs=0.01)


def test_warm_start_is_kept_between_refits() -> None:
    X, failed = failing_corner(80)
    first = SuccessModel(X[:77], failed[:77], LAYOUT).warm

    kept = SuccessModel(X[:79], failed[:79], LAYOUT, first).warm
    refitted = SuccessModel(X, failed, LAYOUT, SuccessModel(X[:75], failed[:75], LAYOUT).warm).warm

    assert kept == first
    assert refitted.fitted_on == 80


def test_regression_answers_when_newton_diverges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feasibility, "NEWTON_STEPS", 1)
    monkeypatch.setattr(feasibility, "DIVERGED", 0.0)
    X, failed = failing_corner(60)

    p = SuccessModel(X, failed, LAYOUT).log_probability(X).exp()

    assert float(p[~failed].mean()) > 0.8
    assert float(p[failed].mean()) < 0.2


def test_doubtful_points_are_penalised_twice_up_to_the_price_of_a_long_shot() -> None:
    X, failed = failing_corner(60)
    model = SuccessModel(X, failed, LAYOUT)
    Z, _ = failing_corner(2000, seed=1)

    log_p, gain = model.log_probability(Z), model.log_utility(Z)

    sure, long_shot = log_p > math.log(0.5), log_p < math.log(0.403)
    doubtful = ~sure & (log_p > math.log(0.404))  # the price is reached in between
    assert all(bool(group.any()) for group in (sure, doubtful, long_shot))
    torch.testing.assert_close(gain[sure], 4 * log_p[sure])
    expected = 4 * log_p[doubtful] - 6 * (math.log(0.5) - log_p[doubtful])
    torch.testing.assert_close(gain[doubtful], expected)
    torch.testing.assert_close(gain[long_shot], log_p[long_shot] - 4)

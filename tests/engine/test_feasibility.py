import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tradeoff.engine import feasibility
from tradeoff.engine.feasibility import Classifier, SuccessModel, find_mode
from tradeoff.engine.models import Layout, SurrogateModel, fit_map, matern, squared_distance

LAYOUT = Layout(np.arange(3), np.ones(3, dtype=bool))
LAYOUT_OF_SIX = Layout(np.arange(6), np.ones(6, dtype=bool))


def failing_corner(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Points of the cube, of which those with a large first coordinate fail."""
    generator = torch.Generator().manual_seed(seed)
    X = torch.rand(n, 3, dtype=torch.float64, generator=generator)
    return X, X[:, 0] + 0.3 * X[:, 1] > 0.7


def test_probability_follows_the_rule_and_is_calibrated() -> None:
    X, failed = failing_corner(120)
    Z, truth = failing_corner(2000, seed=1)

    p = Classifier(X, failed, LAYOUT).log_probability(Z).exp()

    right = (p > 0.5) != truth
    assert float(right.double().mean()) > 0.95
    sure = p > 0.9
    assert float((~truth[sure]).double().mean()) > 0.95


def test_far_from_data_the_base_rate_holds() -> None:
    X, failed = failing_corner(30)

    far = torch.full((1, 3), 50.0, dtype=torch.float64)
    p = Classifier(X, failed, LAYOUT).log_probability(far).exp()

    assert float(p) == pytest.approx((float((~failed).sum()) + 1) / 32)


def test_what_is_shown_is_surest_where_most_is_known() -> None:
    X, failed = failing_corner(60)
    model = Classifier(X, failed, LAYOUT)
    away = torch.full((1, 3), 50.0, dtype=torch.float64)

    for Z in (X, away):
        mode, shown = model.log_probability(Z).exp(), model.expected_probability(Z)
        assert bool(((shown - 0.5).abs() <= (mode - 0.5).abs() + 1e-12).all())
        assert bool(((shown > 0.5) == (mode > 0.5)).all())

    repeated = torch.cat([X, *[X[:1]] * 40])
    again = torch.cat([failed, *[failed[:1]] * 40])
    model = Classifier(repeated, again, LAYOUT)
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

    log_p = Classifier(X, failed, LAYOUT).log_probability(X)

    assert bool(torch.isfinite(log_p).all())
    assert bool((log_p <= 0).all())
    assert float(log_p[failed].mean()) < float(log_p[~failed].mean() if failures < 30 else 0)


def test_contradicting_repeats_meet_in_the_middle() -> None:
    X = torch.full((20, 3), 0.5, dtype=torch.float64)
    failed = torch.arange(20) < 10

    p = Classifier(X, failed, LAYOUT).log_probability(X[:1]).exp()

    assert float(p) == pytest.approx(0.5, abs=0.01)


def test_warm_start_is_kept_between_refits() -> None:
    X, failed = failing_corner(80)
    first = Classifier(X[:77], failed[:77], LAYOUT).warm

    kept = Classifier(X[:79], failed[:79], LAYOUT, first).warm
    refitted = Classifier(X, failed, LAYOUT, Classifier(X[:75], failed[:75], LAYOUT).warm).warm

    assert kept == first
    assert refitted.fitted_on == 80


def test_hyperparameters_of_a_long_history_are_fitted_to_a_part_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feasibility, "MAX_FIT_ROWS", 40)
    X, failed = failing_corner(240)
    part = torch.as_tensor(np.linspace(0, 239, 40).astype(int))
    Z, truth = failing_corner(2000, seed=1)

    model, of_part = Classifier(X, failed, LAYOUT), Classifier(X[part], failed[part], LAYOUT)

    assert model.warm.fitted_on == 240
    assert model.warm.theta == of_part.warm.theta
    wrong = [((m.log_probability(Z).exp() > 0.5) == truth).sum() for m in (model, of_part)]
    assert int(wrong[0]) < 0.7 * int(wrong[1])  # all of it is learned from all the same


def test_regression_answers_when_newton_diverges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feasibility, "NEWTON_STEPS", 1)
    monkeypatch.setattr(feasibility, "DIVERGED", 0.0)
    X, failed = failing_corner(60)

    p = Classifier(X, failed, LAYOUT).log_probability(X).exp()

    assert float(p[~failed].mean()) > 0.8
    assert float(p[failed].mean()) < 0.2


def test_doubtful_points_are_penalised_twice_up_to_the_price_of_a_long_shot() -> None:
    X, failed = failing_corner(60)
    model = SuccessModel([Classifier(X, failed, LAYOUT)])
    Z, _ = failing_corner(2000, seed=1)

    log_p, gain = model.log_probability(Z), model.log_utility(Z)

    sure, long_shot = log_p > math.log(0.5), log_p < math.log(0.403)
    doubtful = ~sure & (log_p > math.log(0.404))  # the price is reached in between
    assert all(bool(group.any()) for group in (sure, doubtful, long_shot))
    torch.testing.assert_close(gain[sure], 4 * log_p[sure])
    expected = 4 * log_p[doubtful] - 6 * (math.log(0.5) - log_p[doubtful])
    torch.testing.assert_close(gain[doubtful], expected)
    torch.testing.assert_close(gain[long_shot], log_p[long_shot] - 4)


def too_slow(X: Tensor) -> tuple[Tensor, Tensor]:
    """The time that a training of six parameters takes, and whether it is called off."""
    seconds = X[:, :3].prod(1) * 4 + X[:, 3:].mean(1)
    return seconds, (seconds < 0.5) | (seconds > 1.0)


def unrelated(X: Tensor) -> tuple[Tensor, Tensor]:
    """The same time, and failures that do not follow from it."""
    return too_slow(X)[0], (X[:, 3] - 0.5).abs() + (X[:, 4] - 0.5).abs() > 0.5


def losses(
    rule: Callable[[Tensor], tuple[Tensor, Tensor]], n: int, seed: int
) -> tuple[float, float]:
    """Log losses at fresh points: of the parameters alone, and of the average."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(n + 2000, 6, dtype=torch.float64, generator=generator)
    X, Z = points[:n], points[n:]
    seconds, failed = rule(X)
    seen = seconds[~failed]
    y = (seen - seen.mean()) / seen.std()
    zeros = torch.zeros_like(y)
    theta = fit_map(X[~failed], y, zeros, LAYOUT_OF_SIX)
    metrics = SurrogateModel(X[~failed], y[:, None], zeros[:, None], [theta], LAYOUT_OF_SIX)
    alone = Classifier(X, failed, LAYOUT_OF_SIX)
    average = SuccessModel([alone, Classifier(X, failed, LAYOUT_OF_SIX, None, metrics)])
    truth = (~rule(Z)[1]).double()
    p, averaged = (model.log_probability(Z).exp() for model in (alone, average))
    assert bool((averaged <= 1).all())
    loss = torch.nn.functional.binary_cross_entropy
    return float(loss(p, truth)), float(loss(averaged.clamp(0, 1), truth))


def test_what_failures_follow_from_is_learned_from_the_metrics() -> None:
    alone, average = np.mean([losses(too_slow, 160, seed) for seed in range(4)], axis=0)

    assert average < 0.75 * alone


def test_metrics_that_explain_no_failure_do_little_harm() -> None:
    alone, average = np.mean([losses(unrelated, 80, seed) for seed in range(4)], axis=0)

    assert average < 1.05 * alone


def test_the_more_likely_classifier_counts_more() -> None:
    X, failed = failing_corner(60)
    good, bad = Classifier(X, failed, LAYOUT), Classifier(X, failed.flip(0), LAYOUT)
    model = SuccessModel([good, bad])

    ratio = math.exp(good.log_evidence - bad.log_evidence)
    assert model.shares.sum() == pytest.approx(1)
    assert model.shares[0] / model.shares[1] == pytest.approx(ratio)
    expected = model.shares[0] * good.log_probability(X).exp()
    expected += model.shares[1] * bad.log_probability(X).exp()
    torch.testing.assert_close(model.log_probability(X).exp(), expected)


@pytest.mark.parametrize("converges", [True, False])
def test_a_classifier_without_a_mode_counts_only_if_all_are_without(
    converges: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, failed = failing_corner(60)
    first = Classifier(X, failed, LAYOUT)
    monkeypatch.setattr(feasibility, "NEWTON_STEPS", 1)
    monkeypatch.setattr(feasibility, "DIVERGED", 0.0)
    diverged = Classifier(X, failed, LAYOUT)

    model = SuccessModel([first if converges else diverged, diverged])

    assert model.shares.tolist() == ([1, 0] if converges else [0.5, 0.5])
    assert bool(torch.isfinite(model.log_utility(X)).all())
    assert bool(torch.isfinite(model.expected_probability(X)).all())

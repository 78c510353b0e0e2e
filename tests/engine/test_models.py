import math

import gpytorch
import numpy as np
import pytest
import torch
from botorch.models import SingleTaskGP
from scipy import stats
from torch import Tensor

from tests.engine.specs import MIXED, category, double, spec_of
from tradeoff.engine import models
from tradeoff.engine.models import ConditionedModel, Layout, SurrogateModel
from tradeoff.engine.space import Space

LAYOUT = Layout(np.arange(4), np.ones(4, dtype=bool))
NUMBER_AND_CATEGORY = Layout(np.array([0, 1, 1, 1]), np.array([True, False]))


def data(n: int = 40) -> tuple[Tensor, Tensor]:
    X = torch.rand(n, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    first = torch.sin(5 * X[:, 0]) + X[:, 1] ** 2
    Y = torch.stack([first, torch.cos(3 * X[:, 2]) - X[:, 0]], 1)
    return X, (Y - Y.mean(0)) / Y.std(0)


def fitted(n: int = 40) -> SurrogateModel:
    X, Y = data(n)
    Yvar = torch.zeros_like(Y)
    thetas = [models.fit_map(X, Y[:, j], Yvar[:, j], LAYOUT) for j in range(2)]
    return SurrogateModel(X, Y, Yvar, thetas, LAYOUT)


def normals(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("layout", [LAYOUT, NUMBER_AND_CATEGORY])
def test_gradient_agrees_with_finite_differences(layout: Layout) -> None:
    X, Y = data()
    known = torch.linspace(0, 0.1, len(X), dtype=torch.float64)
    start = models.default_theta(layout)
    theta = start + 0.3 * np.random.default_rng(0).normal(size=start.shape)

    _, gradient = models.negative_log_posterior(theta, X, Y[:, 0], known, layout)

    def value(at: np.ndarray) -> float:
        return models.negative_log_posterior(at, X, Y[:, 0], known, layout)[0]

    steps = 1e-5 * np.eye(len(theta))
    expected = [(value(theta + step) - value(theta - step)) / 2e-5 for step in steps]
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)


def test_loss_is_the_density_by_the_textbook() -> None:
    X, Y = data(12)
    theta, y = models.default_theta(LAYOUT), Y[:, 0]

    value, _ = models.negative_log_posterior(theta, X, y, torch.zeros(12), LAYOUT)

    # Integrating a standard normal constant out of the mean adds ones to the covariance; at the
    # best constant only the determinant differs.
    z = X / math.exp(theta[0])
    K = models.matern(models.squared_distance(z, z)) + 0.01 * torch.eye(12)
    nll = 0.5 * y @ torch.linalg.solve(K + 1.0, y) + 0.5 * torch.logdet(K)
    lengths = stats.lognorm(math.sqrt(3), scale=math.exp(math.sqrt(2)) * 2.0)
    noise = stats.lognorm(1.0, scale=math.exp(-4.0))
    prior = -4 * lengths.logpdf(math.exp(theta[0])) - noise.logpdf(0.01)
    normalisers = 4 * math.log(math.sqrt(3)) + 5 * 0.5 * math.log(2 * math.pi)
    tail = math.exp(2 * theta[0])
    assert value == pytest.approx(float(nll) + float(prior) - normalisers + tail, rel=1e-6)


def test_long_lengthscales_cost() -> None:
    X, _ = data()
    flat = torch.sin(6 * X[:, 0])

    theta = models.fit_map(X, flat, torch.zeros_like(flat), LAYOUT)

    lengths = np.exp(theta[:-1])
    assert lengths[0] < lengths[1:].min()
    assert lengths[1:].max() < 5  # without the penalty these run to the bound


def test_long_lengthscales_of_a_category_cost_nothing_more() -> None:
    X, _ = data()
    flat = torch.sin(6 * X[:, 0])

    theta = models.fit_map(X, flat, torch.zeros_like(flat), NUMBER_AND_CATEGORY)

    assert math.exp(theta[1]) > 5


def test_warm_start_reaches_the_same_optimum() -> None:
    X, Y = data()
    none = torch.zeros(len(X))
    cold = models.fit_map(X, Y[:, 0], none, LAYOUT)

    warm = models.fit_map(X, Y[:, 0], none, LAYOUT, start=(cold + 0.2).tolist())

    a = models.negative_log_posterior(cold, X, Y[:, 0], none, LAYOUT)[0]
    b = models.negative_log_posterior(warm, X, Y[:, 0], none, LAYOUT)[0]
    assert a == pytest.approx(b, abs=0.05)


def test_posterior_agrees_with_botorch_for_equal_hyperparameters() -> None:
    model = fitted()
    X, Y = data()
    Z = torch.rand(9, 4, dtype=torch.float64)
    mean, variance = model.predict(Z)

    for j in range(2):
        theta = model.thetas[j]
        stock = SingleTaskGP(
            X,
            Y[:, j : j + 1],
            covar_module=gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=4),
            outcome_transform=None,
        )
        stock.covar_module.lengthscale = torch.tensor(np.exp(theta[:-1]))
        stock.likelihood.noise = float(np.exp(theta[-1]))
        stock.mean_module.initialize(constant=model.constant[j, 0])
        stock.eval()
        posterior = stock.posterior(Z)
        torch.testing.assert_close(mean[j], posterior.mean[:, 0], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(variance[j], posterior.variance[:, 0], rtol=1e-5, atol=1e-6)


def test_known_noise_loosens_the_fit_at_its_row() -> None:
    X, Y = data(10)
    theta = [models.default_theta(LAYOUT)] * 2
    noisy = torch.zeros_like(Y)
    noisy[3, 0] = 100.0

    exact = SurrogateModel(X, Y, torch.zeros_like(Y), theta, LAYOUT).predict(X[3:4])
    loose = SurrogateModel(X, Y, noisy, theta, LAYOUT).predict(X[3:4])

    assert abs(exact[0][0, 0] - Y[3, 0]) < 0.1 < abs(loose[0][0, 0] - Y[3, 0])
    assert loose[1][0, 0] > exact[1][0, 0]
    assert loose[1][1, 0] == exact[1][1, 0]


def test_predictions_at_observed_rows_are_those_of_any_rows() -> None:
    X, Y = data(30)
    known = torch.zeros_like(Y)
    known[:7, 1] = 0.5
    plain = fitted(30)
    model = SurrogateModel(
        torch.cat([X, X[:3]]),
        torch.cat([Y, Y[3:6]]),
        torch.cat([known, known[:3]]),
        plain.thetas,
        plain.layout,
    )

    mean, variance = model.predict_observed()

    expected_mean, expected_variance = model.predict(model.X)
    torch.testing.assert_close(mean, expected_mean, rtol=0, atol=1e-9)
    torch.testing.assert_close(variance, expected_variance, rtol=0, atol=1e-9)


def test_conditioned_model_passes_through_its_samples() -> None:
    model = fitted()
    base = torch.rand(5, 4, dtype=torch.float64)

    conditioned = ConditionedModel(model, base, normals(2, 5, 8))
    mean, variance = conditioned.predict(base)

    torch.testing.assert_close(mean, conditioned.samples, atol=1e-3, rtol=1e-3)
    assert float(variance.max()) < 1e-5


def test_samples_have_the_posterior_moments() -> None:
    model = fitted()
    base = torch.rand(3, 4, dtype=torch.float64)
    mean, variance = model.predict(base)

    samples = ConditionedModel(model, base, normals(2, 3, 20_000)).samples

    torch.testing.assert_close(samples.mean(-1), mean, atol=0.03, rtol=0)
    torch.testing.assert_close(samples.var(-1), variance, atol=0.02, rtol=0.05)


def test_extended_rows_agree_with_a_rebuilt_model() -> None:
    model = fitted()
    base, x = torch.rand(5, 4, dtype=torch.float64), torch.rand(4, dtype=torch.float64)
    Z = torch.rand(7, 4, dtype=torch.float64)
    conditioned = ConditionedModel(model, base, normals(2, 5, 3))

    conditioned.append(x, normals(2, 3))
    mean, variance = conditioned.predict(Z)

    X, Y = data()
    rows = torch.cat([X, base, x[None]])
    for j in range(2):
        K = model.correlation(rows, rows)[j]
        noise = torch.full((len(rows),), models.JITTER, dtype=K.dtype)
        noise[: len(X)] = math.exp(model.thetas[j][-1])
        K = K + torch.diag(noise)
        k = model.correlation(Z, rows)[j]
        known = torch.cat([Y[:, j : j + 1].expand(-1, 3), conditioned.samples[j]])
        expected = k @ torch.linalg.solve(K, known - model.constant[j]) + model.constant[j]
        left = 1 - (k * torch.linalg.solve(K, k.T).T).sum(1)
        torch.testing.assert_close(mean[j], expected, atol=1e-8, rtol=1e-8)
        torch.testing.assert_close(variance[j], left.clamp_min(1e-9), atol=1e-8, rtol=1e-6)


def test_screening_sees_the_first_samples() -> None:
    conditioned = ConditionedModel(
        fitted(), torch.rand(3, 4, dtype=torch.float64), normals(2, 3, 8)
    )
    Z = torch.rand(2, 4, dtype=torch.float64)

    few, _ = conditioned.predict(Z, count=3)

    torch.testing.assert_close(few, conditioned.predict(Z)[0][..., :3])


@pytest.mark.parametrize("n", [1, 255, 256, 259, 500])
def test_a_product_with_a_triangle_leaves_out_zeros_only(n: int) -> None:
    generator = torch.Generator().manual_seed(n)
    upper = torch.randn(2, n, n, dtype=torch.float64, generator=generator).triu()
    k = torch.randn(2, 7, n, dtype=torch.float64, generator=generator)

    torch.testing.assert_close(models.times_upper(k, upper), k @ upper)


def test_the_choices_of_a_category_share_a_lengthscale() -> None:
    layout = Layout.of(Space(MIXED))
    large = Layout.of(Space(spec_of(category("c", *[f"v{i}" for i in range(30)]), double("x"))))

    assert layout.groups.tolist() == [0, 1, 2, 3, 3, 3, 4]
    assert layout.is_number.tolist() == [True, True, True, False, True]
    assert layout.size == 5
    assert large.groups.tolist() == [0] * 30 + [1]
    assert large.size == 2

import math

import numpy as np
import pytest
import torch
from botorch.optim.optimize import optimize_acqf
from torch import Tensor

from tests.engine.specs import double, spec_of
from tradeoff.engine import acquisition, pareto
from tradeoff.engine.acquisition import (
    BestValue,
    Boxes,
    Directions,
    Strips,
    Utility,
    UtilityAcquisition,
)
from tradeoff.engine.models import ConditionedModel, Layout, SurrogateModel, default_theta
from tradeoff.engine.space import Space


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def density(z: Tensor) -> Tensor:
    """Of the standard normal distribution."""
    return torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def fronts(m: int, b: int = 7, S: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Sampled values, references and permissions, all random."""
    F, references = random(m, b, S), random(m, S, seed=1) - 1.0
    permitted = random(b, S, seed=2) > -1.0
    return F, references, permitted


def outlooks(m: int, N: int = 5, S: int = 4) -> tuple[Tensor, Tensor]:
    """Means and variances of new points."""
    return random(m, N, S, seed=3), random(m, N, seed=4).exp() * 0.3


def by_monte_carlo(
    F: Tensor, references: Tensor, permitted: Tensor, mean: Tensor, variance: Tensor, draws: int
) -> np.ndarray:
    """`N x S` expected hypervolume gains by brute force."""
    m, N, S = mean.shape
    e = np.random.default_rng(0).standard_normal((draws, m))
    gains = np.empty((N, S))
    for s in range(S):
        front = F[:, permitted[:, s], s].T.numpy()
        reference = references[:, s].numpy()
        base = pareto.hypervolume(front, reference)
        for i in range(N):
            Y = mean[:, i, s].numpy() + variance[:, i].sqrt().numpy() * e
            gains[i, s] = np.mean(
                [pareto.hypervolume(np.vstack([front, y]), reference) - base for y in Y]
            )
    return gains


def test_strips_agree_with_monte_carlo() -> None:
    cells, outlook = fronts(2), outlooks(2)

    value = Strips(*cells).log_value(*outlook, 4).exp()

    expected = by_monte_carlo(*cells, *outlook, draws=4000)
    np.testing.assert_allclose(value, expected, rtol=0.12, atol=0.01)


def test_boxes_agree_with_monte_carlo() -> None:
    cells, outlook = fronts(3, S=2), outlooks(3, N=3, S=2)

    value = Boxes(*cells).log_value(*outlook, 2).exp()

    expected = by_monte_carlo(*cells, *outlook, draws=2000)
    np.testing.assert_allclose(value, expected, rtol=0.15, atol=0.01)


@pytest.mark.parametrize("b", [1, 2, 12])
def test_strips_agree_with_boxes(b: int) -> None:
    cells, outlook = fronts(2, b=b, S=8), outlooks(2, S=8)

    strips = Strips(*cells).log_value(*outlook, 8)
    boxes = Boxes(*cells).log_value(*outlook, 8)

    torch.testing.assert_close(strips, boxes, rtol=1e-8, atol=1e-8)


def test_empty_front_pulls_above_the_reference() -> None:
    F, references, _ = fronts(2)
    none = torch.zeros(F.shape[1:], dtype=torch.bool)
    mean, variance = outlooks(2)

    value = Strips(F, references, none).log_value(mean, variance, 4).exp()

    z = (mean - references[:, None]) / variance.sqrt()[..., None]
    parts = acquisition.log_h(z).exp() * variance.sqrt()[..., None]
    torch.testing.assert_close(value, parts.prod(0))


def test_one_metric_is_expected_improvement() -> None:
    F, references, permitted = fronts(1)
    mean, variance = outlooks(1)

    value = BestValue(F, references, permitted).log_value(mean, variance, 4).exp()

    for s in range(4):
        rows = F[0, permitted[:, s], s]
        best = max(float(rows.max()), float(references[0, s]))
        sd = variance[0].sqrt()
        z = (mean[0, :, s] - best) / sd
        expected = sd * (z * torch.special.ndtr(z) + density(z))
        torch.testing.assert_close(value[:, s], expected)


def test_directions_rank_points_as_boxes_do() -> None:
    F, references, permitted = fronts(3, S=8)
    mean, variance = outlooks(3, N=60, S=8)
    directions = torch.as_tensor(acquisition.draw_directions(3, np.random.default_rng(0)))

    rays = Directions(F, references, permitted, directions).log_value(mean, variance, 8)
    boxes = Boxes(F, references, permitted).log_value(mean, variance, 8)

    a, b = torch.logsumexp(rays, 1), torch.logsumexp(boxes, 1)
    ranks = torch.stack([a.argsort().argsort(), b.argsort().argsort()]).double()
    assert float(torch.corrcoef(ranks)[0, 1]) > 0.9


def test_log_h_is_accurate_and_has_finite_slopes_everywhere() -> None:
    z = torch.tensor([-1e8, -1e4, -999.0, -50.0, -5.0, -1.0001, -0.9999, 0.0, 5.0, 50.0])
    z = z.double().requires_grad_(True)

    value = acquisition.log_h(z)
    (slope,) = torch.autograd.grad(value.sum(), z)

    assert bool(torch.isfinite(value).all())
    assert bool(torch.isfinite(slope).all())
    near = z.detach()[4:]
    torch.testing.assert_close(
        value[4:].exp(), density(near) + near * torch.special.ndtr(near), rtol=1e-6, atol=0
    )
    # Asymptotically h(z) = phi(z) / z^2.
    assert float(value.detach()[1]) == pytest.approx(
        -0.5e8 - 0.9189385 - 2 * math.log(1e4), rel=1e-12
    )


@pytest.mark.parametrize("low", [-2e3, -1e3, -40.0, -1.0, 7.0, 30.0])
def test_slopes_in_closed_form_are_those_of_the_values(low: float) -> None:
    generator = torch.Generator().manual_seed(0)
    z, gap = torch.rand(2, 20, dtype=torch.float64, generator=generator)
    # With numbers of thousands a difference of values tells the slope to five digits only.
    step = 1e-6 * max(1.0, abs(low) / 40)

    larger = (low + 2 * z).requires_grad_(True)
    smaller = (larger.detach() - 3 * gap - 1e-3).requires_grad_(True)

    for function, arguments in (
        (acquisition.log_h, (larger,)),
        (acquisition.log_difference, (larger, smaller)),
    ):
        assert torch.autograd.gradcheck(function, arguments, eps=step, rtol=1e-4, atol=1e-6)


def test_difference_of_equal_numbers_counts_as_nothing() -> None:
    larger = torch.tensor([0.0, 0.0, -5.0], dtype=torch.float64, requires_grad=True)

    value = acquisition.log_difference(larger, torch.tensor([0.0, -1e9, -5.5]).double())
    (slope,) = torch.autograd.grad(value.sum(), larger)

    assert value.tolist()[:2] == [acquisition.LOG_ZERO, 0.0]
    assert value.tolist()[2] == pytest.approx(math.log(math.exp(-5) - math.exp(-5.5)))
    assert bool(torch.isfinite(slope).all())


# The parts put together


LAYOUT = Layout(np.arange(3), np.ones(3, dtype=bool))
SPACE = Space(spec_of(*[double(f"x{i}") for i in range(3)]))


def surrogate(columns: int, n: int = 25) -> SurrogateModel:
    X = torch.rand(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    waves = [torch.sin(3 * X @ random(3, seed=k)) for k in range(columns)]
    Y = torch.stack(waves, 1)
    return SurrogateModel(X, Y, torch.zeros_like(Y), [default_theta(LAYOUT)] * columns, LAYOUT)


def utility(m: int, c: int = 0) -> Utility:
    model = surrogate(m + c)
    rng = np.random.default_rng(0)
    references = acquisition.draw_references(model, SPACE, np.full(m, np.nan), 8, rng)
    limits = torch.zeros(c, dtype=torch.float64)
    base = acquisition.select_baseline(model, model.X[:0], references, limits)
    normals = torch.as_tensor(acquisition.sobol_normals((m + c, len(base)), 8, rng))
    directions = torch.as_tensor(acquisition.draw_directions(m, rng)) if m > 3 else None
    return Utility(ConditionedModel(model, base, normals), references, limits, None, directions)


@pytest.mark.parametrize(("m", "c"), [(1, 0), (2, 0), (3, 0), (4, 0), (2, 1), (1, 2), (0, 2)])
def test_gradients_agree_with_finite_differences(m: int, c: int) -> None:
    u = utility(m, c)
    Z = torch.rand(3, 3, dtype=torch.float64, requires_grad=True)

    assert torch.autograd.gradcheck(u, (Z,), eps=1e-6, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_a_pick_taken_for_granted_is_worth_little_again(m: int) -> None:
    u = utility(m)
    Z = torch.rand(50, 3, dtype=torch.float64)
    before = u(Z)
    best = int(before.argmax())

    u.append(Z[best], random(m, 8, seed=5))

    assert float(u(Z[best : best + 1])) < float(before[best]) - 1.0


def test_constraint_lowers_what_breaks_it() -> None:
    model = surrogate(2)
    Z = torch.rand(200, 3, dtype=torch.float64)
    mean, _ = model.predict(Z)
    limit = mean[1].quantile(0.7)[None]
    references = torch.full((1, 8), 9.0, dtype=torch.float64)  # no row of the data beats these
    conditioned = ConditionedModel(model, model.X[:5], random(2, 5, 8))

    bound = Utility(conditioned, references, limit, None)(Z)
    free = Utility(conditioned, references, limit - 100, None)(Z)

    assert bool((bound <= free).all())
    order = mean[1].argsort()
    assert float((bound - free)[order[:50]].mean()) < float((bound - free)[order[-50:]].mean()) - 1


def test_references_are_thresholds_where_given_and_plausible_elsewhere() -> None:
    model = surrogate(2)
    thresholds = np.array([math.nan, 0.3])

    references = acquisition.draw_references(model, SPACE, thresholds, 8, np.random.default_rng(0))

    assert references.shape == (2, 8)
    assert references[1].tolist() == [0.3] * 8
    scores = model.predict(torch.rand(500, 3, dtype=torch.float64))[0][0]
    assert len(set(references[0].tolist())) == 8
    assert float(references[0].max()) < float(scores.quantile(0.75))


@pytest.mark.parametrize(("m", "lower"), [(1, False), (2, False), (3, True), (4, True)])
def test_ends_of_a_frontier_of_many_metrics_are_worth_something(
    m: int, lower: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A corner may be worse in one metric than any random point, and efficient all the same."""
    model, none = surrogate(m), np.full(m, np.nan)

    def draw() -> Tensor:
        return acquisition.draw_references(model, SPACE, none, 8, np.random.default_rng(0))

    references = draw()
    monkeypatch.setattr(acquisition, "MANY_ENDS", m + 1)
    among_random_points = draw()

    worst = among_random_points.min(1).values
    assert bool((references.min(1).values < worst - 0.1).all()) == lower
    assert bool((references >= worst[:, None]).any(1).all())  # not the ends alone


def test_baseline_holds_the_front_and_what_is_pending() -> None:
    model = surrogate(2)
    pending = torch.rand(3, 3, dtype=torch.float64)
    references = torch.full((2, 8), -9.0, dtype=torch.float64)

    base = acquisition.select_baseline(
        model, torch.cat([pending, pending, model.X[:1]]), references, torch.zeros(0)
    )

    rows = {tuple(row) for row in base.tolist()}
    assert len(rows) == len(base)
    front = model.X[torch.as_tensor(pareto.non_dominated(model.predict(model.X)[0].T.numpy()))]
    assert rows >= {tuple(row) for row in torch.cat([front, pending, model.X[:1]]).tolist()}
    assert len(base) < len(model.X)


def test_utility_serves_botorch_optimizers() -> None:
    u = utility(2)
    bounds = torch.tensor([[0.0] * 3, [1.0] * 3], dtype=torch.float64)

    _, value = optimize_acqf(UtilityAcquisition(u), bounds, q=1, num_restarts=4, raw_samples=128)

    assert value is not None
    assert float(value) >= float(u(torch.rand(64, 3, dtype=torch.float64)).max())

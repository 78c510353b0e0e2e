from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tests.engine.histories import history_of
from tests.engine.specs import ALL, CONDITIONAL, category, double, integer, spec_of
from tradeoff.engine import importance
from tradeoff.engine.data import build_data
from tradeoff.engine.device import tensor
from tradeoff.engine.feasibility import Classifier, SuccessModel
from tradeoff.engine.models import Layout, SurrogateModel, fit_map
from tradeoff.engine.space import Space
from tradeoff.engine.state import State
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.history import History, Observation

Array = npt.NDArray[np.float64]
CPU = torch.device("cpu")


def fit(space: Space, X: Array, Y: Array) -> SurrogateModel:
    layout = Layout.of(space)
    rows, values = tensor(X, CPU), tensor(Y, CPU)
    noise = torch.zeros_like(values)
    thetas = [fit_map(rows, values[:, k], noise[:, k], layout) for k in range(Y.shape[1])]
    return SurrogateModel(rows, values, noise, thetas, layout)


def test_total_effects_are_those_of_the_textbook() -> None:
    """Of f = 4 a + b c with all on [0, 1]: V_a = 16/12, and b and c share an interaction."""
    space = Space(spec_of(double("a"), double("b"), double("c"), double("idle")))

    (shares,) = importance.importances(
        space, lambda X: (4 * X[:, 0] + X[:, 1] * X[:, 2])[:, None], seed=0
    )

    # Total effect of b: E_c[c^2] V(b) = (1/3)(1/12); of c the same.
    effects = np.array([16 / 12, 1 / 36, 1 / 36, 0])
    np.testing.assert_allclose(shares, effects / effects.sum(), atol=0.01)
    assert shares[3] == 0


def test_a_constant_prediction_favours_no_parameter() -> None:
    space = Space(spec_of(double("a"), integer("b", 1, 3), category("c", "x", "y")))

    (shares,) = importance.importances(space, lambda X: np.full((len(X), 1), 7.0), seed=0)

    np.testing.assert_allclose(shares, 1 / 3)


def test_one_parameter_is_all_there_is() -> None:
    space = Space(spec_of(double("a")))

    (shares,) = importance.importances(space, lambda X: X, seed=0)

    assert shares.tolist() == [1.0]


def test_a_choice_and_a_whole_number_count_as_one_parameter_each() -> None:
    space = Space(spec_of(category("c", "x", "y", "z"), integer("k", 1, 2)))

    (shares,) = importance.importances(space, lambda X: (X[:, :1] > 0).astype(float), seed=0)

    assert shares.tolist() == [1.0, 0.0]


def test_what_is_switched_off_matters_less() -> None:
    """`momentum` is there for one of three optimizers."""
    space = Space(CONDITIONAL)
    names = [dimension.name for dimension in space.dimensions]
    columns = {dimension.name: dimension.start for dimension in space.dimensions}

    (shares,) = importance.importances(
        space, lambda X: (X[:, columns["momentum"]] + X[:, columns["rate"]])[:, None], seed=0
    )

    by_name = dict(zip(names, shares, strict=True))
    assert 0 < by_name["momentum"] < 0.6 * by_name["rate"]
    # Which one is chosen decides whether momentum is in the middle.
    assert by_name["optimizer"] > 0
    assert by_name["warmup"] == by_name["schedule"] == 0


@pytest.mark.parametrize("name", ALL)
def test_fitted_models_of_any_space(name: str) -> None:
    spec = ALL[name]
    space = Space(spec)
    data = build_data(space, history_of(spec, 24, failing=0.3))
    failed = torch.as_tensor(data.failed)
    success = SuccessModel([Classifier(tensor(data.X, CPU), failed, Layout.of(space))])

    shares = importance.of_metrics(space, fit(space, data.successes, data.Y), seed=0)
    of_failure = importance.of_failure(space, success, seed=0)

    assert shares.shape == (2, len(space.dimensions))
    for row in (*shares, of_failure):
        assert (row >= 0).all()
        assert row.sum() == pytest.approx(1)
    # `history_of` lets those lowest in the first dimension fail.
    assert of_failure.argmax() == 0


def test_the_parameter_that_matters_is_found() -> None:
    space = Space(spec_of(*(double(f"x{k}") for k in range(5))))
    X = np.random.default_rng(0).random((40, 5))
    Y = np.sin(5 * X[:, [2]]) + 0.3 * X[:, [4]]
    Y = (Y - Y.mean()) / Y.std()

    (shares,) = importance.of_metrics(space, fit(space, X, Y), seed=0)

    assert shares.argsort()[::-1][:2].tolist() == [2, 4]
    assert shares[2] > 0.7


def plain_leave_one_out(model: SurrogateModel, Y: Array, column: int) -> Array:
    """`n x 2` means and variances by solving without each row in turn."""
    noise = float(np.exp(model.thetas[column][-1]))
    K = model.correlation(model.X, model.X)[column].numpy() + noise * np.eye(len(Y))
    constant = float(model.constant[column])
    found = []
    for row in range(len(Y)):
        others = np.delete(np.arange(len(Y)), row)
        weights = np.linalg.solve(K[np.ix_(others, others)], K[others, row])
        mean = constant + weights @ (Y[others, column] - constant)
        found.append((mean, K[row, row] - weights @ K[others, row]))
    return np.array(found)


def test_leaving_one_out_needs_no_refit() -> None:
    space = Space(spec_of(double("x"), double("y")))
    rng = np.random.default_rng(1)
    X = rng.random((15, 2))
    Y = np.column_stack([np.sin(4 * X[:, 0]), X.sum(axis=1)]) + 0.1 * rng.normal(size=(15, 2))
    model = fit(space, X, Y)

    mean, variance = model.leave_one_out()

    for column in range(2):
        expected = plain_leave_one_out(model, Y, column)
        np.testing.assert_allclose(mean[column], expected[:, 0], atol=1e-8)
        np.testing.assert_allclose(variance[column], expected[:, 1], atol=1e-8)


@pytest.mark.parametrize(("noise", "explained"), [(0.0, 0.95), (3.0, -0.5)])
def test_calibration_tells_a_good_model_from_a_useless_one(noise: float, explained: float) -> None:
    space = Space(spec_of(double("x"), double("y")))
    rng = np.random.default_rng(2)
    X = rng.random((60, 2))
    signal = np.sin(4 * X[:, [0]]) + X[:, [1]]
    Y = signal + noise * rng.normal(size=(60, 1))
    Y = (Y - Y.mean()) / Y.std()

    (trust,) = importance.calibrations(fit(space, X, Y))

    assert trust.observations == 60
    assert trust.coverage >= 0.85
    if noise:
        assert explained < trust.explained < 0.4
    else:
        assert trust.explained > explained


def constant_spec() -> ExperimentSpec:
    return spec_of(double("x"), metrics=["flat"])


def test_of_a_constant_metric_there_is_nothing_to_explain() -> None:
    space = Space(constant_spec())
    X = np.linspace(0, 1, 8)[:, None]

    (trust,) = importance.calibrations(fit(space, X, np.zeros((8, 1))))

    assert trust.explained == 1
    assert trust.coverage == 1


def test_an_analysis_tells_of_every_metric_and_of_failure() -> None:
    """`a` rules the first metric and `b` the stored one; what fails, fails by `c`."""
    spec = ExperimentSpec.model_validate(
        {
            "parameters": [
                {"name": name, "type": "double", "bounds": {"min": 0, "max": 1}} for name in "abc"
            ],
            "metrics": [
                {"name": "first", "strategy": "optimize"},
                {"name": "second", "strategy": "store"},
            ],
        }
    )
    points = np.random.default_rng(1).random((40, 3))
    observations = tuple(
        Observation(
            assignments=dict(zip("abc", map(float, point), strict=True)),
            values={}
            if point[2] > 0.7
            else {"first": float(np.sin(3 * point[0])), "second": float(5 * point[1])},
            stddevs={},
            failed=bool(point[2] > 0.7),
        )
        for point in points
    )

    analysis = importance.analyse(spec, History(observations), State.initial(7))

    assert max(analysis.importances["first"], key=analysis.importances["first"].__getitem__) == "a"
    assert analysis.importances["second"]["b"] > 0.9
    assert analysis.failure is not None
    assert analysis.failure["c"] > 0.5
    assert analysis.calibrations["first"].observations == sum(point[2] <= 0.7 for point in points)
    assert analysis.calibrations["second"].explained > 0.9
    assert analysis == importance.analyse(spec, History(observations), State.initial(7))


def test_an_analysis_of_failures_alone_has_no_metrics() -> None:
    history = History(
        tuple(Observation({"a": x}, {}, {}, failed=True) for x in (0.1, 0.5)),
    )

    analysis = importance.analyse(spec_of(double("a")), history, State.initial(0))

    assert analysis.importances == {}
    assert analysis.calibrations == {}
    assert analysis.failure == {"a": 1.0}

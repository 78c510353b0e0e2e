"""The stock loop behind our interface answers for every kind of experiment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.histories import history_of, observe
from tests.engine.specs import ALL, double, spec_of
from tradeoff.engine import design, reference
from tradeoff.engine.data import Data, build_data
from tradeoff.engine.space import Space
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.history import History

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way through the loop is the same with fewer restarts and samples."""
    for name, value in (("RESTARTS", 2), ("RAW_SAMPLES", 32), ("SAMPLES", 16)):
        monkeypatch.setattr(reference, name, value)


def metrics(optimized: int, constraints: int = 0) -> list[dict[str, Any]]:
    return [
        *(
            {"name": f"f{k}", "objective": ["maximize", "minimize"][k % 2]}
            for k in range(optimized)
        ),
        *(
            {"name": f"g{k}", "strategy": "constraint", "threshold": 0.2}
            for k in range(constraints)
        ),
    ]


def propose(
    spec: ExperimentSpec, history: History, q: int = 1, seed: int = 0
) -> tuple[Space, Data, np.ndarray[Any, Any]]:
    space = Space(spec)
    data = build_data(space, history)
    X, values = reference.propose(space, data, reference.fit(data, CPU), q, seed=seed)
    assert X.shape == (q, space.width)
    assert len(values) == q
    np.testing.assert_allclose(space.snap(X), X)
    for point in space.decode(X):
        assert set(point) <= {dimension.name for dimension in space.dimensions}
    return space, data, X


@pytest.mark.parametrize(
    ("optimized", "constraints"), [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (5, 0), (0, 2)]
)
def test_any_number_of_metrics(optimized: int, constraints: int) -> None:
    spec = spec_of(double("x"), double("y"), metrics=metrics(optimized, constraints))

    propose(spec, history_of(spec, 8, pending=1))


@pytest.mark.parametrize("name", ALL)
def test_any_space(name: str) -> None:
    spec = ALL[name]

    space, _, X = propose(spec, history_of(spec, 8, failing=0.2))

    if name == "narrow":  # real numbers, which no rounding moves
        assert space.meets_constraints(X).all()


def test_a_batch_takes_those_before_for_granted() -> None:
    spec = spec_of(double("x"), double("y"))

    _, _, X = propose(spec, history_of(spec, 8), q=3)

    distances = np.abs(X[:, None] - X[None]).max(axis=2)
    assert (distances[np.triu_indices(3, 1)] > 1e-3).all()


def test_the_same_seed_gives_the_same_point_and_leaves_the_global_one_alone() -> None:
    spec = spec_of(double("x"), double("y"))
    history = history_of(spec, 8)
    before = torch.random.get_rng_state()

    _, _, first = propose(spec, history, seed=5)
    _, _, again = propose(spec, history, seed=5)
    _, _, other = propose(spec, history, seed=6)

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_it_finds_the_top_of_a_hill() -> None:
    spec = spec_of(double("x"), double("y"), metrics=["height"])
    points = design.space_filling(spec, seed=0, start=0, count=14)

    def hill(point: Any) -> dict[str, float]:
        return {"height": -((point["x"] - 0.3) ** 2) - (point["y"] - 0.7) ** 2}

    history = History(tuple(observe(point, hill) for point in points))

    space, _, X = propose(spec, history)

    (best,) = space.decode(X)
    assert hill(best)["height"] > max(o.values["height"] for o in history.observations)


def test_thresholds_are_the_reference_point() -> None:
    spec = spec_of(
        double("x"),
        metrics=[{"name": "a", "threshold": 0.5}, {"name": "b", "objective": "minimize"}],
    )
    data = build_data(Space(spec), history_of(spec, 8))

    point = reference._reference_point(data, CPU).numpy()

    assert point[0] == data.thresholds[0]
    front = data.Y[:, 1]
    assert np.isfinite(point[1])
    assert point[1] < front.max()


def test_known_noise_is_used_when_every_value_has_it() -> None:
    spec = spec_of(double("x"), metrics=["height"])
    history = history_of(spec, 8)
    noisy = History(
        tuple(
            type(o)(o.assignments, o.values, {"height": 0.1}, o.failed)
            for o in history.observations
        )
    )
    space = Space(spec)

    learned = reference.fit(build_data(space, history), CPU).models[0].likelihood
    known = reference.fit(build_data(space, noisy), CPU).models[0].likelihood

    assert type(learned).__name__ == "GaussianLikelihood"
    assert type(known).__name__ == "FixedNoiseGaussianLikelihood"

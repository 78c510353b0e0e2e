"""The history of the hypervolume, against the definition."""

from __future__ import annotations

import numpy as np
import pytest

from tests.builders import make_spec
from tradeoff.engine import pareto
from tradeoff.service import convergence, points
from tradeoff.service.convergence import hypervolumes
from tradeoff.spec.metrics import Metric


def made(values: list[list[float | None]], **changes: object) -> points.Points:
    """Points of `make_spec`'s two metrics; a row of `None` failed."""
    spec = make_spec(**changes)
    metrics = (*spec.optimized_metrics, *spec.constraint_metrics, *spec.stored_metrics)
    rows = [
        (index + 1, float(index), row[0] is None, False, *(x for v in row for x in (v, None)))
        for index, row in enumerate(values)
    ]
    return points.of_rows(metrics, rows)


@pytest.mark.parametrize("seed", range(5))
def test_areas_are_those_of_the_front_after_each_row(seed: int) -> None:
    rng = np.random.default_rng(seed)
    outcomes = rng.integers(0, 12, size=(60, 2)).astype(float)  # with many ties

    found, exact = hypervolumes(outcomes, np.array([1.0, 2.0]))

    expected = [pareto.hypervolume(outcomes[: k + 1], [1.0, 2.0]) for k in range(60)]
    assert exact
    assert found == pytest.approx(expected)


def test_three_metrics_are_exact_while_the_front_moved_seldom() -> None:
    outcomes = np.random.default_rng(1).random((80, 3))

    found, exact = hypervolumes(outcomes, np.zeros(3))

    expected = [pareto.hypervolume(outcomes[: k + 1], np.zeros(3)) for k in range(80)]
    assert exact
    assert found == pytest.approx(expected)


def test_five_metrics_are_estimated_closely_and_the_curve_never_falls() -> None:
    outcomes = np.random.default_rng(2).random((60, 5))

    found, exact = hypervolumes(outcomes, np.zeros(5))

    assert not exact
    assert found[-1] == pytest.approx(pareto.hypervolume(outcomes, np.zeros(5)), rel=0.03)
    assert (np.diff(found) >= 0).all()


def test_rows_that_do_not_count_add_nothing() -> None:
    outcomes = np.array([[-np.inf, -np.inf], [2.0, 3.0], [-np.inf, -np.inf]])

    found, _ = hypervolumes(outcomes, np.zeros(2))

    assert found.tolist() == [0.0, 6.0, 6.0]


def test_the_whole_history_is_measured_from_the_thresholds() -> None:
    metrics = [
        {"name": "accuracy", "threshold": 0.5},
        {"name": "inference_ms", "objective": "minimize", "threshold": 10.0},
    ]
    history = made([[0.7, 5.0], [None, None], [0.4, 1.0], [0.9, 8.0]], metrics=metrics)

    course = convergence.follow(history, make_spec(metrics=metrics))

    assert course.reference == {"accuracy": 0.5, "inference_ms": 10.0}
    assert course.feasible.tolist() == [True, False, False, True]
    assert course.hypervolume == pytest.approx([1.0, 1.0, 1.0, 1.0 + 0.2 * 2])
    assert course.best[:, 0].tolist() == [0.7, 0.7, 0.7, 0.9]
    assert course.best[:, 1].tolist() == [5.0, 5.0, 5.0, 5.0]


def test_without_thresholds_the_reference_lies_below_the_front() -> None:
    course = convergence.follow(made([[0.7, 5.0], [0.9, 8.0]]), make_spec())

    assert course.reference == pytest.approx({"accuracy": 0.68, "inference_ms": 8.3})


def test_an_experiment_in_which_all_failed_has_no_course() -> None:
    course = convergence.follow(made([[None, None]] * 3), make_spec())

    assert course.reference == {}
    assert len(course.hypervolume) == 0
    assert np.isnan(course.best).all()


def test_one_metric_has_a_best_so_far_and_no_hypervolume() -> None:
    metrics = [{"name": "loss", "objective": "minimize"}]
    history = made([[3.0], [1.0], [2.0]], metrics=metrics, observation_budget=None)

    course = convergence.follow(history, make_spec(metrics=metrics, observation_budget=None))

    assert course.best[:, 0].tolist() == [3.0, 1.0, 1.0]
    assert len(course.hypervolume) == 0


def test_states_tell_what_each_point_is() -> None:
    metrics = [
        {"name": "accuracy"},
        {"name": "inference_ms", "objective": "minimize"},
        {"name": "size", "objective": "minimize", "strategy": "constraint", "threshold": 9.0},
    ]
    history = made(
        [[0.7, 5.0, 1.0], [0.6, 6.0, 1.0], [0.9, 1.0, 10.0], [None, None, None], [0.7, 5.0, 2.0]],
        metrics=metrics,
    )

    assert points.states(history).tolist() == [
        "efficient",
        "dominated",
        "infeasible",
        "failed",
        "efficient",
    ]
    assert Metric(name="accuracy") == history.metrics[0]

"""The numpy reading of the fitted models against the models themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.builders import make_history, make_spec, measure
from tradeoff.engine import design, review, suggest
from tradeoff.engine.data import Data, build_data
from tradeoff.engine.feasibility import Classifier
from tradeoff.engine.models import Layout, SurrogateModel
from tradeoff.engine.space import Space
from tradeoff.engine.state import State
from tradeoff.spec.history import History, Observation


def failing_history(count: int = 40) -> History:
    """Large nets with a high learning rate fail."""
    points = design.space_filling(make_spec(), seed=3, start=0, count=count)
    made = []
    for point in points:
        failed = float(point["filters"]) > 40 and float(point["learning_rate"]) > 1e-3
        made.append(
            Observation(
                assignments=point,
                values={} if failed else measure(point),
                stddevs={},
                failed=failed,
            )
        )
    return History(observations=tuple(made))


def fitted(history: History) -> tuple[Space, Data, State]:
    space = Space(make_spec())
    state = suggest.suggest(make_spec(), history, 1, State.initial(5)).state
    return space, build_data(space, history), state


def test_map_agrees_with_the_model_of_success() -> None:
    space, data, state = fitted(failing_history())
    assert state.success is not None
    names = [dimension.name for dimension in space.dimensions]
    first, second = names.index("learning_rate"), names.index("filters")

    found = review.map_success(space, data, state.success, first=first, second=second)

    failed = torch.as_tensor(data.failed)
    model = Classifier(torch.as_tensor(data.X), failed, Layout.of(space), state.success)
    V = review._backgrounds(space, data.X, first, second)
    V[:, first], V[:, second] = found.first[3], found.second[-1]
    X = torch.as_tensor(space.from_unit(V))
    expected = float(model.log_probability(X).exp().mean())
    assert found.probability[-1, 3] == pytest.approx(expected, abs=1e-6)


def test_map_shows_where_it_fails_even_without_a_fitted_model() -> None:
    space, data, _ = fitted(failing_history())
    names = [dimension.name for dimension in space.dimensions]

    found = review.map_success(
        space, data, None, first=names.index("learning_rate"), second=names.index("filters")
    )

    assert found.probability[-1, -1] < 0.5
    assert found.probability[0, 0] > 0.8
    assert found.probability.shape == (review.RESOLUTION, review.RESOLUTION)


def test_map_over_a_category_has_a_column_for_each_choice() -> None:
    space, data, state = fitted(failing_history())
    names = [dimension.name for dimension in space.dimensions]

    found = review.map_success(
        space, data, state.success, first=names.index("activation"), second=names.index("filters")
    )

    assert found.first.tolist() == [0.25, 0.75]
    assert found.probability.shape == (review.RESOLUTION, 2)


def test_map_of_nothing_but_failures_is_low_everywhere() -> None:
    space = Space(make_spec())
    points = design.space_filling(make_spec(), seed=3, start=0, count=12)
    history = History(tuple(Observation(p, {}, {}, failed=True) for p in points))

    found = review.map_success(space, build_data(space, history), None, first=1, second=2)

    assert found.probability.max() < 0.15


def test_predictions_agree_with_the_surrogate() -> None:
    space, data, state = fitted(make_history(30))
    theta = [np.array(state.metrics[metric.key].theta) for metric in data.metrics]
    X, Y, Yvar = map(torch.as_tensor, (data.X, data.Y, data.Yvar))
    model = SurrogateModel(X, Y, Yvar, theta, Layout.of(space))
    mean, variance = model.leave_one_out()

    found = review.predict_left_out(space, data, state, 0)

    assert found is not None
    assert found.mean == pytest.approx(data.scales[0].restore(mean[0].numpy()), rel=1e-6)
    high = data.scales[0].restore((mean[0] + review.TWO_SIDED * variance[0].sqrt()).numpy())
    assert found.high == pytest.approx(high, rel=1e-6)
    assert found.observed == pytest.approx(
        [o.values["accuracy"] for o in make_history(30).observations]
    )
    assert found.explained > 0.8
    assert found.coverage > 0.8


def test_a_slice_through_a_configuration_agrees_with_the_surrogate() -> None:
    space, data, state = fitted(make_history(30))
    theta = [np.array(state.metrics[metric.key].theta) for metric in data.metrics]
    X, Y, Yvar = map(torch.as_tensor, (data.X, data.Y, data.Yvar))
    model = SurrogateModel(X, Y, Yvar, theta, Layout.of(space))
    along = [dimension.name for dimension in space.dimensions].index("learning_rate")
    through = space.to_unit(data.X[3:4])

    found = review.slice_metric(space, data, state, 0, along=along, through=through)

    assert found is not None
    V = np.tile(through, (review.STEPS, 1))
    V[:, along] = found.coordinates
    mean, variance = model.predict(torch.as_tensor(space.from_unit(V)))
    scale = data.scales[0]
    assert found.mean == pytest.approx(scale.restore(mean[0].numpy()), rel=1e-6)
    high = scale.restore((mean[0] + review.TWO_SIDED * variance[0].sqrt()).numpy())
    assert found.high == pytest.approx(high, rel=1e-4)


def test_a_slice_is_the_average_over_what_was_tried_and_surer_than_its_parts() -> None:
    space, data, state = fitted(make_history(30))
    V = review._backgrounds(space, data.successes, 0)
    parts = [review.slice_metric(space, data, state, 0, along=0, through=row[None]) for row in V]

    found = review.slice_metric(space, data, state, 0, along=0)

    assert found is not None
    scale = data.scales[0]
    means = [scale.standardise(part.mean) for part in parts if part is not None]
    assert scale.standardise(found.mean) == pytest.approx(np.mean(means, axis=0), abs=1e-6)
    widths = [part.high - part.low for part in parts if part is not None]
    assert (found.high - found.low).mean() < np.mean(widths)


def test_success_along_a_parameter_falls_where_it_fails() -> None:
    space, data, state = fitted(failing_history())
    along = [dimension.name for dimension in space.dimensions].index("filters")

    found = review.slice_success(space, data, state.success, along=along)

    assert found.mean[-1] < found.mean[0] - 0.2
    assert ((found.mean > 0) & (found.mean < 1)).all()


def test_without_a_fitted_model_there_is_no_prediction() -> None:
    space = Space(make_spec())
    data = build_data(space, make_history(30))

    assert review.predict_left_out(space, data, State.initial(1), 0) is None
    assert review.slice_metric(space, data, State.initial(1), 0, along=0) is None

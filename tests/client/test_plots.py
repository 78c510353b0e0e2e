"""The client's figures and table, of a live server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.builders import METRICS, PARAMETERS
from tests.client.scripted import Script
from tests.conftest import LiveServer
from tradeoff import Client
from tradeoff.client import plots
from tradeoff.client.resources import Experiment
from tradeoff.web.charts import parts

THRESHOLDS = [{**METRICS[0], "threshold": 0.6}, METRICS[1]]


@pytest.fixture
def experiment(live_server: LiveServer) -> Any:
    """Six observations, two of which failed, one for the machine."""
    with Client(live_server.token, api_url=live_server.url) as api:
        made = api.experiments.create(
            name="<b>plots</b>", parameters=PARAMETERS, metrics=THRESHOLDS, observation_budget=9
        )
        for filters, values in (
            (8, (0.7, 1.0)),
            (16, (0.9, 4.0)),
            (24, (0.65, 3.0)),
            (32, (0.5, 0.5)),
            (64, None),
        ):
            report: dict[str, Any] = {"failed": True}
            if values is not None:
                pairs = zip(("accuracy", "inference_ms"), values, strict=True)
                report = {"values": [{"name": name, "value": value} for name, value in pairs]}
            made.observations().create(
                assignments={"learning_rate": 0.01, "filters": filters, "activation": "relu"},
                metadata={"node": f"n{filters}"},
                **report,
            )
        suggestion = made.suggest()
        made.observations().create(suggestion=suggestion.id, failed=True, failure_kind="transient")
        yield made


def by_name(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data if trace.name}


def test_colours_shapes_and_words_are_the_dashboards() -> None:
    assert plots.COLOURS == parts.COLOURS
    assert plots.SYMBOLS == parts.SYMBOLS
    assert plots.LABELS.items() <= parts.LABELS.items()


def test_the_frontier_is_drawn(experiment: Experiment) -> None:
    figure = experiment.plot_frontier()

    traces = by_name(figure)
    assert list(traces["efficient (2)"].x) == [0.7, 0.9]
    assert list(traces["dominated (1)"].x) == [0.65]
    assert list(traces["misses a threshold (1)"].y) == [0.5]
    assert figure.layout.xaxis.title.text == "accuracy ↑ more is better"
    assert figure.layout.title.text == "&lt;b&gt;plots&lt;/b&gt;, 6 observations, 1 failed"
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes] == [(0.6, 0.6)]
    (stairs,) = [trace for trace in figure.data if trace.line.shape == "vh"]
    assert list(stairs.y) == [1.0, 4.0]


def test_the_metrics_are_chosen_by_name(experiment: Experiment) -> None:
    figure = experiment.plot_frontier("inference_ms", "accuracy")

    assert figure.layout.xaxis.title.text == "inference_ms ↓ less is better"
    with pytest.raises(ValueError, match="accuracy, inference_ms"):
        experiment.plot_frontier("speed")


def test_the_history_has_the_best_so_far(experiment: Experiment) -> None:
    best = [t for t in experiment.plot_history().data if t.name == "best feasible so far"]

    assert list(best[0].y) == [0.7, 0.9, 0.9, 0.9, 0.9, 0.9]
    assert list(best[1].y) == [1.0] * 6


def test_parallel_coordinates_have_an_axis_per_parameter_and_metric(
    experiment: Experiment,
) -> None:
    (trace,) = experiment.plot_parallel().data

    assert [axis.label for axis in trace.dimensions] == [
        "activation",
        "filters",
        "learning_rate",
        "accuracy ↑",
        "inference_ms ↓",
    ]
    assert list(trace.dimensions[1]["values"]) == [8, 16, 24, 32]


def test_failures_are_shown_over_the_parameters_that_tell_most(experiment: Experiment) -> None:
    figure = experiment.plot_failures()

    assert figure.layout.xaxis.title.text == "filters"
    traces = by_name(figure)
    assert list(traces["failed (1)"].x) == [64]
    assert list(traces["succeeded (4)"].x) == [8, 16, 24, 32]
    with pytest.raises(ValueError, match="no parameter 'depth'"):
        experiment.plot_failures("depth")


def test_the_table_has_the_columns_that_optunas_users_know(experiment: Experiment) -> None:
    frame = experiment.dataframe()

    assert set(frame.columns) >= {
        "number",
        "state",
        "datetime_start",
        "datetime_complete",
        "duration",
        "values_accuracy",
        "values_inference_ms",
        "params_filters",
        "params_learning_rate",
        "user_attrs_node",
    }
    assert list(frame["state"]) == ["COMPLETE"] * 4 + ["FAIL"] * 2
    assert list(frame["values_accuracy"])[:4] == [0.7, 0.9, 0.65, 0.5]
    assert frame["values_accuracy"].isna().tolist()[4:] == [True, True]
    # Only the last one was suggested.
    assert frame["datetime_start"].isna().tolist() == [True] * 5 + [False]
    assert 0 <= frame["duration"].dt.total_seconds()[5] < 60


def test_an_empty_experiment_can_be_drawn(live_server: LiveServer) -> None:
    with Client(live_server.token, api_url=live_server.url) as api:
        made = api.experiments.create(
            name="empty", parameters=PARAMETERS, metrics=METRICS, observation_budget=9
        )

        for figure in (made.plot_frontier(), made.plot_history(), made.plot_failures()):
            assert all(not trace.x for trace in figure.data)
        made.plot_parallel()
        assert len(made.dataframe()) == 0


def test_one_unnamed_metric_can_be_drawn(live_server: LiveServer) -> None:
    with Client(live_server.token, api_url=live_server.url) as api:
        made = api.experiments.create(
            name="one", parameters=[{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}]
        )
        made.observations().create(assignments={"x": 0.5}, values=[{"value": 3.0}])

        figure = made.plot_frontier()

        assert list(by_name(figure)["best feasible so far"].y) == [3.0]
        assert list(made.dataframe()["values_value"]) == [3.0]


def test_a_notebook_shows_the_experiment_and_runs_no_name(experiment: Experiment) -> None:
    shown = experiment._repr_html_()

    assert "<b>&lt;b&gt;plots&lt;/b&gt;</b>" in shown
    assert "accuracy ↑, inference_ms ↓" in shown


def test_importances_are_bars(connect: Callable[..., Client]) -> None:
    found = [
        {"metric": "loss", "importances": {"a": 0.2, "b": 0.8}},
        {"metric": "time", "importances": {"a": 0.6, "b": 0.4}},
    ]
    client = connect(Script(httpx.Response(200, json={"data": found})))

    figure = Experiment(client, {"id": "7", "name": "x"}).plot_importances()

    assert list(figure.data[0].y) == ["a", "b"]
    assert list(figure.data[1].x) == [0.6, 0.4]


def test_without_plotly_the_figure_says_how_to_get_it(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(ImportError, match=r"pip install 'tradeoff\[plot\]'"):
        experiment.plot_history()
    with pytest.raises(ImportError, match="pip install pandas"):
        experiment.dataframe()

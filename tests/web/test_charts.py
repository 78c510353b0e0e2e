"""What the figures show, from plain numbers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tradeoff.engine.review import Prediction
from tradeoff.service import convergence
from tradeoff.service import points as service_points
from tradeoff.service.failures import Avoided, Failures, SuccessGrid
from tradeoff.service.parallel import Axis, Lines
from tradeoff.service.points import Points
from tradeoff.spec.experiment import ExperimentSpec
from tradeoff.spec.metrics import Metric
from tradeoff.web.charts import frontier, history, parallel, parts, regions

ACCURACY = Metric(name="accuracy", threshold=0.5)
MILLISECONDS = Metric(name="ms", objective="minimize")


def made(values: list[tuple[float, ...] | None], *metrics: Metric, stddev: Any = None) -> Points:
    """Points of these values, the first with a standard deviation; `None` failed."""
    rows = [
        (
            index + 1,
            1.7e9 + index,
            row is None,
            False,
            *(x for v in (row or [None] * len(metrics)) for x in (v, None if index else stddev)),
        )
        for index, row in enumerate(values)
    ]
    return service_points.of_rows(metrics, rows)


def traces(figure: parts.Figure, state: str) -> list[dict[str, Any]]:
    return [each for each in figure["data"] if each.get("meta", {}).get("state") == state]


def two_metrics(**more: Any) -> parts.Figure:
    points = made(
        [(0.9, 8.0), None, (0.7, 5.0), (0.6, 9.0), (0.4, 1.0), (0.8, 6.0)],
        ACCURACY,
        MILLISECONDS,
        **more,
    )
    return frontier.frontier(
        points,
        service_points.states(points),
        "accuracy",
        "ms",
        reference={"accuracy": 0.5, "ms": 8.3},
        open_points=[
            {
                "accuracy": {"mean": 0.8, "low": 0.7, "high": 0.9},
                "ms": {"mean": 4.0, "low": 3.0, "high": 6.0},
            },
            {},
        ],
    )


def test_the_frontier_tells_every_state_by_colour_and_shape() -> None:
    figure = two_metrics()

    for state, ids in (("efficient", [1, 3, 6]), ("dominated", [4]), ("infeasible", [5])):
        (trace,) = traces(figure, state)
        assert trace["customdata"] == ids
        assert trace["marker"]["symbol"] == parts.SYMBOLS[state]
        assert trace["marker"]["color"] == parts.COLOURS[state]
    (failed,) = traces(figure, "failed")
    assert failed["customdata"] == [2]
    assert failed["yaxis"] == "y2"
    assert len(set(parts.SYMBOLS.values())) == len(parts.SYMBOLS)


def test_the_staircase_goes_along_the_edge_of_what_is_dominated() -> None:
    (trace,) = traces(two_metrics(), "staircase")

    assert trace["x"] == [0.7, 0.8, 0.9]
    assert trace["y"] == [5.0, 6.0, 8.0]
    # Less accurate by a hair than 0.8 still costs 6 ms: up first, then to the right.
    assert trace["line"]["shape"] == "vh"


def test_thresholds_and_reference_are_drawn_and_named() -> None:
    figure = two_metrics()

    line, other = figure["layout"]["shapes"]
    assert line["name"] == "threshold:accuracy"
    assert (line["x0"], line["x1"]) == (0.5, 0.5)
    assert line["label"]["text"] == "accuracy ≥ 0.5"
    # Without a threshold stands the reference point, to be dragged.
    assert (other["name"], other["y0"], other["y1"]) == ("reference:ms", 8.3, 8.3)
    assert other["label"]["text"] == "reference 8.3"
    (reference,) = traces(figure, "reference")
    assert (reference["x"], reference["y"]) == ([0.5], [8.3])


def test_axes_say_what_is_better() -> None:
    layout = two_metrics()["layout"]

    assert layout["xaxis"]["title"]["text"] == "accuracy ↑ more is better"
    assert layout["yaxis"]["title"]["text"] == "ms ↓ less is better"


def test_what_is_being_tried_is_an_ellipse_through_its_interval() -> None:
    outline, middle = traces(two_metrics(), "open")

    assert middle["x"] == [0.8]
    assert min(x for x in outline["x"] if x is not None) == pytest.approx(0.7)
    assert max(y for y in outline["y"] if y is not None) == pytest.approx(6.0)
    assert min(y for y in outline["y"] if y is not None) == pytest.approx(3.0)


def test_a_known_deviation_is_an_error_bar() -> None:
    (trace,) = traces(two_metrics(stddev=0.02), "efficient")

    assert trace["error_x"]["array"] == [0.02, 0.0, 0.0]
    assert "error_x" not in traces(two_metrics(), "efficient")[0]


def test_the_zoom_stays_until_other_axes_are_chosen() -> None:
    points = made([(0.9, 8.0)], ACCURACY, MILLISECONDS)
    states = service_points.states(points)

    plain = frontier.frontier(points, states, "accuracy", "ms", reference={})
    again = frontier.frontier(points, states, "accuracy", "ms", reference={})
    logged = frontier.frontier(points, states, "accuracy", "ms", reference={}, log=["ms"])

    assert plain["layout"]["uirevision"] == again["layout"]["uirevision"]
    assert plain["layout"]["uirevision"] != logged["layout"]["uirevision"]
    assert logged["layout"]["yaxis"]["type"] == "log"


def test_a_figure_of_nothing_is_a_figure() -> None:
    points = made([], ACCURACY, MILLISECONDS)
    states = service_points.states(points)

    figure = frontier.frontier(points, states, "accuracy", "ms", reference={})

    assert all(not trace["x"] for trace in figure["data"])
    json.dumps(figure, allow_nan=False)


def test_a_hostile_name_is_text() -> None:
    metric = Metric(name="<b>x</b>")
    points = made([(1.0, 2.0)], metric, MILLISECONDS)

    figure = frontier.frontier(
        points, service_points.states(points), "<b>x</b>", "ms", reference={}
    )

    assert all("<b>" not in trace["hovertemplate"] for trace in traces(figure, "efficient"))
    assert figure["layout"]["xaxis"]["title"]["text"].startswith("&lt;b&gt;x&lt;/b&gt;")


def test_five_metrics_have_ten_pairs_of_axes() -> None:
    metrics = [Metric(name=f"m{k}") for k in range(5)]
    values = [tuple(row) for row in np.random.default_rng(1).random((30, 5)).tolist()]
    points = made([*values], *metrics)

    figure = frontier.matrix(points, service_points.states(points))

    pairs = {(trace["xaxis"], trace["yaxis"]) for trace in figure["data"]}
    assert len(pairs) == 10
    for trace in figure["data"]:
        assert "x" + trace["yaxis"][1:] == trace["xaxis"]
        assert f"xaxis{trace['xaxis'][1:]}" in figure["layout"]
    assert figure["layout"]["yaxis"]["title"]["text"] == "m1 ↑ more is better"


def spec_of(*metrics: Metric) -> ExperimentSpec:
    parameters = [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}]
    return ExperimentSpec.model_validate(
        {"parameters": parameters, "metrics": metrics, "observation_budget": 9}
    )


def test_the_history_has_the_hypervolume_and_each_metric() -> None:
    points = made([(0.6, 8.0), None, (0.9, 9.0)], ACCURACY, MILLISECONDS)
    course = convergence.follow(points, spec_of(ACCURACY, MILLISECONDS))

    figure = history.history(course, service_points.states(points))

    (volume,) = traces(figure, "hypervolume")
    assert volume["x"] == [1, 2, 3]
    assert volume["y"] == sorted(volume["y"])
    accuracy, milliseconds = traces(figure, "best")
    assert accuracy["y"] == [0.6, 0.6, 0.9]
    assert milliseconds["y"] == [8.0, 8.0, 8.0]
    (failed,) = traces(figure, "failed")
    assert failed["x"] == [2]
    assert [shape["name"] for shape in figure["layout"]["shapes"]] == ["threshold:accuracy"]


def test_the_history_by_the_clock_has_times() -> None:
    points = made([(0.6, 8.0)], ACCURACY, MILLISECONDS)
    course = convergence.follow(points, spec_of(ACCURACY, MILLISECONDS))

    figure = history.history(course, service_points.states(points), clock=True)

    assert figure["layout"]["xaxis"]["type"] == "date"
    assert traces(figure, "best")[0]["x"] == ["2023-11-14 22:13:20.000"]


def test_the_history_of_failures_alone_has_ticks_and_no_lines() -> None:
    points = made([None, None], ACCURACY, MILLISECONDS)
    course = convergence.follow(points, spec_of(ACCURACY, MILLISECONDS))

    figure = history.history(course, service_points.states(points))

    assert [trace["meta"]["state"] for trace in figure["data"]] == ["failed"]


def some_lines() -> Lines:
    nan = float("nan")
    return Lines(
        axes=(
            Axis("model", "conditional", ("line", "tree"), False, 0, np.array([0.0, 1.0])),
            Axis("depth", "parameter", (), False, 0, np.array([nan, 3.0])),
            Axis("rate", "parameter", (), True, 0, np.array([0.01, 1.0])),
            Axis("loss", "metric", (), False, -1, np.array([5.0, nan])),
        ),
        ids=np.array([11, 12]),
        states=np.array(["efficient", "failed"]),
        total=2,
    )


def test_parallel_lines_run_from_axis_to_axis() -> None:
    figure = parallel.parallel(some_lines())

    (efficient,) = traces(figure, "efficient")
    assert efficient["x"] == [0, 1, 2, 3, None]
    assert efficient["y"] == [0.0, -0.1, 0.0, 0.5, None]
    assert efficient["customdata"] == [11] * 5
    (failed,) = traces(figure, "failed")
    assert failed["y"] == [1.0, 0.5, 1.0, -0.1, None]
    ticks = [note["text"] for note in figure["layout"]["annotations"]]
    assert {"line", "tree", "off", "none", "3"} <= set(ticks)
    assert figure["layout"]["xaxis"]["ticktext"] == ["model", "depth", "rate", "loss ↓"]


def test_parallel_axes_can_be_ordered_and_scaled() -> None:
    figure = parallel.parallel(some_lines(), order=["loss", "rate"], log=[])

    axes = figure["layout"]["meta"]["axes"]
    assert [axis["name"] for axis in axes] == ["loss", "rate", "model", "depth"]
    assert [axis["log"] for axis in axes] == [False] * 4
    assert [axis["may_log"] for axis in axes] == [True, True, False, True]


def test_failures_are_crosses_on_the_map() -> None:
    region = Failures(
        parameters=("rate", "kind"),
        x=Axis("rate", "parameter", (), True, 0, np.array([0.01, 0.1])),
        y=Axis("kind", "parameter", ("a", "b"), False, 0, np.array([0.0, 1.0])),
        ids=np.array([4, 5]),
        failed=np.array([False, True]),
        grid=SuccessGrid((0.01, 0.1), ("a", "b"), np.array([[0.9, 0.8], [0.5, 0.1]])),
        rule=None,
        avoided=Avoided(1, 1, 1, 0),
        total=2,
    )

    figure = regions.failures(region)

    heat = figure["data"][0]
    assert (heat["type"], heat["zmin"], heat["zmax"]) == ("heatmap", 0, 1)
    assert heat["z"] == [[0.9, 0.8], [0.5, 0.1]]
    (failed,) = traces(figure, "failed")
    assert (failed["x"], failed["y"], failed["customdata"]) == ([0.1], ["b"], [5])
    assert failed["marker"]["symbol"] == "x"
    assert figure["layout"]["xaxis"]["type"] == "log"
    assert figure["layout"]["yaxis"]["categoryarray"] == ["a", "b"]


def test_importances_are_a_group_of_bars_for_each_metric() -> None:
    figure = regions.importances({"loss": {"a": 0.2, "b": 0.8}, "failure": {"a": 0.5, "b": 0.5}})

    loss, failure = figure["data"]
    assert loss["y"] == failure["y"] == ["a", "b"]
    assert loss["x"] == [0.2, 0.8]
    assert loss["marker"]["pattern"] != failure["marker"]["pattern"]


def test_predictions_have_a_panel_for_each_metric() -> None:
    found = Prediction(
        rows=np.array([0, 1]),
        observed=np.array([1.0, 2.0]),
        mean=np.array([1.1, 1.8]),
        low=np.array([1.0, 1.5]),
        high=np.array([1.3, 2.1]),
        explained=0.9,
        coverage=1.0,
    )

    figure = regions.model({"accuracy": (found, (7, 8))}, [MILLISECONDS, ACCURACY])

    line, dots = figure["data"]
    assert (line["x"], line["y"]) == ([1.0, 2.0], [1.0, 2.0])
    assert dots["customdata"] == [7, 8]
    assert dots["error_y"]["array"] == pytest.approx([0.2, 0.3])
    assert dots["error_y"]["arrayminus"] == pytest.approx([0.1, 0.3])

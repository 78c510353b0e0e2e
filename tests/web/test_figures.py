"""The figures' data, over HTTP, for the experiments that break figures elsewhere."""

from __future__ import annotations

import csv
import datetime
import io
import json
import re
from typing import Any

import numpy as np
import pytest

from tests.api.caller import Caller, ok
from tests.web.visitor import Visitor
from tradeoff.engine import suggest
from tradeoff.engine.state import State
from tradeoff.service import failures
from tradeoff.service import points as service_points
from tradeoff.store import tables
from tradeoff.store.database import Database

SECTIONS = ("frontier", "history", "parallel", "importances", "slice", "failures", "model")
PARAMETERS = [
    {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}},
    {"name": "kind", "type": "categorical", "categorical_values": ["a", "b"]},
]


def report(api: Caller, experiment: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    path = f"/v1/experiments/{experiment['id']}/observations/batch"
    ok(api.post(path, {"observations": rows}))


def row(x: float, kind: str = "a", /, **values: float) -> dict[str, Any]:
    made: dict[str, Any] = {"assignments": {"x": x, "kind": kind}}
    if not values:
        return {**made, "failed": True}
    return {**made, "values": [{"name": n, "value": v} for n, v in values.items()]}


def made(api: Caller, metrics: list[Any], **more: Any) -> dict[str, Any]:
    given = {"parameters": PARAMETERS, "observation_budget": 30, **more}
    return api.experiment(metrics=metrics, **given)


def fetch(visitor: Visitor, experiment: dict[str, Any], section: str, query: str = "") -> Any:
    answer = visitor.get(f"/experiment/{experiment['id']}/figures/{section}{query}")
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text)


def states(figure: dict[str, Any]) -> list[str]:
    return [trace["meta"]["state"] for trace in figure["data"] if "meta" in trace]


TWO = [{"name": "gain"}, {"name": "cost", "objective": "minimize"}]


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize(
    "metrics",
    [["m1"], TWO, ["m1", "m2", "m3"], ["m1", "m2", "m3", "m4", "m5"]],
    ids=["one", "two", "three", "five"],
)
@pytest.mark.parametrize("kind", ["empty", "failed", "mixed"])
def test_every_section_answers(
    api: Caller, visitor: Visitor, section: str, metrics: list[Any], kind: str
) -> None:
    experiment = made(api, metrics)
    names = [str(each if isinstance(each, str) else each["name"]) for each in metrics]
    if kind == "failed":
        report(api, experiment, [row(k / 10) for k in range(8)])
    if kind == "mixed":
        good = [
            row(k / 10, "a", **{n: float(k + i) for i, n in enumerate(names)}) for k in range(6)
        ]
        report(api, experiment, [*good, row(0.9, "b"), row(0.95, "b")])

    body = fetch(visitor, experiment, section, "?matrix=1")

    if body["figure"] is not None:
        assert {"data", "layout"} <= body["figure"].keys()
    if section == "frontier":
        assert body["figure"] is not None
        assert (body["matrix"] is not None) == (len(metrics) > 2)
        assert len(body["points"]["ids"]) == {"empty": 0, "failed": 8, "mixed": 8}[kind]


def test_the_frontier_knows_constraints_and_thresholds(api: Caller, visitor: Visitor) -> None:
    metrics = [
        {"name": "gain", "threshold": 0.3},
        {"name": "cost", "objective": "minimize"},
        {"name": "size", "objective": "minimize", "strategy": "constraint", "threshold": 5},
    ]
    experiment = made(api, metrics)
    report(
        api,
        experiment,
        [
            row(0.1, gain=0.5, cost=1.0, size=1.0),
            row(0.2, gain=0.9, cost=1.0, size=9.0),
            row(0.3, gain=0.1, cost=0.5, size=1.0),
            row(0.4, gain=0.4, cost=2.0, size=1.0),
        ],
    )

    body = fetch(visitor, experiment, "frontier", "?x=gain&y=cost")

    assert body["points"]["states"] == ["efficient", "infeasible", "infeasible", "dominated"]
    assert body["counts"] == {"dominated": 1, "efficient": 1, "infeasible": 2}
    assert body["reference"]["gain"] == 0.3


def test_the_history_marks_edits_and_imports(api: Caller, visitor: Visitor) -> None:
    experiment = made(api, TWO)
    path = f"/v1/experiments/{experiment['id']}"
    report(api, experiment, [row(0.1, gain=1.0, cost=2.0), row(0.2, gain=2.0, cost=3.0)])
    metrics = [{"name": "gain", "threshold": 0.5}, {"name": "cost"}]
    ok(api.put(path, {"metrics": metrics, "name": "a new name"}))
    imported = [row(k / 9, gain=float(k), cost=1.0) for k in range(3)]
    for number, each in enumerate(imported):
        each["metadata"] = {"imported_id": number}
        report(api, experiment, [each])
    bounds = {"name": "x", "bounds": {"min": 0, "max": 0.5}}
    ok(api.put(path, {"parameters": [bounds, {"name": "kind"}]}))
    report(api, experiment, [row(0.3)])

    body = fetch(visitor, experiment, "history")

    assert body["marks"] == [
        "After 2 observations: threshold of gain set to 0.5",
        "After 2 observations: 3 imported",
        "After 5 observations: x from 0 … 1 to 0 … 0.5",
    ]
    (marks,) = [t for t in body["figure"]["data"] if t["meta"]["state"] == "marks"]
    assert marks["x"] == [2.5, 2.5, 5.5]
    (clock,) = [
        t
        for t in fetch(visitor, experiment, "history", "?by=clock")["figure"]["data"]
        if t["meta"]["state"] == "marks"
    ]
    assert clock["x"] == sorted(clock["x"])
    lines = [shape for shape in body["figure"]["layout"]["shapes"] if shape["yref"] == "paper"]
    assert len(lines) == 3


def test_the_history_of_one_metric_has_its_marks_as_well(api: Caller, visitor: Visitor) -> None:
    experiment = made(api, [{"name": "gain"}])
    assert fetch(visitor, experiment, "frontier")["marks"] == []
    bounds = {"name": "x", "bounds": {"min": 0, "max": 0.5}}
    kind = {"name": "kind", "categorical_values": ["a", "b", "<c>"]}

    ok(api.put(f"/v1/experiments/{experiment['id']}", {"parameters": [bounds, kind]}))

    body = fetch(visitor, experiment, "frontier")
    assert body["marks"] == [
        "After 0 observations: kind from a, b to a, b, <c>; x from 0 … 1 to 0 … 0.5"
    ]
    (marks,) = [t for t in body["figure"]["data"] if t["meta"]["state"] == "marks"]
    assert "&lt;c&gt;" in marks["hovertext"][0]


def test_axes_are_chosen_and_checked(api: Caller, visitor: Visitor) -> None:
    experiment = made(api, ["m1", "m2", "m3"])
    path = f"/experiment/{experiment['id']}/figures/frontier"

    assert fetch(visitor, experiment, "frontier")["x"] == "m1"
    chosen = fetch(visitor, experiment, "frontier", "?x=m3&log=m1")
    assert (chosen["x"], chosen["y"]) == ("m3", "m1")
    assert chosen["figure"]["layout"]["yaxis"]["type"] == "log"
    refused = visitor.get(f"{path}?x=nothing")
    assert refused.status_code == 400
    assert "x: there is no metric" in refused.text


def test_brushed_lines_come_to_the_front(api: Caller, visitor: Visitor) -> None:
    experiment = made(api, TWO)
    report(api, experiment, [row(k / 10, gain=float(k), cost=float(k)) for k in range(6)])

    body = fetch(visitor, experiment, "parallel", '?ranges=[["x",0.15,0.35],["kind",0,0]]')

    assert len(body["chosen"]) == 2
    assert "background" in states(body["figure"])
    path = f"/experiment/{experiment['id']}/figures/parallel?ranges="
    for bad in ("x", "[[1]]", '[["nothing",0,1]]', "[" * 5000):
        assert visitor.get(path + bad).status_code == 400


def test_what_is_brushed_is_a_filter_of_the_table(api: Caller, visitor: Visitor) -> None:
    experiment = made(api, TWO)
    rows = [row(k / 10, "ab"[k % 2], gain=float(k), cost=float(k)) for k in range(6)]
    report(api, experiment, rows)
    ranges = '?ranges=[["x",0.15,0.45],["kind",-0.2,0.3],["gain",1,9.5]]'

    body = fetch(visitor, experiment, "parallel", ranges)

    assert body["filter"] == (
        "parameter.`x` >= 0.15 and parameter.`x` <= 0.45 and (parameter.`kind` = 'a') "
        "and metric.`gain` >= 1.0 and metric.`gain` <= 9.5"
    )
    page = visitor.page(f"/experiment/{experiment['id']}/observations", filter=body["filter"])
    found = re.findall(r'name="observation" value="(\d+)"', page)
    assert len(found) == 2
    assert {int(each) for each in found} == set(body["chosen"])
    nothing = fetch(visitor, experiment, "parallel", '?ranges=[["kind",0.3,0.6]]')
    assert (nothing["chosen"], nothing["filter"]) == ([], None)


def test_the_failures_are_told_in_words(api: Caller, visitor: Visitor) -> None:
    experiment = made(api, TWO)
    good = [row(k / 20, gain=1.0, cost=float(k)) for k in range(12)]
    report(api, experiment, [*good, *(row(k / 20, "b") for k in range(12))])

    body = fetch(visitor, experiment, "failures")

    assert body["rule"] == (
        "It fails most where kind is b: 12 of 12 failed there, 0 of 12 elsewhere."
    )
    assert body["figure"]["data"][0]["type"] == "heatmap"
    assert (body["failed"], body["looked_at"], body["x"]) == (12, 24, "kind")


def test_importances_come_with_enough_successes(api: Caller, visitor: Visitor) -> None:
    experiment = made(api, TWO)
    report(api, experiment, [row(k / 9, "ab"[k % 2], gain=k / 9, cost=k % 2) for k in range(9)])

    early = fetch(visitor, experiment, "importances")
    report(api, experiment, [row(0.55, "a", gain=0.55, cost=0.0), row(0.1)])
    body = fetch(visitor, experiment, "importances")

    assert early["figure"] is None
    assert early["reason"].startswith("Importances need 10 successful observations")
    bars = {
        bar["name"]: dict(zip(bar["y"], bar["x"], strict=True)) for bar in body["figure"]["data"]
    }
    assert bars["gain"]["x"] > bars["gain"]["kind"]
    assert bars["cost"]["kind"] > bars["cost"]["x"]
    assert (body["method"], body["observations"]) == ("trees", 11)


def fit(shared: Database, experiment: dict[str, Any]) -> None:
    """Let the engine fit its models, as a worker does."""
    with shared.transaction() as session:
        stored = session.get_one(tables.Experiment, int(experiment["id"]))
        points = service_points.load(session, stored, assignments=True)
        history = failures.history(points, np.arange(len(points.ids)))
        state = suggest.suggest(stored.spec, history, 1, State.initial(5)).state
        stored.engine_state = state.to_json()


def test_a_slice_has_the_model_with_its_band(
    api: Caller, visitor: Visitor, shared: Database
) -> None:
    experiment = made(api, TWO)
    good = [row(k / 12, "ab"[k % 2], gain=(k / 12) ** 2, cost=1 + k / 9) for k in range(12)]
    report(api, experiment, [*good, row(0.95, "b"), row(0.97, "b"), row(0.99, "b")])
    without = fetch(visitor, experiment, "slice", "?parameter=x")
    assert not without["modelled"]
    # The region of failures has lengthscales that suit most spaces.
    assert states(without["figure"]) == ["observed", "observed", "model", "observed"]

    fit(shared, experiment)
    body = fetch(visitor, experiment, "slice", "?parameter=x")

    assert body["modelled"]
    assert states(body["figure"])[:4] == ["low", "high", "model", "observed"]
    by_axis = {t["yaxis"]: t for t in body["figure"]["data"] if t["meta"]["state"] == "model"}
    gain = by_axis["y2"]
    assert body["figure"]["layout"]["yaxis2"]["title"]["text"] == "gain ↑"
    assert gain["y"][0] == pytest.approx(0, abs=0.2)
    assert gain["y"][-1] > gain["y"][0] + 0.5
    kinds = fetch(visitor, experiment, "slice", "?parameter=kind")
    levels = next(t for t in kinds["figure"]["data"] if t["meta"]["state"] == "model")
    assert levels["x"] == ["a", "b"]
    assert "error_y" in levels


def test_a_slice_goes_through_a_configuration(
    api: Caller, visitor: Visitor, shared: Database
) -> None:
    experiment = made(api, TWO)
    report(
        api,
        experiment,
        [row(k / 14, "ab"[k % 2], gain=k / 14 + k % 2, cost=1 + k / 9) for k in range(14)],
    )
    fit(shared, experiment)
    ids = fetch(visitor, experiment, "frontier")["points"]["ids"]

    curves = [
        next(
            t
            for t in fetch(visitor, experiment, "slice", query)["figure"]["data"]
            if t["meta"]["state"] == "model" and t["yaxis"] == "y2"
        )["y"]
        for query in ("?parameter=x", f"?parameter=x&through={ids[4]}", f"?through={ids[5]}")
    ]

    assert len({tuple(curve) for curve in curves}) == 3
    path = f"/experiment/{experiment['id']}/figures/slice"
    for bad in ("?parameter=nothing", "?through=x", "?through=999999999"):
        assert visitor.get(path + bad).status_code == 400


def test_a_slice_of_conditionals(api: Caller, visitor: Visitor) -> None:
    experiment = made(
        api,
        TWO,
        conditionals=[{"name": "net", "values": ["small", "large"]}],
        parameters=[
            {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}},
            {
                "name": "depth",
                "type": "int",
                "bounds": {"min": 1, "max": 9},
                "conditions": {"net": ["large"]},
            },
        ],
    )
    values = [{"name": "gain", "value": 1.0}, {"name": "cost", "value": 1.0}]
    report(
        api,
        experiment,
        [
            {"assignments": {"net": "small", "x": 0.5}, "values": values},
            {"assignments": {"net": "large", "x": 0.5, "depth": 4}, "failed": True},
        ],
    )

    body = fetch(visitor, experiment, "slice", "?parameter=depth")

    assert body["parameters"] == ["net", "depth", "x"]
    # Of the first observation the parameter is switched off.
    (panel,) = [t for t in body["figure"]["data"] if t["meta"]["state"] == "observed" and t["x"]]
    assert panel["x"] == [4]
    assert panel["y"] == [0]


def test_who_made_the_last_suggestions_is_told(
    api: Caller, visitor: Visitor, shared: Database
) -> None:
    experiment = made(api, TWO)
    assert fetch(visitor, experiment, "model")["served"] is None
    path = f"/v1/experiments/{experiment['id']}/suggestions"
    for worker in ("one", "two", "two"):
        ok(api.post(path, {"worker_id": worker} if worker == "one" else {}))
    ok(api.post(path, {"assignments": {"x": 0.5, "kind": "a"}}))
    with shared.transaction() as session:
        rows = session.query(tables.Suggestion).filter_by(experiment_id=int(experiment["id"]))
        first = rows.filter_by(state="open", source="space_filling").first()
        assert first is not None
        assert first.opened is not None
        first.source, first.computed = "model", first.opened - datetime.timedelta(seconds=90)

    words = fetch(visitor, experiment, "model")["served"]

    assert words == (
        "Of the last 4 suggestions 2 filled the space, 1 were made by hand, 1 came from the model; "
        "those of the model were ready for 90 s when they were asked for (median); "
        "1 named worker asked."
    )


def test_the_data_are_a_table_that_no_spreadsheet_executes(api: Caller, visitor: Visitor) -> None:
    parameters = [
        {"name": "x", "type": "double", "bounds": {"min": -1, "max": 1}},
        {"name": "kind", "type": "categorical", "categorical_values": ["=1+1", "b"]},
    ]
    experiment = made(api, TWO, parameters=parameters)
    report(api, experiment, [row(-0.5, "=1+1", gain=1.0, cost=2.0), row(0.2, "b")])

    answer = visitor.get(f"/experiment/{experiment['id']}/figures/data.csv")

    first, second = csv.DictReader(io.StringIO(answer.text))
    assert (first["x"], first["kind"], first["gain"]) == ("-0.5", "'=1+1", "1.0")
    assert (first["state"], second["state"]) == ("efficient", "failed")
    assert "attachment" in answer.headers["content-disposition"]


def test_choices_show_deltas_and_exports(api: Caller, visitor: Visitor) -> None:
    experiment = made(api, TWO)
    report(api, experiment, [row(0.1, gain=1.0, cost=2.0), row(0.2, "b", gain=3.0, cost=1.0)])
    ids = fetch(visitor, experiment, "frontier")["points"]["ids"]
    path = f"/experiment/{experiment['id']}/choices"

    (found,) = json.loads(visitor.get(f"{path}?id={ids[1]}&baseline={ids[0]}").text)["choices"]

    by_metric = {each["key"]: each for each in found["metrics"]}
    assert (by_metric["gain"]["change"], by_metric["gain"]["better"]) == (2.0, True)
    assert found["differs"] == ["kind", "x"]
    assert json.loads(found["json"]) == {"kind": "b", "x": 0.2}
    assert found["flags"] == "--kind=b --x=0.2"
    assert visitor.get(f"{path}?id=999999999").status_code == 404
    assert visitor.get(f"{path}?id=x").status_code == 400


def test_thresholds_are_saved_by_those_who_may(
    api: Caller, visitor: Visitor, reader: Visitor
) -> None:
    experiment = made(api, TWO)
    path = f"/experiment/{experiment['id']}/thresholds"

    assert visitor.post(path, **{"threshold:gain": "0.5"}).status_code == 200

    body = fetch(visitor, experiment, "frontier")
    assert {m["key"]: m["threshold"] for m in body["metrics"]} == {"cost": None, "gain": 0.5}
    assert visitor.post(path, **{"threshold:gain": ""}).status_code == 200
    assert fetch(visitor, experiment, "frontier")["metrics"][1]["threshold"] is None
    assert visitor.post(path, **{"threshold:gain": "x"}).status_code == 400
    assert reader.post(path, **{"threshold:gain": "0.5"}).status_code == 403


def test_a_failure_is_marked_as_transient(api: Caller, visitor: Visitor, reader: Visitor) -> None:
    experiment = made(api, TWO)
    report(api, experiment, [row(0.1), row(0.2, gain=1.0, cost=1.0)])
    failed, good = fetch(visitor, experiment, "frontier")["points"]["ids"]
    path = f"/experiment/{experiment['id']}/observation"

    assert visitor.post(f"{path}/{failed}/kind", kind="transient").status_code == 200

    assert fetch(visitor, experiment, "frontier")["points"]["states"][0] == "transient"
    assert visitor.post(f"{path}/{good}/kind", kind="transient").status_code == 400
    assert visitor.post(f"{path}/{failed}/kind", kind="nonsense").status_code == 400
    assert reader.post(f"{path}/{failed}/kind", kind="transient").status_code == 403


def test_figures_are_sent_compressed(api: Caller, visitor: Visitor) -> None:
    experiment = made(api, TWO)
    report(api, experiment, [row(k / 99, gain=k / 7, cost=k / 3) for k in range(60)])
    path = f"/experiment/{experiment['id']}/figures/frontier"

    packed = visitor.get(path)
    plain = visitor.http.get(path, headers={"Accept-Encoding": "identity"})

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text
    assert int(packed.headers["content-length"]) < len(plain.content) / 2


def test_others_see_nothing(api: Caller, other: Caller, visitor: Visitor) -> None:
    experiment = other.experiment()

    for path in (*(f"figures/{section}" for section in SECTIONS), "figures/data.csv", "choices"):
        assert visitor.get(f"/experiment/{experiment['id']}/{path}").status_code == 404

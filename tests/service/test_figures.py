"""The numbers behind the figures, from what is stored."""

from __future__ import annotations

import json
import shlex
import time

import numpy as np
import pytest

from tests.service import acts
from tradeoff.errors import BadInput, NotFound
from tradeoff.service import choice, failures, parallel, points, predictions, progress
from tradeoff.service.access import Principal
from tradeoff.service.observations import Report, report
from tradeoff.spec.values import Value
from tradeoff.store import tables
from tradeoff.store.database import Session

SPACE = {
    "parameters": [
        {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}},
        {
            "name": "rate",
            "type": "double",
            "bounds": {"min": 1e-5, "max": 1},
            "transformation": "log",
        },
        {"name": "kind", "type": "categorical", "categorical_values": ["a", "b", "c"]},
    ],
    "metrics": [{"name": "gain"}, {"name": "cost", "objective": "minimize"}],
    "observation_budget": 50,
}


def add(session: Session, experiment: tables.Experiment, x: float, **changes: object) -> int:
    """One report; it fails where x is above 0.7 with kind b."""
    assignments = {"x": x, "rate": 0.01, "kind": "a", **changes}
    failed = x > 0.7 and assignments["kind"] == "b"
    values = [] if failed else acts.evaluations(gain=x, cost=x * x)
    made = Report(assignments=assignments, values=values, failed=failed)
    return report(session, experiment, made).id


def add_many(session: Session, experiment: tables.Experiment, count: int) -> None:
    for k in range(count):
        add(session, experiment, (k * 0.618) % 1, kind="abc"[k % 3], rate=10 ** -(k % 5))


def test_points_hold_what_was_reported(session: Session, principal: Principal) -> None:
    experiment = acts.create(session, principal, **SPACE)
    first = add(session, experiment, 0.5)
    add(session, experiment, 0.9, kind="b")

    found = points.load(session, experiment, assignments=True)

    assert found.ids[0] == first
    assert [metric.key for metric in found.metrics] == ["cost", "gain"]
    assert found.column("gain")[0] == 0.5
    assert np.isnan(found.values[1]).all()
    assert found.failed.tolist() == [False, True]
    assert found.assignments[1]["kind"] == "b"
    assert abs(found.created[0] - time.time()) < 3600
    with pytest.raises(KeyError):
        found.column("nothing")


def test_points_of_an_empty_experiment(session: Session, principal: Principal) -> None:
    experiment = acts.create(session, principal, **SPACE)

    found = points.load(session, experiment, assignments=True)

    assert found.values.shape == (0, 2)
    assert points.states(found).tolist() == []
    assert points.reference_point(found, experiment.spec) == {}
    assert parallel.lines(found, experiment.spec).total == 0


def test_the_frontier_is_the_one_that_the_api_answers(
    session: Session, principal: Principal
) -> None:
    experiment = acts.create(session, principal, **SPACE)
    add_many(session, experiment, 30)

    found = points.load(session, experiment)

    efficient = set(found.ids[points.efficient(found)].tolist())
    assert efficient == {row.id for row in progress.best(session, experiment)}


def test_lines_have_an_axis_per_parameter_and_metric(
    session: Session, principal: Principal
) -> None:
    experiment = acts.create(session, principal, **SPACE)
    add_many(session, experiment, 6)

    found = parallel.lines(points.load(session, experiment, assignments=True), experiment.spec)

    assert [(axis.name, axis.kind, axis.log, axis.sign) for axis in found.axes] == [
        ("kind", "parameter", False, 0),
        ("rate", "parameter", True, 0),
        ("x", "parameter", False, 0),
        ("cost", "metric", False, -1),
        ("gain", "metric", False, 1),
    ]
    assert found.axes[0].levels == ("a", "b", "c")
    assert found.axes[0].values.tolist() == [0, 1, 2, 0, 1, 2]


def test_a_parameter_that_is_switched_off_has_no_value(
    session: Session, principal: Principal
) -> None:
    experiment = acts.create(
        session,
        principal,
        parameters=[
            {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}},
            {
                "name": "depth",
                "type": "int",
                "bounds": {"min": 1, "max": 9},
                "conditions": {"model": ["tree"]},
            },
        ],
        conditionals=[{"name": "model", "values": ["line", "tree"]}],
    )
    for assignments in ({"model": "line", "x": 0.1}, {"model": "tree", "x": 0.2, "depth": 3}):
        report(
            session,
            experiment,
            Report(assignments=assignments, values=acts.evaluations(loss=1.0)),
        )
    found = points.load(session, experiment, assignments=True)

    lines = parallel.lines(found, experiment.spec)
    region = failures.find(session, experiment, found)

    by_name = {axis.name: axis for axis in lines.axes}
    assert by_name["model"].kind == "conditional"
    assert np.isnan(by_name["depth"].values[0])
    assert by_name["depth"].values[1] == 3
    assert set(region.parameters) == {"model", "depth", "x"}


def test_a_sample_keeps_the_frontier_and_spreads_the_rest() -> None:
    states = np.array(["dominated"] * 500, dtype="<U10")
    states[[3, 70, 499]] = "efficient"

    rows = parallel.sample(states, 100)

    assert len(rows) == 100
    assert {3, 70, 499} <= set(rows.tolist())
    assert np.diff(rows).max() <= 12


def test_the_rule_is_found_and_counted(session: Session, principal: Principal) -> None:
    experiment = acts.create(session, principal, **SPACE)
    add_many(session, experiment, 60)
    found = points.load(session, experiment, assignments=True)

    region = failures.find(session, experiment, found)

    assert region.rule is not None
    told = {(c.name, c.relation) for c in region.rule.conditions}
    assert told == {("kind", "is"), ("x", "above")}
    assert region.rule.failed_outside == 0
    assert region.rule.failed_inside == region.rule.inside == int(found.failed.sum())
    assert {region.x.name, region.y.name if region.y else ""} == {"kind", "x"}
    assert region.grid is not None
    at = region.grid
    kinds, xs = (at.x, at.y) if region.x.name == "kind" else (at.y, at.x)
    chance = at.probability.T if region.x.name == "kind" else at.probability
    assert kinds == ("a", "b", "c")
    assert xs[0] == pytest.approx(0)
    assert xs[-1] == pytest.approx(1)
    assert chance[1, -1] < 0.5 < chance[0, -1]


def test_the_pair_can_be_chosen(session: Session, principal: Principal) -> None:
    experiment = acts.create(session, principal, **SPACE)
    add_many(session, experiment, 12)
    found = points.load(session, experiment, assignments=True)

    region = failures.find(session, experiment, found, x="rate", y="x")

    assert region.x.name == "rate"
    assert region.y is not None
    assert region.y.name == "x"
    with pytest.raises(BadInput, match="no parameter 'nothing'"):
        failures.find(session, experiment, found, x="nothing")
    with pytest.raises(BadInput, match="another parameter"):
        failures.find(session, experiment, found, x="x", y="x")


def test_without_failures_there_is_no_map_and_no_rule(
    session: Session, principal: Principal
) -> None:
    experiment = acts.create(session, principal, **SPACE)
    add(session, experiment, 0.2)
    found = points.load(session, experiment, assignments=True)

    region = failures.find(session, experiment, found)

    assert region.grid is None
    assert region.rule is None
    assert region.avoided.count is None


def test_avoided_failures_are_counted_by_who_suggested() -> None:
    assert failures.Avoided(design=10, design_failed=4, model=50, model_failed=3).count == 17.0
    assert failures.Avoided(design=0, design_failed=0, model=50, model_failed=3).count is None


def test_without_a_fitted_model_nothing_is_predicted(
    session: Session, principal: Principal
) -> None:
    experiment = acts.create(session, principal, **SPACE)
    add_many(session, experiment, 6)

    found = predictions.left_out(experiment, points.load(session, experiment, assignments=True))

    assert found == {}


def test_choices_are_weighed_against_a_baseline(session: Session, principal: Principal) -> None:
    experiment = acts.create(session, principal, **SPACE)
    base, other = add(session, experiment, 0.5), add(session, experiment, 0.6, kind="c")

    (found,) = choice.weigh(session, experiment, [other], baseline=base)

    cost, gain = found.deltas
    assert (cost.metric.key, cost.better, gain.better) == ("cost", False, True)
    assert gain.change == pytest.approx(0.1)
    assert found.differs == {"x", "kind"}


def test_only_observations_of_the_experiment_are_weighed(
    session: Session, principal: Principal
) -> None:
    experiment = acts.create(session, principal, **SPACE)
    elsewhere = acts.create(session, principal, **SPACE)
    stranger = add(session, elsewhere, 0.5)

    with pytest.raises(NotFound):
        choice.weigh(session, experiment, [stranger])


def test_configurations_are_exported() -> None:
    assignments: dict[str, Value] = {"rate": 1e-05, "kind": "a b", "epochs": 3, "no": "yes"}

    assert json.loads(choice.as_json(assignments)) == assignments
    assert choice.as_yaml(assignments) == 'rate: 1.0e-05\nkind: "a b"\nepochs: 3\n"no": "yes"\n'
    assert shlex.split(choice.as_flags(assignments)) == [
        "--rate=1e-05",
        "--kind=a b",
        "--epochs=3",
        "--no=yes",
    ]

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import METRICS, PARAMETERS
from tests.conftest import Account
from tests.service.acts import as_developer, create, finish_design, ready, report, waiting
from tradeoff.engine import design
from tradeoff.errors import BadInput
from tradeoff.service import experiments, suggestions
from tradeoff.service.access import Principal
from tradeoff.store import experiments as stored
from tradeoff.store import tables
from tradeoff.store.database import Session
from tradeoff.store.drafts import Draft

X: dict[str, Any] = {"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}
Y: dict[str, Any] = {"name": "y", "type": "double", "bounds": {"min": 0, "max": 1}}
N: dict[str, Any] = {"name": "n", "type": "int", "bounds": {"min": 0, "max": 9}}
M: dict[str, Any] = {"name": "m", "type": "int", "bounds": {"min": 0, "max": 9}}
COLOURS: dict[str, Any] = {
    "name": "c",
    "type": "categorical",
    "categorical_values": ["red", "green"],
}


def below(first: str, second: str, threshold: float, kind: str = "less_than") -> dict[str, Any]:
    terms = [{"name": name, "weight": 1} for name in (first, second)]
    return {"type": kind, "threshold": threshold, "terms": terms}


@pytest.mark.parametrize(
    ("parameters", "constraints"),
    [
        ([X, Y], [below("x", "y", -1)]),
        ([X, Y], [below("x", "y", 0)]),  # one point is no interior
        ([X, Y], [below("x", "y", 1), below("x", "y", 1, "greater_than")]),  # nor is a line
        ([X, Y], [below("x", "y", 0.5), below("x", "y", 0.6, "greater_than")]),
        ([N, M], [below("n", "m", -1)]),
    ],
)
def test_constraints_that_leave_no_room_are_refused(
    session: Session, principal: Principal, parameters: Any, constraints: Any
) -> None:
    with pytest.raises(BadInput, match="linear_constraints: no configuration"):
        create(session, principal, parameters=parameters, linear_constraints=constraints)


@pytest.mark.parametrize(
    ("parameters", "constraints"),
    [
        ([X, Y], [below("x", "y", 0.001)]),
        ([X, Y], [below("x", "y", 0.501), below("x", "y", 0.5, "greater_than")]),
        ([N, M], [below("n", "m", 0)]),  # of integers one point is enough
        ([N, M], [below("n", "m", 5), below("n", "m", 5, "greater_than")]),
    ],
)
def test_constraints_that_leave_a_little_room_are_accepted(
    session: Session, principal: Principal, parameters: Any, constraints: Any
) -> None:
    experiment = create(session, principal, parameters=parameters, linear_constraints=constraints)

    for row in ready(session, experiment):
        experiment.spec.check_assignments(row.assignments)


def test_a_new_experiment_has_its_first_suggestions_ready(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal, parameters=PARAMETERS)

    rows = ready(session, experiment)
    assert len(rows) >= design.initial_size(experiment.spec)
    assert {row.source for row in rows} == {"space_filling"}
    assert len({row.assignments_hash for row in rows}) == len(rows)
    assert (experiment.state, experiment.revision, experiment.observation_count) == ("active", 0, 0)
    assert waiting(session) == 0


def test_what_is_drawn_when_asked_for_has_no_buffer(
    session: Session, principal: Principal, shared_account: Account
) -> None:
    grid = {"name": "g", "type": "int", "grid": [1, 2]}
    developer = as_developer(session, shared_account.development_token)

    for experiment in (
        create(session, principal, type="random"),
        create(session, principal, type="grid", parameters=[grid]),
        create(session, developer),
    ):
        assert ready(session, experiment) == []


def test_a_grid_has_its_size_as_budget(session: Session, principal: Principal) -> None:
    grids = [{"name": f"g{i}", "type": "int", "grid": [1, 2, 3]} for i in range(2)]

    experiment = create(session, principal, type="grid", parameters=grids)

    assert experiment.spec.observation_budget == 9


def test_seeds_differ(session: Session, principal: Principal) -> None:
    seeds = {create(session, principal).seed for _ in range(5)}

    assert len(seeds) == 5
    assert all(0 <= seed < 2**31 for seed in seeds)


def change(session: Session, experiment: tables.Experiment, **changes: Any) -> None:
    experiments.change(session, experiment, changes)
    session.expire(experiment)  # what is asserted below is what was stored


def test_what_was_not_given_stays(session: Session, principal: Principal) -> None:
    experiment = create(session, principal, observation_budget=9, parallel_bandwidth=2)
    before = experiment.spec
    change(session, experiment, metadata={"a": 1})

    change(session, experiment, name="new")

    assert (experiment.name, experiment.metadata_) == ("new", {"a": 1})
    assert experiment.spec == before
    assert experiment.revision == 0
    change(session, experiment, metadata=None)
    assert experiment.metadata_ is None


def test_an_experiment_is_deleted_and_revived(session: Session, principal: Principal) -> None:
    experiment = create(session, principal)
    experiments.delete(session, experiment)
    with pytest.raises(BadInput, match="deleted"):
        suggestions.serve(session, experiment, accept_stale=True)
    with pytest.raises(BadInput, match="deleted"):
        suggestions.add(session, experiment, {"x": 0.5})
    with pytest.raises(BadInput, match="deleted"):
        report(session, experiment, x=0.5)

    change(session, experiment, state="active")

    assert suggestions.serve(session, experiment, accept_stale=True) is not None


def test_budget_and_bandwidth_change(session: Session, principal: Principal) -> None:
    experiment = create(session, principal, observation_budget=9)

    change(session, experiment, observation_budget=20, parallel_bandwidth=3)
    assert (experiment.spec.observation_budget, experiment.spec.parallel_bandwidth) == (20, 3)

    change(session, experiment, observation_budget=None, parallel_bandwidth=None)
    assert (experiment.spec.observation_budget, experiment.spec.parallel_bandwidth) == (20, None)


@pytest.mark.parametrize(
    ("fields", "changes", "message"),
    [
        ({}, {"parallel_bandwidth": 0}, "parallel_bandwidth"),
        ({}, {"parallel_bandwidth": 10_001}, "parallel_bandwidth"),
        ({}, {"observation_budget": 0}, "observation_budget"),
        ({"metrics": METRICS, "observation_budget": 9}, {"observation_budget": 20}, "budget"),
        ({}, {"metrics": []}, "metrics: list all 1"),
        ({}, {"metrics": [{"name": "loss", "threshold": 1}]}, "threshold"),
        ({}, {"metrics": "loss"}, "metrics: must be a list"),
        ({}, {"parameters": []}, "parameters"),
        ({}, {"parameters": None}, "parameters: must be a list"),
        ({}, {"parameters": [X, Y]}, "parameters[1].default_value: required"),
        ({}, {"parameters": [{**X, "type": "int"}]}, "parameters[0].type"),
        (
            {"parameters": [X, Y], "linear_constraints": [below("x", "y", 1)]},
            {"parameters": [X, Y]},
            "parameters: cannot change",
        ),
    ],
)
def test_changes_that_are_refused_change_nothing(
    session: Session, principal: Principal, fields: Any, changes: Any, message: str
) -> None:
    experiment = create(session, principal, **fields)
    before = experiment.spec

    with pytest.raises(BadInput) as caught:
        experiments.change(session, experiment, changes)

    assert message in caught.value.message
    session.expire(experiment)
    assert experiment.spec == before
    assert experiment.revision == 0


def test_a_new_threshold_makes_the_model_search_anew(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal, metrics=METRICS, observation_budget=9)

    change(
        session,
        experiment,
        metrics=[{"name": "accuracy", "threshold": 0.5}, {"name": "inference_ms"}],
    )

    assert [metric.threshold for metric in experiment.spec.metrics] == [0.5, None]
    assert experiment.revision == 1
    assert waiting(session) == 1


def test_new_parameters_drop_what_was_prepared(session: Session, principal: Principal) -> None:
    experiment = create(session, principal)
    finish_design(session, experiment)
    epoch = stored.begin_refresh(session, experiment.id)
    session.expire(experiment)
    suggestions.fill_buffer(
        session,
        experiment.id,
        [Draft({"x": 0.9}, "model")],
        revision=experiment.revision,
        observations_seen=6,
    )

    change(session, experiment, parameters=[{"name": "x", "bounds": {"min": 0, "max": 0.5}}])

    assert ready(session, experiment) == []
    assert experiment.engine_state is None
    assert waiting(session) == 1
    # A refresh that was at work knows the old space; its result is not wanted.
    assert not stored.update_engine_state(session, experiment.id, epoch=epoch, state={})


def test_new_parameters_during_the_design_are_drawn_from_the_new_space(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal)

    change(
        session,
        experiment,
        parameters=[
            {"name": "x", "bounds": {"min": 0, "max": 0.1}},
            {**N, "default_value": 0},
        ],
    )

    for _ in range(4):
        row = suggestions.serve(session, experiment, accept_stale=False)
        assert row is not None
        assert 0 <= row.assignments["x"] <= 0.1
        assert 0 <= row.assignments["n"] <= 9


def test_removed_categories_come_back_under_their_number(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal, parameters=[X, COLOURS])
    change(session, experiment, parameters=[X])
    revived = {**COLOURS, "categorical_values": ["blue", "green"], "default_value": "blue"}
    change(session, experiment, parameters=[X, revived])

    values = experiment.spec.parameters[0].categorical_values
    assert values is not None
    assert {value.name: value.enum_index for value in values} == {"green": 2, "blue": 3}


def test_every_change_is_an_update(session: Session, principal: Principal) -> None:
    experiment = create(session, principal)
    session.connection().exec_driver_sql("update experiments set updated = 'epoch'")
    session.expire(experiment)

    change(session, experiment, name="new")

    assert experiment.updated.year > 2000

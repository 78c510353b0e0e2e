from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func

from tests.conftest import Account
from tests.service.acts import (
    as_developer,
    clear_queue,
    create,
    finish_design,
    ready,
    report,
    waiting,
)
from tradeoff.engine import design
from tradeoff.errors import BadInput
from tradeoff.service import observations, suggestions
from tradeoff.service.access import Principal
from tradeoff.store import awaited, tables
from tradeoff.store import suggestions as stored
from tradeoff.store.database import Session
from tradeoff.store.drafts import Draft
from tradeoff.store.opening import Asker

LETTERS = [{"name": name, "type": "categorical", "categorical_values": ["p", "q"]} for name in "ab"]
GRID: dict[str, Any] = {
    "type": "grid",
    "parameters": [
        {"name": "a", "type": "int", "grid": [1, 2]},
        {"name": "b", "type": "categorical", "categorical_values": ["p", "q"]},
    ],
}


def ask(
    session: Session, experiment: tables.Experiment, *, accept_stale: bool = False
) -> tables.Suggestion | None:
    return suggestions.serve(session, experiment, accept_stale=accept_stale)


def must(session: Session, experiment: tables.Experiment) -> tables.Suggestion:
    row = ask(session, experiment, accept_stale=True)
    assert row is not None
    return row


def refill(session: Session, experiment: tables.Experiment, *numbers: float, behind: int) -> None:
    """A buffer that knows all but the last `behind` observations."""
    suggestions.fill_buffer(
        session,
        experiment.id,
        [Draft({"x": number}, "model") for number in numbers],
        revision=experiment.revision - behind,
        observations_seen=experiment.observation_count - behind,
    )


def modelled(session: Session, principal: Principal, **fields: Any) -> tables.Experiment:
    experiment = create(session, principal, **fields)
    finish_design(session, experiment)
    return experiment


def open_many(session: Session, experiment: tables.Experiment, count: int) -> None:
    for number in range(count):
        suggestions.add(session, experiment, {"x": 100 + number})


def test_the_design_is_served_and_goes_on_without_a_worker(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal)
    prepared = [row.assignments for row in ready(session, experiment)]

    rows = [ask(session, experiment) for _ in range(len(prepared) + 5)]

    assert [row.assignments for row in rows[: len(prepared)] if row is not None] == prepared
    assert None not in rows
    assert {row.source for row in rows if row is not None} == {"space_filling"}
    assert len({row.assignments["x"] for row in rows if row is not None}) == len(rows)
    assert waiting(session) == 0


def test_the_design_is_served_however_many_observations_it_knows(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal)
    for _ in range(design.initial_size(experiment.spec) - 1):
        report(session, experiment, suggestion=must(session, experiment))

    assert suggestions.is_initial(experiment)
    assert ask(session, experiment) is not None


def test_failures_alone_do_not_end_the_design(session: Session, principal: Principal) -> None:
    experiment = create(session, principal)
    for number in range(20):
        report(session, experiment, x=number / 20, failed=True)

    assert suggestions.is_initial(experiment)
    row = ask(session, experiment)
    assert row is not None
    assert row.source == "space_filling"


@pytest.mark.parametrize(
    ("bandwidth", "opened", "behind", "served"),
    [
        # a sequential loop gets what knows its last result, and nothing else
        (None, 0, 0, True),
        (None, 0, 1, False),
        (None, 1, 0, True),
        (None, 1, 1, False),
        (1, 0, 1, False),
        # a fleet gets what knows all but the results that its others brought meanwhile
        (None, 2, 1, True),
        (None, 2, 2, False),
        (1, 4, 3, True),
        (1, 4, 4, False),
        (3, 0, 2, True),
        (3, 0, 3, False),
        (3, 2, 2, True),
        (3, 5, 4, True),
        (3, 5, 5, False),
    ],
)
def test_what_is_fresh_enough(
    session: Session,
    principal: Principal,
    bandwidth: int | None,
    opened: int,
    behind: int,
    served: bool,
) -> None:
    experiment = modelled(session, principal, parallel_bandwidth=bandwidth)
    open_many(session, experiment, opened)
    refill(session, experiment, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, behind=behind)

    row = ask(session, experiment)

    assert (row is not None) is served
    if row is not None:
        assert (row.source, row.assignments) == ("model", {"x": 0.1})
        assert waiting(session) == 0
    else:
        assert waiting(session) == 1


def test_abandoned_suggestions_do_not_count_as_open(session: Session, principal: Principal) -> None:
    """Old clients report by assignments and leave every suggestion open."""
    experiment = modelled(session, principal)
    for number in range(3):
        suggestions.add(session, experiment, {"x": number})
        report(session, experiment, x=number)
    open_many(session, experiment, 3)
    session.query(tables.Suggestion).filter_by(state="open", experiment_id=experiment.id).update(
        {"opened": func.now() - awaited.OPEN_FOR}
    )
    refill(session, experiment, 0.1, behind=1)

    assert ask(session, experiment) is None


def test_nothing_ready_brings_a_refresh_and_then_a_staler_answer(
    session: Session, principal: Principal
) -> None:
    experiment = modelled(session, principal)
    refill(session, experiment, 0.1, 0.2, behind=1)

    assert ask(session, experiment) is None
    assert waiting(session) == 1
    row = ask(session, experiment, accept_stale=True)
    assert row is not None
    assert (row.source, row.assignments, row.observations_seen) == ("model", {"x": 0.1}, 5)
    assert waiting(session) == 1


def test_with_nothing_at_all_a_point_is_drawn(session: Session, principal: Principal) -> None:
    experiment = modelled(session, principal)

    rows = [must(session, experiment) for _ in range(3)]

    assert {row.source for row in rows} == {"space_filling"}
    assert len({row.assignments["x"] for row in rows}) == 3
    assert waiting(session) == 1


def test_a_buffer_of_tried_points_brings_a_refresh(session: Session, principal: Principal) -> None:
    """Ready and fresh, but of no use: waiting for them would be in vain."""
    experiment = modelled(session, principal)
    suggestions.add(session, experiment, {"x": 0.7})
    refill(session, experiment, 0.01, 0.02, 0.7, behind=0)  # observed twice, and open

    assert ask(session, experiment) is None
    assert waiting(session) == 1


def test_a_low_buffer_is_refilled_in_time(session: Session, principal: Principal) -> None:
    experiment = modelled(session, principal, parallel_bandwidth=3)
    refill(session, experiment, 0.11, 0.12, 0.13, 0.14, behind=0)

    ask(session, experiment)
    assert waiting(session) == 0
    ask(session, experiment)
    assert waiting(session) == 1


def test_asking_keeps_the_metadata(session: Session, principal: Principal) -> None:
    experiment = create(session, principal)

    row = suggestions.serve(
        session, experiment, asker=Asker(metadata={"host": "a"}), accept_stale=False
    )

    assert row is not None
    assert row.metadata_ == {"host": "a"}
    suggestions.change_metadata(session, row, {"host": "b"})
    assert row.metadata_ == {"host": "b"}
    suggestions.change_metadata(session, row, None)
    session.expire(row)
    assert row.metadata_ is None


def test_random_and_development_experiments_get_random_points(
    session: Session, principal: Principal, shared_account: Account
) -> None:
    developer = as_developer(session, shared_account.development_token)
    for experiment in (create(session, principal, type="random"), create(session, developer)):
        for number in range(8):
            report(session, experiment, x=number / 10)

        rows = [ask(session, experiment) for _ in range(5)]

        assert {row and row.source for row in rows} == {"random"}
        assert len({row.assignments["x"] for row in rows if row is not None}) == 5
    assert waiting(session) == 0


def test_a_grid_is_walked_with_the_first_parameter_fastest_and_wraps_around(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal, **GRID)

    rows = [ask(session, experiment) for _ in range(6)]

    found = [(row.assignments["a"], row.assignments["b"]) for row in rows if row is not None]
    assert found == [(1, "p"), (2, "p"), (1, "q"), (2, "q"), (1, "p"), (2, "p")]
    assert {row and row.source for row in rows} == {"grid"}


def test_a_grid_counts_observations_and_open_suggestions(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal, **GRID)
    found = []

    for _ in range(5):
        row = must(session, experiment)
        found.append((row.assignments["a"], row.assignments["b"]))
        report(session, experiment, suggestion=row)

    assert found == [(1, "p"), (2, "p"), (1, "q"), (2, "q"), (1, "p")]


def test_a_grid_point_that_was_deleted_comes_again(session: Session, principal: Principal) -> None:
    experiment = create(session, principal, **GRID)
    first = must(session, experiment)
    suggestions.delete(session, first)

    assert must(session, experiment).assignments == first.assignments


def test_a_grid_passes_over_what_was_reported_by_hand(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal, **GRID)
    for a, b in ((2, "p"), (1, "p")):
        observations.report(
            session,
            experiment,
            observations.Report(assignments={"a": a, "b": b}, failed=True),
        )

    found = [must(session, experiment).assignments for _ in range(2)]

    assert found == [{"a": 1, "b": "q"}, {"a": 2, "b": "q"}]


@pytest.mark.parametrize("kind", ["offline", "random"])
def test_a_small_space_is_used_up_before_it_repeats(
    session: Session, principal: Principal, kind: str
) -> None:
    experiment = create(session, principal, type=kind, parameters=LETTERS)

    rows = [ask(session, experiment) for _ in range(7)]

    found = [tuple(row.assignments.values()) for row in rows if row is not None]
    assert len(found) == 7
    assert len(set(found[:4])) == 4
    assert [bool((row.explanation or {}).get("space_exhausted")) for row in rows if row] == (
        [False] * 4 + [True] * 3
    )


def test_an_observed_small_space_gets_answers_without_waiting(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal, parameters=LETTERS)
    for _ in range(8):
        report(session, experiment, suggestion=must(session, experiment))
    clear_queue(session)

    assert not suggestions.is_initial(experiment)
    row = suggestions.serve(session, experiment, accept_stale=False)

    assert row is not None
    assert row.state == "open"
    assert row.explanation == {"space_exhausted": True}
    assert waiting(session) == 0


def test_a_user_opens_suggestions_of_their_own(session: Session, principal: Principal) -> None:
    experiment = create(session, principal)

    row = suggestions.add(session, experiment, {"x": 7}, asker=Asker(metadata={"by": "me"}))

    assert (row.source, row.state, row.assignments) == ("user", "open", {"x": 7.0})
    assert row.metadata_ == {"by": "me"}


def test_a_user_may_open_the_same_twice(session: Session, principal: Principal) -> None:
    experiment = create(session, principal)
    served = must(session, experiment)

    rows = [suggestions.add(session, experiment, served.assignments) for _ in range(3)]

    assert len({row.id for row in [served, *rows]}) == 4
    assert [row.repeat for row in rows] == [1, 2, 3]


def test_what_a_user_opened_is_not_suggested_again(session: Session, principal: Principal) -> None:
    experiment = create(session, principal)
    first = ready(session, experiment)[0].assignments
    suggestions.add(session, experiment, first)

    assert must(session, experiment).assignments != first


@pytest.mark.parametrize(
    "assignments", [{}, {"x": "1"}, {"x": None}, {"x": 1, "y": 1}, {"x": True}, {"y": 1}]
)
def test_assignments_that_do_not_fit_are_refused(
    session: Session, principal: Principal, assignments: Any
) -> None:
    experiment = create(session, principal)

    with pytest.raises(BadInput, match=r"^assignments\."):
        suggestions.add(session, experiment, assignments)

    assert awaited.count_handed_out(session, experiment.id) == 0


@pytest.mark.parametrize(("open_only", "left"), [(True, ["closed"]), (False, [])])
def test_all_or_the_open_ones_are_deleted(
    session: Session, principal: Principal, open_only: bool, left: list[str]
) -> None:
    experiment = create(session, principal)
    prepared = len(ready(session, experiment))
    report(session, experiment, suggestion=must(session, experiment))
    must(session, experiment)

    suggestions.delete_all(session, experiment, open_only=open_only)

    session.expire_all()
    rows = session.scalars(stored.listing(experiment.id)).all()
    assert [row.state for row in rows] == left
    assert len(ready(session, experiment)) == prepared - 2


def test_the_buffer_follows_the_demand(session: Session, principal: Principal) -> None:
    experiment = modelled(session, principal)
    session.query(tables.Suggestion).filter_by(experiment_id=experiment.id).update(
        {"opened": func.now() - awaited.OPEN_FOR}
    )
    assert suggestions.buffer_size(session, experiment) == suggestions.MIN_BUFFER

    open_many(session, experiment, 10)
    assert suggestions.buffer_size(session, experiment) == 20
    open_many(session, experiment, 90)
    assert suggestions.buffer_size(session, experiment) == suggestions.MAX_BUFFER


def test_the_buffer_holds_twice_the_bandwidth(session: Session, principal: Principal) -> None:
    experiment = create(session, principal, parallel_bandwidth=7)

    assert suggestions.buffer_size(session, experiment) == 14

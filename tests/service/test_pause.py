"""An experiment that is paused: nothing new goes out, everything comes in."""

from __future__ import annotations

import pytest

from tests.service.acts import create, finish_design, ready, report, waiting
from tradeoff.errors import Paused
from tradeoff.service import experiments, suggestions
from tradeoff.service.access import Principal
from tradeoff.store.database import Session
from tradeoff.store.opening import Asker


def test_nothing_new_is_handed_out_and_reports_are_taken(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal)
    held = suggestions.serve(session, experiment, accept_stale=True)
    experiments.change(session, experiment, {"paused": True})
    buffered = len(ready(session, experiment))

    for accept_stale in (False, True):
        with pytest.raises(Paused, match=f"Experiment {experiment.id} is paused"):
            suggestions.serve(session, experiment, accept_stale=accept_stale)
    report(session, experiment, suggestion=held)
    report(session, experiment, x=0.3)

    assert experiment.observation_count == 2
    assert len(ready(session, experiment)) == buffered > 0


def test_a_worker_gets_back_what_it_holds(session: Session, principal: Principal) -> None:
    experiment = create(session, principal)
    worker = Asker(worker_id="node-3")
    held = suggestions.serve(session, experiment, asker=worker, accept_stale=True)
    experiments.change(session, experiment, {"paused": True})

    again = suggestions.serve(session, experiment, asker=worker, accept_stale=True)

    assert held is not None
    assert again is held


def test_ones_own_configuration_can_be_opened(session: Session, principal: Principal) -> None:
    experiment = create(session, principal)
    experiments.change(session, experiment, {"paused": True})

    assert suggestions.add(session, experiment, {"x": 0.5}).source == "user"


def test_going_on_has_the_model_see_what_came_meanwhile(
    session: Session, principal: Principal
) -> None:
    experiment = create(session, principal)
    finish_design(session, experiment)
    experiments.change(session, experiment, {"paused": True})
    assert waiting(session) == 0

    experiments.change(session, experiment, {"name": "still paused"})
    assert waiting(session) == 0
    experiments.change(session, experiment, {"paused": False})

    assert waiting(session) == 1
    assert suggestions.serve(session, experiment, accept_stale=True) is not None


def test_an_experiment_may_begin_paused(session: Session, principal: Principal) -> None:
    experiment = experiments.create(
        session,
        principal,
        client_id=principal.client_id,
        name="later",
        spec=create(session, principal).spec,
        metadata=None,
        paused=True,
    )

    with pytest.raises(Paused):
        suggestions.serve(session, experiment, accept_stale=True)

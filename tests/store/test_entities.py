from __future__ import annotations

import gc
from typing import Any

import pytest
from sqlalchemy import inspect, select, text

from tests.builders import make_experiment
from tests.conftest import Account
from tradeoff.store import experiments
from tradeoff.store.database import Database, Session
from tradeoff.store.entities import Form
from tradeoff.store.tables import Experiment

FORM = Form(Experiment)


@pytest.fixture
def experiment_id(shared_database: Database, shared_account: Account) -> int:
    return make_experiment(shared_database, shared_account)


def values(session: Session, experiment_id: int) -> Any:
    query = f"select {FORM.select('e')} from experiments e where id = {experiment_id}"
    cursor = session.connection().connection.cursor()
    cursor.execute(query)
    (row,) = cursor.fetchall()
    return row


def test_an_entity_is_what_sqlalchemy_would_make_of_it(
    shared_database: Database, session: Session, experiment_id: int
) -> None:
    made = FORM.load(session, values(session, experiment_id))

    with shared_database.transaction() as other:
        usual = other.scalars(select(Experiment).where(Experiment.id == experiment_id)).one()
        assert {name: getattr(made, name) for name in FORM.names} == {
            name: getattr(usual, name) for name in FORM.names
        }
    assert inspect(made).persistent
    assert not session.dirty
    assert experiments.get(session, experiment_id) is made
    assert FORM.load(session, values(session, experiment_id)) is made


def test_what_was_left_out_is_read_when_it_is_asked_for_and_is_no_change(
    shared_database: Database, session: Session, experiment_id: int
) -> None:
    brief = Form(Experiment, {"id", "state"})
    query = f"select {brief.select('e')} from experiments e where id = {experiment_id}"
    cursor = session.connection().connection.cursor()
    cursor.execute(query)
    (row,) = cursor.fetchall()
    assert len(row) == len(brief) == 2

    made = brief.load(session, row)

    assert not session.dirty
    with shared_database.transaction() as other:
        usual = other.scalars(select(Experiment).where(Experiment.id == experiment_id)).one()
        assert {name: getattr(made, name) for name in FORM.names} == {
            name: getattr(usual, name) for name in FORM.names
        }
    assert not session.dirty


def test_changes_of_it_are_kept(shared_database: Database, experiment_id: int) -> None:
    with shared_database.transaction() as session:
        made = FORM.load(session, values(session, experiment_id))
        made.name = "another"
        made.engine_state = {"seed": 1}
        del made
        gc.collect()  # the session holds what has changed, and nothing else

    with shared_database.transaction() as session:
        row = experiments.get(session, experiment_id)
        assert (row.name, row.engine_state) == ("another", {"seed": 1})


def test_what_was_left_out_is_read_when_it_is_asked_for(
    session: Session, experiment_id: int
) -> None:
    session.execute(text("""update experiments set engine_state = '{"seed": 7}'"""))

    made = FORM.load(session, values(session, experiment_id))

    assert "engine_state" not in made.__dict__
    assert made.engine_state == {"seed": 7}


def test_it_is_read_anew_and_let_go_as_any_other(session: Session, experiment_id: int) -> None:
    made = FORM.load(session, values(session, experiment_id))
    session.execute(text("update experiments set revision = 42"))

    session.refresh(made)
    assert made.revision == 42
    session.expire(made)
    assert made.revision == 42
    del made
    gc.collect()
    assert not list(session.identity_map.keys())

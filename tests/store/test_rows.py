"""Reads of experiments, observations, accounts and history."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from sqlalchemy import func, select, text

from tests.builders import insert_observations, make_experiment, make_spec
from tests.conftest import Account
from tradeoff.errors import NotFound
from tradeoff.spec import history as spec_history
from tradeoff.spec.metrics import Metric
from tradeoff.store import accounts, experiments, findings, history, observations, opening
from tradeoff.store.database import Database, Session
from tradeoff.store.drafts import Draft, hash_assignments
from tradeoff.store.opening import Asker
from tradeoff.store.tables import Experiment, Observation, Suggestion


@pytest.fixture
def experiment_id(shared_database: Database, shared_account: Account) -> int:
    return make_experiment(shared_database, shared_account)


def insert(
    session: Session, client_id: int, name: str = "a", *, development: bool = False
) -> Experiment:
    return experiments.insert(
        session,
        client_id=client_id,
        name=name,
        spec=make_spec(),
        metadata=None,
        development=development,
        seed=1,
    )


def keep(
    session: Session, experiment_id: int, loss: float | None, x: float = 0.0, **entry: Any
) -> Observation:
    values = {} if loss is None else {"loss": {"value": loss, "value_stddev": None, **entry}}
    return insert_observations(
        session,
        [
            {
                "experiment_id": experiment_id,
                "assignments": {"x": x},
                "assignments_hash": hash_assignments({"x": x}),
                "values": values,
                "failed": loss is None,
            }
        ],
    )[0]


def test_a_spec_comes_back_as_it_went_in(session: Session, shared_account: Account) -> None:
    """Numbers too that Postgres writes in its own way."""
    spec = make_spec(
        parameters=[
            {"name": "x", "type": "double", "bounds": {"min": -1e150, "max": 1e150}},
            {"name": "y", "type": "double", "bounds": {"min": 1e-30, "max": 0.1 + 0.2}},
            {"name": "z", "type": "int", "bounds": {"min": 0, "max": 5}, "default_value": 3.0},
        ]
    )
    row = experiments.insert(
        session,
        client_id=shared_account.client_id,
        name="a",
        spec=spec,
        metadata=None,
        development=False,
        seed=1,
    )
    row_id = row.id
    session.expire_all()

    assert experiments.get(session, row_id).spec == spec
    assert session.scalar(select(Experiment.spec).where(Experiment.id == row_id)) == spec


def test_an_unknown_experiment_is_not_found(session: Session) -> None:
    with pytest.raises(NotFound, match="There is no experiment 4611686018427387904"):
        experiments.get(session, 2**62)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["a_b", "AXB", "dev"]),
        ({"state": "deleted"}, ["old"]),
        ({"state": "all"}, ["a_b", "AXB", "dev", "old"]),
        ({"search": "a_b"}, ["a_b"]),  # not a pattern
        ({"search": "xb"}, ["AXB"]),
        ({"search": "%"}, []),
        ({"search": ""}, ["a_b", "AXB", "dev"]),
        ({"development": True}, ["dev"]),
        ({"development": False}, ["a_b", "AXB"]),
        ({"period_start": 1}, []),
        ({"period_end": -1}, []),
        ({"period_start": -1, "period_end": 1}, ["a_b", "AXB", "dev"]),
    ],
)
def test_lists_of_experiments(
    session: Session, shared_account: Account, filters: dict[str, Any], found: list[str]
) -> None:
    other = accounts.insert_client(session, name="other")
    client = accounts.insert_client(session, name="own")
    insert(session, other.id, "foreign")
    rows = [insert(session, client.id, name) for name in ("a_b", "AXB")]
    rows.append(insert(session, client.id, "dev", development=True))
    rows.append(insert(session, client.id, "old"))
    rows[-1].state = "deleted"
    session.flush()
    now = session.execute(select(func.now())).scalar_one()
    for key in ("period_start", "period_end"):
        if key in filters:
            filters = {**filters, key: now + datetime.timedelta(hours=filters[key])}

    query = experiments.listing(client.id, **filters).order_by(Experiment.id)

    assert [row.name for row in session.scalars(query)] == found


def test_a_list_can_be_of_one_experiment(session: Session, shared_account: Account) -> None:
    client = accounts.insert_client(session, name="own")
    first, _ = insert(session, client.id), insert(session, client.id)

    query = experiments.listing(client.id, experiment_id=first.id)

    assert session.scalars(query).all() == [first]


def test_points_of_the_design_are_used_up_once(session: Session, experiment_id: int) -> None:
    start = experiments.advance_design(session, experiment_id, 3)

    assert experiments.advance_design(session, experiment_id, 1) == start + 3
    assert experiments.advance_design(session, experiment_id, 1) == start + 4


def test_only_the_newest_refresh_may_keep_its_state(session: Session, experiment_id: int) -> None:
    old = experiments.begin_refresh(session, experiment_id)
    new = experiments.begin_refresh(session, experiment_id)

    assert not experiments.update_engine_state(session, experiment_id, epoch=old, state={"a": 1})
    assert experiments.update_engine_state(session, experiment_id, epoch=new, state={"a": 2})
    session.expire_all()
    row = experiments.get(session, experiment_id)
    assert row.engine_state == {"a": 2}
    assert row.refreshed is not None


def test_forgetting_the_model_fences_off_a_refresh_at_work(
    session: Session, experiment_id: int
) -> None:
    epoch = experiments.begin_refresh(session, experiment_id)
    row = experiments.get(session, experiment_id)
    experiments.lock(session, row)

    experiments.forget_model(session, row)

    assert not experiments.update_engine_state(session, experiment_id, epoch=epoch, state={})
    left = session.query(Suggestion).filter_by(experiment_id=experiment_id, state="ready")
    assert left.count() == 0


def test_observations_are_kept_in_the_order_given(session: Session, experiment_id: int) -> None:
    rows = [keep(session, experiment_id, loss) for loss in (3.0, 1.0, 2.0)]

    assert [row.id for row in rows] == sorted(row.id for row in rows)
    assert rows[0].created is not None


@pytest.mark.parametrize("missing", ["unknown", "deleted", "foreign"])
def test_only_ones_own_observations_can_be_got(
    session: Session, experiment_id: int, missing: str
) -> None:
    row = keep(session, experiment_id, 1)
    row.deleted = missing == "deleted"
    asked = 2**62 if missing == "unknown" else row.id
    within = experiment_id + (missing == "foreign")

    with pytest.raises(NotFound) as caught:
        observations.get(session, within, asked)

    assert caught.value.message == f"There is no observation {asked} in this experiment"


def test_the_ends_of_several_experiments(
    session: Session, shared_database: Database, shared_account: Account
) -> None:
    one, two, none = (make_experiment(shared_database, shared_account) for _ in range(3))
    rows = [keep(session, which, 1) for which in (one, two, one, one, two)]
    rows[0].deleted = True
    session.flush()

    ends = observations.list_ends(session, [one, two, none])

    assert ends == {one: (rows[2].id, rows[3].id), two: (rows[1].id, rows[4].id)}


def test_the_best_of_several_experiments(
    session: Session, shared_database: Database, shared_account: Account
) -> None:
    low, high, failed, missing = (
        make_experiment(shared_database, shared_account) for _ in range(4)
    )
    rows = [keep(session, low, loss) for loss in (3, 1, 1, None)]
    gone = keep(session, low, -1)
    gone.deleted = True
    others = [keep(session, high, loss) for loss in (None, 10, 9)]
    keep(session, failed, None)
    session.flush()
    minimize, maximize = Metric(name="loss", objective="minimize"), Metric(name="loss")
    wanted = {low: minimize, high: maximize, failed: minimize, missing: maximize}

    best = findings.list_best(session, {row_id: (metric, "") for row_id, metric in wanted.items()})

    assert {row_id: each.id for row_id, each in best.items()} == {
        low: rows[1].id,
        high: others[1].id,
        failed: None,
        missing: None,
    }
    assert [best[row_id].news for row_id in wanted] == [5, 3, 1, 0]
    assert best[low].upto == gone.id
    assert findings.list_best(session, {}) == {}


def test_deleting_all_tells_how_many(session: Session, experiment_id: int) -> None:
    for _ in range(3):
        keep(session, experiment_id, 1)

    assert observations.update_deleted(session, experiment_id) == 3
    assert observations.update_deleted(session, experiment_id) == 0


@pytest.mark.parametrize(("deleted", "found"), [(False, [0, 2]), (True, [1]), (None, [0, 1, 2])])
def test_lists_of_observations(
    session: Session, experiment_id: int, deleted: bool | None, found: list[int]
) -> None:
    rows = [keep(session, experiment_id, loss) for loss in (1, 2, None)]
    rows[1].deleted = True
    session.flush()

    query = observations.listing(experiment_id, deleted=deleted).order_by(Observation.id)

    assert [rows.index(row) for row in session.scalars(query)] == found


def test_history_is_what_was_seen_and_is_expected(session: Session, experiment_id: int) -> None:
    keep(session, experiment_id, 2.5, x=1, value_stddev=0.5)
    keep(session, experiment_id, 3, x=2)
    keep(session, experiment_id, None, x=3)
    keep(session, experiment_id, 9, x=4).deleted = True
    session.flush()
    for x in (3.0, 4.0, 5.0):
        opening.insert_open(
            session,
            experiment_id,
            Draft({"x": x}, "user"),
            asker=Asker(),
            revision=0,
            observations_seen=0,
            allow_repeat=False,
        )

    loaded = history.load(session, experiment_id)

    assert loaded == spec_history.History(
        observations=(
            spec_history.Observation({"x": 1}, {"loss": 2.5}, {"loss": 0.5}, failed=False),
            spec_history.Observation({"x": 2}, {"loss": 3}, {}, failed=False),
            spec_history.Observation({"x": 3}, {}, {}, failed=True),
        ),
        pending=({"x": 4.0}, {"x": 5.0}),
    )


def test_history_of_nothing(session: Session, shared_account: Account) -> None:
    row = insert(session, shared_account.client_id)

    assert history.load(session, row.id) == spec_history.History()


def test_clients_and_tokens(session: Session) -> None:
    client = accounts.insert_client(session, name="Acme")
    token = accounts.insert_token(
        session, client_id=client.id, hash=b"x" * 32, prefix="tdo_x", role="write"
    )

    assert accounts.get_client(session, client.id) is client
    assert client in accounts.list_clients(session)
    assert accounts.find_token(session, b"x" * 32) == accounts.Known(
        token_id=token.id,
        client_id=client.id,
        organization_id=client.organization_id,
        hash=b"x" * 32,
        role="write",
        development=False,
        experiment_id=None,
        training_run_id=None,
        revoked=None,
        expired=False,
        client_deleted=False,
        client_is_full=False,
        requests_per_second=None,
        along=[accounts.Along(kept=None, experiment=None)],
    )
    assert accounts.find_token(session, b"y" * 32) is None
    assert accounts.list_tokens(session, client.id) == [token]
    assert accounts.update_revoked(session, token.id) is True
    assert accounts.update_revoked(session, token.id) is False
    client.deleted = True
    session.flush()
    with pytest.raises(NotFound):
        accounts.get_client(session, client.id)
    assert client not in accounts.list_clients(session)


@pytest.mark.parametrize(("minutes", "expired"), [(1, False), (-1, True), (0, True)])
def test_tokens_expire_by_the_databases_clock(
    session: Session, minutes: int, expired: bool
) -> None:
    client = accounts.insert_client(session, name="Acme")
    now = session.execute(select(func.now())).scalar_one()
    accounts.insert_token(
        session,
        client_id=client.id,
        hash=b"z" * 32,
        prefix="tdo_z",
        role="write",
        expires=now + datetime.timedelta(minutes=minutes),
    )

    found = accounts.find_token(session, b"z" * 32)

    assert found is not None
    assert found.expired is expired


def test_a_spec_is_read_and_written_across_releases(database: Database, account: Account) -> None:
    """An option that is not used is not written, and one of a newer release is passed over."""
    experiment_id = make_experiment(database, account)
    with database.transaction() as session:
        experiment = experiments.get(session, experiment_id)
        before = experiment.spec
        written = session.execute(text("select spec from experiments")).scalar_one()
        assert "early_stopping" not in written
        assert written["observation_budget"] == before.observation_budget
        session.execute(
            text("update experiments set spec = spec || cast(:newer as jsonb)"),
            {"newer": '{"of_a_newer_release": {"depth": 3}}'},
        )
    with database.transaction() as session:
        assert experiments.get(session, experiment_id).spec == before

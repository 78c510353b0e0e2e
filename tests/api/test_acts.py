"""Acts that share a transaction: all of them happen, or each is left to be run by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from tests.api.caller import Caller, ok, path_of
from tradeoff import measures
from tradeoff.api import acts
from tradeoff.api.acts import Act, Alone, Call, Reply
from tradeoff.api.rates import Rates
from tradeoff.api.routes import ROUTES
from tradeoff.errors import Unavailable
from tradeoff.store.database import Database

BY_NAME = {route.name: route for route in ROUTES}
RATES = Rates(None, None)


def act(
    api: Caller, experiment: dict[str, Any], name: str, key: str | None = None, **body: Any
) -> Act:
    call = Call(
        secret=api.token,
        names={"experiment": experiment["id"]},
        query=(),
        body=body,
        origin="",
        key=key,
        worker_id=None,
        skips=False,
        digest=repr(body).encode(),
    )
    return Act(BY_NAME[name], call)


def report(api: Caller, experiment: dict[str, Any], x: float, key: str | None = None) -> Act:
    return act(api, experiment, "observations.create", key, assignments={"x": x}, value=x)


def ask(api: Caller, experiment: dict[str, Any], **body: Any) -> Act:
    return act(api, experiment, "suggestions.create", **body)


def run(database: Database, *several: Act) -> list[Any]:
    return acts.run_together(database, several, rates=RATES)


def scalar(database: Database, query: str, **given: Any) -> Any:
    with database.transaction() as session:
        return session.scalar(text(query), given)


def count(api: Caller, experiment: dict[str, Any]) -> int:
    shown: int = ok(api.get(path_of(experiment)))["progress"]["observation_count"]
    return shown


def test_acts_of_several_experiments_are_committed_together(api: Caller, shared: Database) -> None:
    one, other = api.single(), api.single()

    replies = run(shared, report(api, one, 0.1), report(api, one, 0.2), report(api, other, 0.3))

    assert all(isinstance(reply, Reply) for reply in replies)
    assert [b'"value":0.1' in replies[0].body, b'"value":0.3' in replies[2].body] == [True, True]
    assert (count(api, one), count(api, other)) == (2, 1)
    query = "select count(distinct xmin::text) from observations where experiment_id = any(:ids)"
    assert scalar(shared, query, ids=[int(one["id"]), int(other["id"])]) == 1


def test_askers_in_one_transaction_get_different_configurations(
    api: Caller, shared: Database
) -> None:
    experiment = api.single()

    replies = run(shared, *(ask(api, experiment) for _ in range(8)))

    assert len({reply.body for reply in replies}) == 8
    query = "select count(distinct assignments_hash) from suggestions where state = 'open' "
    assert scalar(shared, f"{query} and experiment_id = :id", id=int(experiment["id"])) == 8


def test_a_worker_that_asks_twice_at_once_gets_one_suggestion(
    api: Caller, shared: Database
) -> None:
    experiment = api.single()

    one, other = run(shared, *(ask(api, experiment, worker_id="w") for _ in range(2)))

    assert one.body == other.body


def test_a_bad_one_leaves_nothing_and_all_to_be_run_by_themselves(
    api: Caller, shared: Database
) -> None:
    experiment = api.single()
    bad = act(api, experiment, "observations.create", assignments={"x": "much"}, value=1)
    before = reported()

    outcomes = run(shared, report(api, experiment, 0.1), bad, report(api, experiment, 0.2))

    assert [type(outcome) for outcome in outcomes] == [Alone, Alone, Alone]
    assert count(api, experiment) == 0
    assert reported() == before


def reported() -> float:
    """Observations that this process has told Prometheus of."""
    return measures.REGISTRY.get_sample_value("tradeoff_observations_total", {"outcome": "ok"}) or 0


def test_what_was_answered_before_is_answered_again_amid_others(
    api: Caller, shared: Database
) -> None:
    experiment = api.single()
    (first,) = run(shared, report(api, experiment, 0.1, key="k"))

    again, new = run(shared, report(api, experiment, 0.1, key="k"), report(api, experiment, 0.2))

    assert (again.body, again.replayed) == (first.body, True)
    assert not new.replayed
    assert count(api, experiment) == 2


def test_a_twin_that_commits_first_leaves_all_to_be_run_by_themselves(
    api: Caller, shared: Database
) -> None:
    """Two of one key never go together; here they do, as if the other came by another process."""
    experiment = api.single()

    outcomes = run(shared, *(report(api, experiment, 0.1, key="k") for _ in range(2)))

    assert [type(outcome) for outcome in outcomes] == [Alone, Alone]
    assert count(api, experiment) == 0


@pytest.mark.parametrize("others", [0, 2])
def test_a_row_that_somebody_holds_is_waited_for_shortly(
    api: Caller, shared: Database, others: int
) -> None:
    experiment = api.single()
    reports = [report(api, experiment, x / 10) for x in range(1 + others)]
    with shared.transaction() as session:
        session.execute(
            text("select 1 from experiments where id = :id for update"),
            {"id": int(experiment["id"])},
        )
        begun = time.monotonic()
        outcomes = run(shared, *reports)
        took = time.monotonic() - begun

    assert [type(outcome) for outcome in outcomes] == [Alone] * (1 + others)
    assert took < 3, "as long as an act by itself waits"
    assert count(api, experiment) == 0


def test_a_refresh_is_asked_for_once_and_last(api: Caller, shared: Database) -> None:
    """An enqueued refresh is waited for by others who enqueue it, and who may hold rows."""
    experiment = api.single()
    for x in range(1, 8):
        ok(
            api.post(
                f"{path_of(experiment)}/observations", {"assignments": {"x": x / 8}, "value": x}
            )
        )
    with shared.transaction() as session:
        session.execute(text("delete from jobs.procrastinate_jobs"))

    run(shared, *(report(api, experiment, x / 10) for x in range(3)))

    query = "select count(*) from jobs.procrastinate_jobs where queueing_lock = :lock"
    assert scalar(shared, query, lock=f"refresh-{experiment['id']}") == 1


@pytest.fixture
def dying_commits(shared: Database) -> Iterator[None]:
    """Let a session end in the middle of a commit that has an observation in it."""
    begin = """
        create function die() returns trigger language plpgsql as $$
        begin
            perform pg_terminate_backend(pg_backend_pid());
            return null;
        end $$;
        create constraint trigger die after insert on observations
            deferrable initially deferred for each row execute function die();
    """
    with shared.transaction() as session:
        session.execute(text(begin))
    yield
    with shared.transaction() as session:
        session.execute(text("drop trigger die on observations; drop function die"))


@pytest.mark.usefixtures("dying_commits")
def test_what_may_be_committed_is_not_done_a_second_time(api: Caller, shared: Database) -> None:
    """A session that ends in a commit leaves open whether that happened: the client has to ask."""
    experiment = api.single()
    before = scalar(shared, "select last_value from observations_id_seq")

    outcomes = run(shared, report(api, experiment, 0.1), report(api, experiment, 0.2))

    assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable]
    assert scalar(shared, "select last_value from observations_id_seq") == before + 2

from __future__ import annotations

from sqlalchemy import text

from tests.api.caller import Caller, ok, path_of, refusal
from tradeoff.store.database import Database


def test_the_model_is_forgotten_and_nothing_else(api: Caller, shared: Database) -> None:
    path = path_of(api.single())
    failed = ok(api.post(f"{path}/suggestions"))
    api.observe(path, suggestion=failed["id"], failed=True, failure_kind="transient")
    observation = api.observe(path, assignments={"x": 0.5}, value=1)
    number = {"id": path.rpartition("/")[2]}
    with shared.transaction() as session:
        session.execute(
            text("update experiments set engine_state = '{}', fit_epoch = 7 where id = :id"), number
        )

    assert ok(api.delete(f"{path}/hyperparameters")) == {}

    with shared.transaction() as session:
        query = "select engine_state, fit_epoch from experiments where id = :id"
        assert session.execute(text(query), number).one() == (None, 8)
        ready = "select count(*) from suggestions where experiment_id = :id and state = 'ready'"
        assert session.scalar(text(ready), number) == 0
        jobs = (
            "select count(*) from jobs.procrastinate_jobs where task_name = 'refresh' "
            "and status = 'todo' and args ->> 'experiment_id' = :id"
        )
        assert session.scalar(text(jobs), number) == 1
    assert ok(api.get(path))["progress"]["last_observation"] == observation
    # What met a transient failure is still to be tried again, and then there is always a point.
    assert ok(api.post(f"{path}/suggestions"))["assignments"] == failed["assignments"]
    assert ok(api.post(f"{path}/suggestions"))["source"] == "space_filling"


def test_a_deleted_or_foreign_experiment_forgets_nothing(api: Caller, other: Caller) -> None:
    path = path_of(api.single())
    refusal(other.delete(f"{path}/hyperparameters"), 404)
    ok(api.delete(path))

    refusal(api.delete(f"{path}/hyperparameters"))

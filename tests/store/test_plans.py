"""How Postgres finds what the lists show, on a million observations: by an index, and no more."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from tests.builders import make_experiment
from tests.conftest import Account
from tradeoff.store import experiments, observations, paging, suggestions
from tradeoff.store.database import Database, connect
from tradeoff.store.tables import Experiment, Observation, Suggestion

pytestmark = pytest.mark.slow

EXPERIMENTS, OBSERVATIONS, SUGGESTIONS = 20, 1_000_000, 200_000
LIMIT = 100
#: Rows that a page may touch: where those of all experiments lie between each other Postgres may
#: as well walk along the primary key, and pass over the others'.
TOUCHED = 2 * EXPERIMENTS * LIMIT

FILL = """
insert into observations (experiment_id, assignments, assignments_hash, values, failed, deleted)
select :first + number % :experiments, '{"x": 0.5}', decode(md5(number::text), 'hex'),
       jsonb_build_object('accuracy', jsonb_build_object('value', random())), false,
       number % 50 = 0
from generate_series(1, :observations) number;
insert into suggestions (experiment_id, state, assignments, assignments_hash, source, opened)
select :first + number % :experiments, case when number % 3 = 0 then 'open' else 'closed' end,
       '{"x": 0.5}', decode(md5(number::text), 'hex'), 'model', now()
from generate_series(1, :suggestions) number;
insert into experiments (client_id, name, spec, seed, updated)
select client_id, name, spec, seed, now() - make_interval(secs => number)
from experiments, generate_series(1, 20000) number where id = :first;
"""

ALL_VISIBLE = "select relallvisible = relpages from pg_class where oid = 'observations'::regclass"
VACUUMS = 20


@pytest.fixture(scope="module")
def filled(shared_database: Database, shared_account: Account) -> int:
    """The id of one of the twenty experiments whose observations lie between each other's."""
    ids = [make_experiment(shared_database, shared_account) for _ in range(EXPERIMENTS)]
    assert ids == list(range(ids[0], ids[0] + EXPERIMENTS))
    patient = connect(shared_database.url, statement_timeout_seconds=300)
    numbers = {
        "first": ids[0],
        "experiments": EXPERIMENTS,
        "observations": OBSERVATIONS,
        "suggestions": SUGGESTIONS,
    }
    with patient.transaction() as session:
        for statement in FILL.split(";\n")[:-1]:
            session.execute(text(statement), numbers)
    with patient.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # What another session's snapshot still looks past is left for the next time; and the index
        # alone is asked only where all is marked as seen by everybody.
        for _ in range(VACUUMS):
            connection.execute(text("vacuum analyze observations, suggestions, experiments"))
            if connection.scalar(text(ALL_VISIBLE)):
                break
            time.sleep(0.5)
    patient.dispose()
    return ids[7]


@contextlib.contextmanager
def statements(session: Session) -> Iterator[list[tuple[str, Any]]]:
    """What is asked meanwhile."""
    asked: list[tuple[str, Any]] = []
    connection = session.connection()

    def note(_c: Any, _cursor: Any, sql: str, parameters: Any, *_more: Any) -> None:
        asked.append((sql, parameters))

    event.listen(connection, "before_cursor_execute", note)
    yield asked
    event.remove(connection, "before_cursor_execute", note)


def plan_of(session: Session, statement: tuple[str, Any]) -> list[dict[str, Any]]:
    """Every step that Postgres took."""
    sql, parameters = statement
    cursor = session.connection().connection.cursor()
    cursor.execute("explain (analyze, format json) " + sql, parameters)
    answer = cursor.fetchall()[0][0]
    steps, left = [], [(answer if isinstance(answer, list) else json.loads(answer))[0]["Plan"]]
    while left:
        step = left.pop()
        steps.append(step)
        left += step.get("Plans", [])
    return steps


LISTS: dict[str, Any] = {
    "observations": lambda row_id: (observations.listing(row_id), Observation.id, None),
    "all observations": lambda row_id: (
        observations.listing(row_id, deleted=None),
        Observation.id,
        None,
    ),
    "suggestions": lambda row_id: (suggestions.listing(row_id), Suggestion.id, None),
    "closed suggestions": lambda row_id: (
        suggestions.listing(row_id, state="closed"),
        Suggestion.id,
        None,
    ),
    "experiments": lambda _: (experiments.listing(1), Experiment.id, None),
    "recent experiments": lambda _: (experiments.listing(1), Experiment.id, Experiment.updated),
}


@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("name", LISTS)
def test_a_page_is_found_by_an_index_wherever_it_lies(
    shared_database: Database, filled: int, name: str, ascending: bool
) -> None:
    with shared_database.transaction() as session:
        query, row_id, key = LISTS[name](filled)
        row_id, key = row_id.expression, None if key is None else key.expression
        sort = [row_id] if key is None else [key, row_id]
        middle = session.execute(
            query.with_only_columns(key if key is not None else row_id, row_id)
            .order_by(*sort)
            .offset(5_000)
            .limit(1)
        ).one()
        marker = paging._write((middle[0], middle[1]))
        for markers in ({}, {"before": marker}, {"after": marker}):
            with statements(session) as asked:
                page = paging.fetch(
                    session,
                    query,
                    id_column=row_id,
                    key=key,
                    limit=LIMIT,
                    ascending=ascending,
                    count=10,
                    **markers,
                )
            assert len(page.rows) == LIMIT
            assert page.count == 10
            assert len(asked) == 1, "the known count was counted"
            steps = plan_of(session, asked[0])
            kinds = {step["Node Type"] for step in steps}
            assert kinds <= {"Limit", "Index Scan", "Index Only Scan", "Result"}, kinds
            for step in steps:
                touched = step["Actual Rows"] + step.get("Rows Removed by Filter", 0)
                assert touched * step["Actual Loops"] < TOUCHED, step


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("all observations", OBSERVATIONS // EXPERIMENTS),
        ("suggestions", SUGGESTIONS // EXPERIMENTS),
    ],
)
def test_an_unknown_count_reads_no_more_than_its_experiment(
    shared_database: Database, filled: int, name: str, most: int
) -> None:
    with shared_database.transaction() as session:
        query, row_id, _ = LISTS[name](filled)
        with statements(session) as asked:
            paging.fetch(session, query, id_column=row_id.expression, limit=LIMIT)

        counting = plan_of(session, asked[0])

    assert "Seq Scan" not in {step["Node Type"] for step in counting}
    if name == "all observations":
        assert "Index Only Scan" in {step["Node Type"] for step in counting}
    for step in counting:
        touched = step["Actual Rows"] + step.get("Rows Removed by Filter", 0)
        assert touched * step["Actual Loops"] <= 1.1 * most, step

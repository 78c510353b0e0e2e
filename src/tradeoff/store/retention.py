"""What is past its time, found a page at a time and taken away.

Large tables have no index by age, which every request would pay for: they are walked along their
primary key, a page in each round of the upkeep. Keys, sessions and audit entries have one, and are
cleared where they are kept.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from sqlalchemy import text

from tradeoff.store.database import Session
from tradeoff.store.tables import QUEUE_SCHEMA

#: Rows that are looked at in one round, and that one statement deletes.
PAGE = 1_000
BATCH = 2_000

#: Tables that are walked, and which of their rows are past their time.
ANNOUNCED_FILES = ("files", "uploaded is null and created < now() - :age")
DELETED_EXPERIMENTS = ("experiments", "state = 'deleted' and updated < now() - :age")
DELETED_RUNS = ("training_runs", "deleted and updated < now() - :age")
IDLE_EXPERIMENTS = ("experiments", "updated < now() - :age")

_OF_BOUND_TOKENS = (
    "delete from browser_sessions where token_id in {tokens}",
    "delete from sign_in_links where token_id in {tokens}",
    "delete from idempotency_keys where token_id in {tokens}",
    "update experiments set created_by = null where created_by in {tokens}",
    "update tokens set issued_by = null where issued_by in {tokens}",
    "update tokens set replaced_by = null where replaced_by in {tokens}",
    "delete from tokens where id in {tokens}",
)
#: What refers to others comes before them; the rest goes along with the experiment.
_OF_EXPERIMENTS = ("checkpoints", "observations", "suggestions")


def walk(
    session: Session, table: tuple[str, str], *, age: datetime.timedelta, after: int
) -> tuple[Sequence[int], int]:
    """The rows of a page that are past their time, and where the next page begins.

    Args:
        session: to work with.
        table: one of the above.
        age: of the youngest row that is.
        after: the id behind which the page begins; the next page of the last one begins at 0.
    """
    name, is_past = table
    row = session.execute(
        text(
            f"with page as (select id, {is_past} as past from {name} "
            "where id > :after order by id limit :limit) "
            "select array_agg(id order by id) filter (where past), count(*), max(id) from page"
        ),
        {"age": age, "after": after, "limit": PAGE},
    ).one()
    ids, count, last = row
    return ids or (), last if count == PAGE else 0


def forget_failed_jobs(session: Session, *, age: datetime.timedelta) -> int:
    """Delete a batch of jobs that failed so long ago; gives how many there were."""
    return _change(
        session,
        f"delete from {QUEUE_SCHEMA}.procrastinate_jobs where id in ("
        f"select job.id from {QUEUE_SCHEMA}.procrastinate_jobs job "
        "where job.status in ('failed', 'cancelled', 'aborted') and not exists ("
        f"select from {QUEUE_SCHEMA}.procrastinate_events event "
        "where event.job_id = job.id and event.at > now() - :age) "
        f"limit {BATCH})",
        age=age,
    )


def forget_ready(
    session: Session, experiment_ids: Sequence[int], *, age: datetime.timedelta
) -> int:
    """Empty buffers of what was computed so long ago; gives how many suggestions there were."""
    # ix_suggestions_ready
    return _change(
        session,
        "delete from suggestions where experiment_id = any(:ids) and state = 'ready' "
        "and not deleted and computed < now() - :age",
        ids=list(experiment_ids),
        age=age,
    )


def forget_announced(session: Session, file_ids: Sequence[int]) -> int:
    """Delete files whose bytes have not come by now; gives how many there were."""
    ids = list(file_ids)
    # Whoever adds a file to a run holds it, too.
    _change(
        session,
        "update training_runs set files = (select coalesce(jsonb_agg(file), '[]') "
        "from jsonb_array_elements(files) file where file <> all(select to_jsonb(id) "
        "from files where id = any(:ids) and uploaded is null)) "
        "where id in (select training_run_id from files where id = any(:ids))",
        ids=ids,
    )
    return _change(session, "delete from files where id = any(:ids) and uploaded is null", ids=ids)


def erase_experiment(session: Session, experiment_id: int, *, age: datetime.timedelta) -> bool:
    """Take away a deleted experiment with all that belongs to it; whether it still was deleted.

    Whoever brings it back waits for the end, or this one lets it be. Runs of it that are not
    deleted stay, as runs of their project.
    """
    if not _hold(session, DELETED_EXPERIMENTS, experiment_id, age):
        return False
    _erase_tokens(session, "experiment_id", experiment_id)
    own = {"id": experiment_id}
    while _change(
        session,
        "update training_runs set experiment_id = null, suggestion_id = null, "
        "observation_id = null where ctid = any(array(select ctid from training_runs "
        f"where experiment_id = :id limit {BATCH}))",
        **own,
    ):
        pass
    for table in _OF_EXPERIMENTS:
        while _change(
            session,
            f"delete from {table} where ctid = any(array(select ctid from {table} "
            f"where experiment_id = :id limit {BATCH}))",
            **own,
        ):
            pass
    _change(session, "delete from experiments where id = :id", **own)
    return True


def erase_run(session: Session, run_id: int, *, age: datetime.timedelta) -> bool:
    """Take away a deleted training run with its files; whether it still was deleted.

    What it reported stays with its experiment.
    """
    if not _hold(session, DELETED_RUNS, run_id, age):
        return False
    _erase_tokens(session, "training_run_id", run_id)
    # Its checkpoints, files and their bytes go along.
    _change(session, "delete from training_runs where id = :id", id=run_id)
    return True


def _hold(session: Session, table: tuple[str, str], row_id: int, age: datetime.timedelta) -> bool:
    """Hold a row, if it is there, still past its time, and nobody else is at it."""
    name, is_past = table
    query = f"select id from {name} where id = :id and {is_past} for update skip locked"
    return session.scalar(text(query), {"id": row_id, "age": age}) is not None


def _erase_tokens(session: Session, column: str, bound_to: int) -> None:
    """Take away the tokens that reach one thing alone."""
    tokens = f"(select id from tokens where {column} = :id)"
    for statement in _OF_BOUND_TOKENS:
        _change(session, statement.format(tokens=tokens), id=bound_to)


def _change(session: Session, statement: str, **values: object) -> int:
    result = session.execute(text(statement), values)
    return int(result.rowcount)  # type: ignore[attr-defined]  # of a change

"""The queue of background work, on the same Postgres as everything else.

procrastinate keeps jobs in the schema `jobs`. A job is put there by the session's own transaction:
it is there if and only if the transaction that made it necessary was committed.
"""

from __future__ import annotations

import datetime
import logging
from dataclasses import dataclass

from procrastinate import App, PsycopgConnector
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tradeoff import traces
from tradeoff.store.database import Session, name_sessions
from tradeoff.store.prepared import Query
from tradeoff.store.tables import QUEUE_SCHEMA

logger = logging.getLogger(__name__)

QUEUE = "tradeoff"
REFRESH = "refresh"
ANALYSIS = "analysis"


def build_worker_app(url: str, *, device: str | None = None) -> App:
    """The app that a worker runs jobs with, on a pool of its own.

    Args:
        url: libpq's form of the database's address.
        device: what the worker computes on, for people. It is a setting of its connections, from
            which the worker's row takes it.
    """
    options = f"-c search_path={QUEUE_SCHEMA} -c timezone=UTC"
    if device is not None:
        options += f" -c tradeoff.device={_option(device)}"
    connector = PsycopgConnector(
        conninfo=url,
        min_size=1,
        max_size=4,
        kwargs={
            "options": options,
            "connect_timeout": 3,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "application_name": name_sessions("tradeoff-queue"),
        },
    )
    return App(connector=connector)


def _option(value: str) -> str:
    """A value as it may stand in libpq's `options`: printable ASCII, with its blanks escaped."""
    plain = "".join(c for c in value if c.isascii() and c.isprintable())
    return plain.replace("\\", "\\\\").replace(" ", "\\ ")


def defer_refresh(session: Session, experiment_id: int, *, client_id: int) -> None:
    """Ask for a refresh of an experiment's buffer, unless one is waiting already.

    At most one waits and one runs per experiment. Who holds the lock of the experiment's row may
    rely on the one that waits: it reads the experiment after this transaction. It goes along with
    the transaction's next statement or the commit, and is the last that can wait for another
    transaction: until the commit, everybody else who enqueues the same refresh waits for this one,
    and would do so for ever if this one then waited for a row of theirs. Where several acts share a
    transaction it therefore goes along with their commit.

    Args:
        session: to work with.
        experiment_id: whose buffer.
        client_id: whose experiment that is; clients take turns.
    """
    _defer(session, REFRESH, f"experiment-{experiment_id}", experiment_id, client_id)


def defer_analysis(session: Session, experiment_id: int, *, client_id: int) -> None:
    """Ask for an experiment's importances and calibration, as `defer_refresh` does for a buffer.

    It runs beside a refresh of the same experiment, which need not wait for it.
    """
    _defer(session, ANALYSIS, f"analysis-{experiment_id}", experiment_id, client_id)


def _defer(session: Session, task: str, lock: str, experiment_id: int, client_id: int) -> None:
    DEFER.post_last(
        session,
        task=task,
        queueing_lock=f"{task}-{experiment_id}",
        lock=lock,
        experiment_id=experiment_id,
        client_id=client_id,
        trace=traces.carrier(),
    )


#: One statement, as procrastinate's own function would abort the transaction where a job waits.
#: Its triggers tell the workers.
#:
#: Clients take turns by the priority, of which the highest is served first: start-time fair
#: queueing. The place of a new job is the one that is served now, or one behind the last of the
#: same client, whichever is later. So a client with a hundred waiting experiments has one place in
#: each round, and another one's first goes into the next round. Nobody starves: while a job waits,
#: each place before it is given at most once more to each client. Each of the three sub-queries
#: reads one end of an index: procrastinate_jobs_priority_idx_v1, procrastinate_jobs_lock_idx_v1
#: (no more rows than workers), ix_procrastinate_jobs_client_id_priority.
DEFER = Query(
    f"""
    insert into {QUEUE_SCHEMA}.procrastinate_jobs
        (queue_name, task_name, priority, lock, queueing_lock, args)
    select '{QUEUE}', %(task)s,
           coalesce(
               least(
                   (select max(priority) from {QUEUE_SCHEMA}.procrastinate_jobs
                    where status = 'todo'),
                   (select min(priority) - 1 from {QUEUE_SCHEMA}.procrastinate_jobs
                    where status = 'doing'),
                   (select min(priority) - 1 from {QUEUE_SCHEMA}.procrastinate_jobs
                    where status = 'todo' and args ->> 'client_id' = cast(%(client_id)s as text))
               ),
               0
           ),
           %(lock)s, %(queueing_lock)s,
           jsonb_build_object(
               'experiment_id', cast(%(experiment_id)s as bigint),
               'client_id', cast(%(client_id)s as bigint)
           ) || case when cast(%(trace)s as text) is null then jsonb '{{}}' else
               jsonb_build_object(
                   'trace', cast(%(trace)s as text),
                   'asked', extract(epoch from clock_timestamp())
               ) end
    where not exists (
        select from {QUEUE_SCHEMA}.procrastinate_jobs
        where queueing_lock = %(queueing_lock)s and status = 'todo'
    )
    on conflict (queueing_lock) where status = 'todo' do nothing
    """,
    {
        "task": "text",
        "experiment_id": "bigint",
        "client_id": "bigint",
        "lock": "text",
        "queueing_lock": "text",
        "trace": "text",
    },
)


@dataclass(frozen=True, slots=True)
class QueueState:
    """How the queue is doing.

    Attributes:
        waiting: jobs that wait.
        running: jobs at work.
        oldest_seconds: age of the oldest waiting job; `None` when none waits.
        workers: workers with a heartbeat of the last 30 seconds.
    """

    waiting: int
    running: int
    oldest_seconds: float | None
    workers: int


def read_state(session: Session) -> QueueState:
    """Depth and age of the queue, and the workers seen."""
    jobs = session.execute(
        text(
            f"""
            select count(*) filter (where job.status = 'todo') as waiting,
                   count(*) filter (where job.status = 'doing') as running,
                   extract(epoch from now() - min(event.at)
                       filter (where job.status = 'todo')) as oldest_seconds
            from {QUEUE_SCHEMA}.procrastinate_jobs job
            left join {QUEUE_SCHEMA}.procrastinate_events event
                on event.job_id = job.id and event.type = 'deferred'
            where job.status in ('todo', 'doing')
            """
        )
    ).one()
    workers = session.scalar(
        text(
            f"select count(*) from {QUEUE_SCHEMA}.procrastinate_workers "
            "where last_heartbeat > now() - interval '30 seconds'"
        )
    )
    age = None if jobs.oldest_seconds is None else float(jobs.oldest_seconds)
    return QueueState(jobs.waiting, jobs.running, age, workers or 0)


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker, as the queue knows it.

    Attributes:
        id: of the worker.
        last_seen: its last heartbeat; one comes every ten seconds.
        jobs: that it is at work on.
        device: what it computes on; `None` of a worker of an earlier release.
    """

    id: int
    last_seen: datetime.datetime
    jobs: int
    device: str | None


def list_workers(session: Session) -> list[Worker]:
    """The workers seen within the last ten minutes, the newest sign of life first."""
    rows = session.execute(
        text(
            f"""
            select worker.id, worker.last_heartbeat, worker.device,
                   (select count(*) from {QUEUE_SCHEMA}.procrastinate_jobs job
                    where job.worker_id = worker.id and job.status = 'doing') as jobs
            from {QUEUE_SCHEMA}.procrastinate_workers worker
            order by worker.last_heartbeat desc
            limit 200
            """
        )
    )
    return [Worker(row.id, row.last_heartbeat, row.jobs, row.device) for row in rows]


#: Only one process sweeps at a time; the number itself means nothing.
SWEEP_LOCK = 7_236_152


def sweep(session: Session, *, stalled_seconds: float = 30.0) -> int:
    """Put the jobs of dead workers back into the queue; gives how many there were.

    A worker that was killed leaves its job marked as running, and every later job of that
    experiment waits for it. Where another job for the same experiment waits already the stalled
    one is finished as failed: the waiting one does its work.
    """
    if not session.scalar(text("select pg_try_advisory_xact_lock(:key)"), {"key": SWEEP_LOCK}):
        return 0
    parameters = {"stalled": stalled_seconds}
    stalled = session.execute(
        text(
            f"""
            select job.id
            from {QUEUE_SCHEMA}.procrastinate_jobs job
            left join {QUEUE_SCHEMA}.procrastinate_workers worker on worker.id = job.worker_id
            where job.status = 'doing'
              and (worker.id is null
                   or worker.last_heartbeat < now() - make_interval(secs => :stalled))
            for update of job skip locked
            """
        ),
        parameters,
    ).all()
    retry = text(f"select {QUEUE_SCHEMA}.procrastinate_retry_job_v2(:id, now(), null, null, null)")
    finish = text(f"select {QUEUE_SCHEMA}.procrastinate_finish_job_v1(:id, 'failed', true)")
    for job in stalled:
        try:
            with session.begin_nested():
                session.execute(retry, {"id": job.id})
        except IntegrityError:
            session.execute(finish, {"id": job.id})
        logger.warning("swept a job whose worker is gone", extra={"job": job.id})
    session.execute(
        text(
            f"delete from {QUEUE_SCHEMA}.procrastinate_workers "
            "where last_heartbeat < now() - interval '10 minutes'"
        )
    )
    return len(stalled)

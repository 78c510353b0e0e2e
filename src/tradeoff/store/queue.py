"""The queue of background work, on the same Postgres as everything else.

procrastinate keeps jobs in the schema `jobs`. A job is deferred on the session's own connection:
it is there if and only if the transaction that made it necessary was committed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from procrastinate import App, PsycopgConnector
from procrastinate.contrib.sqlalchemy import SQLAlchemyPsycopg2Connector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tradeoff.store.database import Session
from tradeoff.store.tables import QUEUE_SCHEMA

logger = logging.getLogger(__name__)

QUEUE = "tradeoff"
REFRESH = "refresh"

#: Defers jobs by name; it runs none and holds no connection of its own.
_deferrer = App(connector=SQLAlchemyPsycopg2Connector())


def build_worker_app(url: str) -> App:
    """The app that a worker runs jobs with, on a pool of its own.

    Args:
        url: libpq's form of the database's address.
    """
    connector = PsycopgConnector(
        conninfo=url,
        min_size=1,
        max_size=4,
        kwargs={
            "options": f"-c search_path={QUEUE_SCHEMA} -c timezone=UTC",
            "connect_timeout": 3,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "application_name": "tradeoff-queue",
        },
    )
    return App(connector=connector)


def defer_refresh(session: Session, experiment_id: int, *, priority: int = 0) -> None:
    """Ask for a refresh of an experiment's buffer, unless one is waiting already.

    At most one waits and one runs per experiment. It is the last statement of its transaction that
    can wait for another one: until the commit, everybody else who asks for the same refresh waits
    for this one, and would do so for ever if this one then waited for a row of theirs.
    """
    connection = session.connection()
    task = _deferrer.configure_task(
        REFRESH,
        allow_unknown=True,
        queue=QUEUE,
        lock=f"experiment-{experiment_id}",
        queueing_lock=f"refresh-{experiment_id}",
        priority=priority,
        connection=connection,
    )
    try:
        # The violation that says "one waits already" would abort the whole transaction. The
        # savepoint is the connection's: a session makes its own only when it is used itself.
        with connection.begin_nested():
            task.defer(experiment_id=experiment_id)
    except AlreadyEnqueued:
        logger.debug("a refresh waits already", extra={"experiment": experiment_id})
    except ConnectorException as error:
        # `database` reads what the driver said, and tells an outage from a fault of ours.
        raise error.__cause__ or error from None


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

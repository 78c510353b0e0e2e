"""What the queue can ask for, wired to the functions that do it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from procrastinate import App

from tradeoff import logs, traces
from tradeoff.config import Settings
from tradeoff.store import queue
from tradeoff.store.database import Database
from tradeoff.worker.analysis import Analyst
from tradeoff.worker.compute import EngineProcess
from tradeoff.worker.refresh import Refresher


def register(app: App, database: Database, engine: EngineProcess, settings: Settings) -> None:
    """Teach `app` its tasks; they run in threads, so the heartbeat goes on."""
    refresher = Refresher(
        database,
        engine,
        device=settings.device,
        limit_seconds=settings.refresh_limit_seconds,
        reference=settings.engine == "reference",
    )

    analyst = Analyst(database, engine, limit_seconds=settings.refresh_limit_seconds)

    @app.task(name=queue.REFRESH, queue=queue.QUEUE)
    def refresh(
        experiment_id: int,
        trace: str | None = None,
        asked: float | None = None,
        # The client, by which the queue takes turns; and what a later release may add.
        **_hints: object,
    ) -> None:
        with _work_on("refresh", experiment_id, trace, asked):
            refresher.refresh(experiment_id)
            analyst.request_if_due(experiment_id)

    @app.task(name=queue.ANALYSIS, queue=queue.QUEUE)
    def analyse(
        experiment_id: int,
        trace: str | None = None,
        asked: float | None = None,
        **_hints: object,
    ) -> None:
        with _work_on("analysis", experiment_id, trace, asked):
            analyst.analyse(experiment_id)


@contextmanager
def _work_on(
    name: str, experiment_id: int, trace: str | None, asked: float | None
) -> Iterator[None]:
    """A job, below the request that asked for it."""
    with traces.job(name, trace, asked, experiment=experiment_id):
        trace_id = traces.current_id()
        with nullcontext() if trace_id is None else logs.about(trace_id=trace_id):
            yield

"""What the queue can ask for, wired to the functions that do it."""

from __future__ import annotations

from procrastinate import App

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
    def refresh(experiment_id: int, **_hints: object) -> None:
        # The client, by which the queue takes turns; and what a later release may add.
        refresher.refresh(experiment_id)
        analyst.request_if_due(experiment_id)

    @app.task(name=queue.ANALYSIS, queue=queue.QUEUE)
    def analyse(experiment_id: int, **_hints: object) -> None:
        analyst.analyse(experiment_id)

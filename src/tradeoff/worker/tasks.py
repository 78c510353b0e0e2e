"""What the queue can ask for, wired to the functions that do it."""

from __future__ import annotations

from procrastinate import App

from tradeoff.config import Settings
from tradeoff.store import queue
from tradeoff.store.database import Database
from tradeoff.worker import refresh as refreshing
from tradeoff.worker.compute import EngineProcess


def register(app: App, database: Database, engine: EngineProcess, settings: Settings) -> None:
    """Teach `app` its tasks; they run in threads, so the heartbeat goes on."""

    @app.task(name=queue.REFRESH, queue=queue.QUEUE)
    def refresh(experiment_id: int, **_later: object) -> None:
        # What a newer API adds to its jobs must not stop an older worker.
        refreshing.refresh(
            database,
            engine,
            experiment_id,
            device=settings.device,
            limit_seconds=settings.refresh_limit_seconds,
        )

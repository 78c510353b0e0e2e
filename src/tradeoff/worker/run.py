"""Start a worker, and let it end in good order."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from procrastinate import App
from procrastinate.exceptions import ConnectorException
from procrastinate.worker import Worker

from tradeoff import ending, measures, traces
from tradeoff.config import Settings
from tradeoff.service import quotas, retention
from tradeoff.service.upkeep import Upkeep
from tradeoff.store import queue
from tradeoff.store.database import Database
from tradeoff.worker import machine, tasks
from tradeoff.worker.compute import EngineProcess

logger = logging.getLogger(__name__)

#: A job that runs when the worker is told to stop may take this long; another worker or the next
#: start does it again otherwise.
DRAIN_SECONDS = 20.0
HEARTBEAT_SECONDS = 5.0
#: Should a notification be missed, the queue is looked at this often.
POLL_SECONDS = 2.0
#: Before another start, after the database was lost in the last one.
AGAIN_SECONDS = 1.0


def run_worker(database: Database, settings: Settings) -> None:
    """Work until SIGTERM or Ctrl-C: the running job is finished, then everything is closed.

    Args:
        database: with its schema up to date.
        settings: of them the device, and the limits of time and memory of a refresh.
    """
    traces.configure("tradeoff-worker", otlp=settings.sends_traces, file=settings.traces)
    if settings.metrics_port is not None:
        measures.serve(settings.metrics_host, settings.metrics_port)
    megabytes = settings.engine_memory_mb
    engine = EngineProcess(
        threads=settings.engine_threads,
        memory_bytes=None if megabytes is None else megabytes * 2**20,
    )
    quotas.set_defaults(database, quotas.granted(settings))
    upkeep = Upkeep(database, retention.chosen(settings))
    # The child imports torch before the first job, not during it.
    engine.start()
    ending.check()
    try:
        upkeep.start()
        asyncio.run(_work(database, engine, settings))
    finally:
        upkeep.stop()
        engine.close()
        logger.info("worker stopped")


async def _work(database: Database, engine: EngineProcess, settings: Settings) -> None:
    """Work until told to end; whoever loses the database while starting starts again.

    A worker is told to stop and not cancelled: the pool of connections swallows that now and then.
    """
    asked = asyncio.Event()
    try:
        with ending.announce(asked):
            logger.info("worker started", extra={"device": settings.device})
            while not asked.is_set():
                # Its connections are gone once it was closed.
                device = machine.describe(settings.device, has_gpu=engine.has_gpu)
                app = queue.build_worker_app(database.url, device=device)
                tasks.register(app, database, engine, settings)
                try:
                    await _run(app, asked)
                    return
                except ConnectorException:
                    logger.warning("the queue does not answer; trying again", exc_info=True)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(asked.wait(), AGAIN_SECONDS)
    finally:
        # A job that outlasted the drain still waits in its thread for the engine.
        engine.abort()


async def _run(app: App, asked: asyncio.Event) -> None:
    """Run jobs until `asked`; the one that runs then is finished."""
    told = asyncio.create_task(asked.wait())
    opening = asyncio.create_task(_open(app))
    try:
        await asyncio.wait({told, opening}, return_when=asyncio.FIRST_COMPLETED)
        if asked.is_set():
            return
        await opening
        worker = Worker(
            app,
            queues=[queue.QUEUE],
            # One engine, one job; more workers are more processes.
            concurrency=1,
            fetch_job_polling_interval=POLL_SECONDS,
            update_heartbeat_interval=HEARTBEAT_SECONDS,
            # Three event rows would stay behind for every refresh otherwise.
            delete_jobs="successful",
            shutdown_graceful_timeout=DRAIN_SECONDS,
            install_signal_handlers=False,
        )
        running = asyncio.create_task(worker.run())  # type: ignore[no-untyped-call]
        await asyncio.wait({told, running}, return_when=asyncio.FIRST_COMPLETED)
        worker.stop()  # type: ignore[no-untyped-call]
        await running
    finally:
        told.cancel()
        opening.cancel()
        # Also of a pool that was still opening.
        await app.close_async()


async def _open(app: App) -> None:
    await app.open_async()

"""What Prometheus is told, of every process: each measure is declared here and nowhere else.

The values of each label are known beforehand: a path is a route's and not an address, a reason is
one of `REASONS`. What callers send must never become a label, since each value is kept for ever.

A process answers for itself alone, except for the `QUEUE` measures: every process reads those from
the database (`service.upkeep`), so they are the same everywhere, and a query takes their `max`.
"""

from __future__ import annotations

import functools
import math
from typing import Literal

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
    start_http_server,
)

from tradeoff import __version__, errors

MEDIA_TYPE = CONTENT_TYPE_LATEST
#: Of this process; two apps in one process share it.
REGISTRY = CollectorRegistry()

#: Seconds of a request: from a served suggestion to the longest wait for one.
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
#: Seconds of a computation: from a small model to the time limit.
ENGINE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
#: Seconds since a suggestion was computed.
AGE_BUCKETS = (0.1, 0.5, 1, 5, 30, 60, 300, 1800, 3600, 86400)
#: Observations that a suggestion of the model did not know of.
BEHIND_BUCKETS = (0, 1, 2, 4, 8, 16, 64, 256)

#: Why the engine gives no answer: its code raised; no end in time; too much memory; its process
#: died, or did not start; the GPU failed (the CPU answers then).
Reason = Literal["raised", "time", "memory", "died", "start", "gpu"]
REASONS: tuple[Reason, ...] = ("raised", "time", "memory", "died", "start", "gpu")
#: How a refresh ends: its suggestions are there; a newer one has begun; there was nothing to do;
#: the engine failed.
Outcome = Literal["published", "overtaken", "idle", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("published", "overtaken", "idle", "failed")

BUILD = Info("tradeoff_build", "The program that runs", registry=REGISTRY)
BUILD.info({"version": __version__})
ProcessCollector(namespace="tradeoff", registry=REGISTRY)

# --- Requests --------------------------------------------------------------------------------

REQUESTS = Counter(
    "tradeoff_requests", "Requests answered", ("method", "path", "status"), registry=REGISTRY
)
REQUEST_SECONDS = Histogram(
    "tradeoff_request_seconds",
    "Time to answer",
    ("method", "path"),
    buckets=REQUEST_BUCKETS,
    registry=REGISTRY,
)
ACTIVE = Gauge("tradeoff_requests_active", "Being answered", registry=REGISTRY)

# --- Suggestions and observations -------------------------------------------------------------

SUGGESTIONS = Counter(
    "tradeoff_suggestions",
    "Suggestions handed out, by what made them",
    ("source",),
    registry=REGISTRY,
)
SUGGESTION_AGE = Histogram(
    "tradeoff_suggestion_age_seconds",
    "From its computation to its handing out",
    ("source",),
    buckets=AGE_BUCKETS,
    registry=REGISTRY,
)
SUGGESTION_BEHIND = Histogram(
    "tradeoff_suggestion_behind_observations",
    "Observations that a suggestion of the model did not know of",
    buckets=BEHIND_BUCKETS,
    registry=REGISTRY,
)
OBSERVATIONS = Counter(
    "tradeoff_observations",
    "Observations stored, by how the training ended",
    ("outcome",),
    registry=REGISTRY,
)

# --- Engine -----------------------------------------------------------------------------------

ENGINE_SECONDS = Histogram(
    "tradeoff_engine_seconds",
    "One question to the engine, answered or not",
    ("act", "device"),
    buckets=ENGINE_BUCKETS,
    registry=REGISTRY,
)
ENGINE_FAILURES = Counter(
    "tradeoff_engine_failures", "Questions without an answer", ("act", "reason"), registry=REGISTRY
)
REFRESHES = Counter(
    "tradeoff_refreshes",
    "Refreshes of a buffer, by how they ended",
    ("outcome",),
    registry=REGISTRY,
)
GPU_USED = Gauge(
    "tradeoff_gpu_memory_used_bytes",
    "Taken on the GPU that computed last, by everybody",
    registry=REGISTRY,
)
GPU_TOTAL = Gauge(
    "tradeoff_gpu_memory_total_bytes", "Memory of the GPU that computed last", registry=REGISTRY
)
ENGINE_MEMORY = Gauge(
    "tradeoff_engine_memory_bytes",
    "Memory of the engine's process after its last answer",
    registry=REGISTRY,
)

# --- Queue, as the database has it ------------------------------------------------------------

QUEUE_WAITING = Gauge("tradeoff_queue_waiting", "Jobs that wait", registry=REGISTRY)
QUEUE_RUNNING = Gauge("tradeoff_queue_running", "Jobs at work", registry=REGISTRY)
QUEUE_OLDEST = Gauge(
    "tradeoff_queue_oldest_seconds",
    "Age of the oldest waiting job; 0 without one",
    registry=REGISTRY,
)
WORKERS = Gauge(
    "tradeoff_workers", "Workers with a sign of life within 30 seconds", registry=REGISTRY
)
JOBS_SWEPT = Counter(
    "tradeoff_jobs_swept", "Jobs taken from a worker that was gone", registry=REGISTRY
)
DATABASE_UP = Gauge(
    "tradeoff_database_up", "1 while the database answers the upkeep, else 0", registry=REGISTRY
)
_QUEUE = (QUEUE_WAITING, QUEUE_RUNNING, QUEUE_OLDEST, WORKERS)

# What has not happened yet is 0 and not absent: a rate needs a beginning.
for _reason in REASONS:
    ENGINE_FAILURES.labels("suggest", _reason)
for _outcome in OUTCOMES:
    REFRESHES.labels(_outcome)
for _ended in ("success", "infeasible", "transient"):
    OBSERVATIONS.labels(_ended)


def expose() -> bytes:
    """All of it in Prometheus' format."""
    return generate_latest(REGISTRY)


def serve(host: str, port: int) -> None:
    """Answer Prometheus on a port of this process's own, for as long as it lives.

    Raises:
        StartError: when the port is taken.
    """
    try:
        start_http_server(port, addr=host, registry=REGISTRY)
    except OSError as error:
        raise errors.StartError(
            f"Cannot show measurements on {host} port {port}: {error.strerror or error}. "
            "Choose another with --metrics-port."
        ) from error


def note_request(method: str, path: str, status: int, seconds: float) -> None:
    """One was answered."""
    count, time = _of_request(method, path, status)
    count.inc()
    time.observe(seconds)


@functools.cache  # of values that are few, as those of every label
def _of_request(method: str, path: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, path, status), REQUEST_SECONDS.labels(method, path)


def note_suggestion(source: str, *, age_seconds: float, behind: int) -> None:
    """One was handed out.

    Args:
        source: what made it; one of the few that `store.tables.Suggestion.source` can be.
        age_seconds: since it was computed.
        behind: observations that it did not know of.
    """
    count, age = _of_source(source)
    count.inc()
    age.observe(max(0.0, age_seconds))
    if source == "model":
        SUGGESTION_BEHIND.observe(max(0, behind))


@functools.cache
def _of_source(source: str) -> tuple[Counter, Histogram]:
    return SUGGESTIONS.labels(source), SUGGESTION_AGE.labels(source)


def note_refresh(outcome: Outcome) -> None:
    """One ended."""
    REFRESHES.labels(outcome).inc()


def note_observations(succeeded: int, infeasible: int, transient: int) -> None:
    """So many were stored, by how the training ended."""
    OBSERVATIONS.labels("success").inc(succeeded)
    OBSERVATIONS.labels("infeasible").inc(infeasible)
    OBSERVATIONS.labels("transient").inc(transient)


def note_gpu_memory(used: int, total: int) -> None:
    """Of the GPU that the engine has just used."""
    GPU_USED.set(used)
    GPU_TOTAL.set(total)


def note_queue(waiting: int, running: int, oldest_seconds: float | None, workers: int) -> None:
    """The queue, as it was just read from the database."""
    DATABASE_UP.set(1)
    QUEUE_WAITING.set(waiting)
    QUEUE_RUNNING.set(running)
    QUEUE_OLDEST.set(oldest_seconds or 0.0)
    WORKERS.set(workers)


def note_database_away() -> None:
    """What the queue is like is not known."""
    DATABASE_UP.set(0)
    for gauge in _QUEUE:
        gauge.set(math.nan)

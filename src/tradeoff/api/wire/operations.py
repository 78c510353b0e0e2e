"""How the installation does, on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from tradeoff.api.wire.base import Answer, Request


class Retry(Request):
    """Nothing has to be said."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})


class Queue(Answer):
    """The queue of computations, of all clients together."""

    waiting: int
    """Computations that wait for a worker."""
    running: int
    """Computations that workers are at."""
    oldest_seconds: float | None
    """How long the oldest has waited; `null` when none waits."""


class Worker(Answer):
    """A worker that was seen within the last ten minutes."""

    id: str
    last_seen: int
    """Its last sign of life, in Unix seconds; one comes every few seconds."""
    running: int
    """Computations that it is at."""
    device: str | None
    """What it computes on; `null` of a worker of an earlier release."""


class FailingExperiment(Answer):
    """An experiment whose model fails, and so attempts less for a while."""

    experiment: str
    rung: Literal[0, 1, 2, 3]
    """How much is attempted: `0` everything; `1` a model of fewer observations; `2` also a shorter
    search; `3` no model."""
    until: int | None
    """When everything is attempted again, in Unix seconds."""
    failures: int
    """Computations on this rung that failed, of the three that lead to the next one."""
    reason: str
    """The same in words."""


class Waits(Answer):
    """How long one waited for suggestions within the last hour, in all experiments."""

    count: int
    """How many suggestions that is told of, the last of them."""
    median_seconds: float
    """Half of them came sooner."""
    slow_seconds: float
    """Nineteen of twenty came sooner."""


class Operations(Answer):
    """How the installation does."""

    object: Literal["operations"] = "operations"
    version: str
    """Of the service."""
    schema_version: str
    """Of the database."""
    queue: Queue
    """What waits and what is being computed."""
    workers: list[Worker]
    """Those that were seen within the last ten minutes."""
    waits: Waits | None
    """How long one waits for suggestions; `null` when nobody asked within the hour."""
    failing: list[FailingExperiment]
    """Experiments of your own client whose model fails, the newest first, 50 at most."""

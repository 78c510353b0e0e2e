"""Queued suggestions on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from tradeoff.api.wire.base import Answer, Create, hidden
from tradeoff.api.wire.observations import Assignments, Task, TaskName
from tradeoff.api.wire.queries import ListingById


class QueuedSuggestionCreate(Create):
    """A configuration to be served before everything else."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"assignments": {"module_mm": 2.0, "teeth": 20, "alloy": "Ti"}}]
        }
    )

    assignments: Assignments
    """A value for each parameter that is switched on; it may lie outside the bounds."""
    task: TaskName | None = None
    """The task to run, by its name or as an object with it; required in a multitask experiment,
    and refused in others."""


class QueuedSuggestionList(ListingById):
    """Which queued suggestions are listed."""


class QueuedSuggestion(Answer):
    """A configuration that waits to be served."""

    object: Literal["queued_suggestion"] = "queued_suggestion"
    id: str
    experiment: str
    assignments: dict[str, int | float | str]
    created: int
    task: Task | None = hidden()
    """The task to run; only in multitask experiments."""

"""Queued suggestions on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict

from tradeoff.api.wire.base import Answer, Create
from tradeoff.api.wire.observations import Assignments, refuse_task
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
    task: Annotated[None, BeforeValidator(refuse_task)] = None
    """Multitask experiments are not supported yet."""


class QueuedSuggestionList(ListingById):
    """Which queued suggestions are listed."""


class QueuedSuggestion(Answer):
    """A configuration that waits to be served."""

    object: Literal["queued_suggestion"] = "queued_suggestion"
    id: str
    experiment: str
    assignments: dict[str, int | float | str]
    created: int

"""Suggestions on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict

from tradeoff.api.wire.base import Answer, Create, Metadata, Request
from tradeoff.api.wire.observations import check_assignments, refuse_task
from tradeoff.api.wire.queries import ListingById, Query, QueryFlag, check_ids


class SuggestionCreate(Create):
    """Ask for the next configuration to try, or state one of your own."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})
    not_null = frozenset({"assignments"})

    assignments: Annotated[dict[str, Any] | None, BeforeValidator(check_assignments)] = None
    """Your own configuration; absent to be given the next best one. It may lie outside the
    bounds."""
    metadata: Metadata | None = None
    """Your own notes: up to 100 keys, each with a number or a string of up to 500 characters."""
    task: Annotated[None, BeforeValidator(refuse_task)] = None
    """Multitask experiments are not supported yet."""


class SuggestionUpdate(Request):
    """What to change; other keys are ignored."""

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"examples": [{"metadata": {"node": "gpu-3"}}]}
    )

    metadata: Metadata | None = None
    """Your own notes, replaced as a whole; `null` clears them."""


class SuggestionList(ListingById):
    """Which suggestions are listed."""

    state: Literal["open"] | None = None
    """Only suggestions that wait for an observation."""
    deleted: QueryFlag = False
    """Only deleted suggestions."""
    id: (
        Annotated[tuple[int, ...], BeforeValidator(check_ids, json_schema_input_type=str)] | None
    ) = None
    """Only these, separated by commas."""


class SuggestionsDelete(Query):
    """Which suggestions are deleted."""

    state: Literal["open"] | None = None
    """Only suggestions that wait for an observation."""


class Suggestion(Answer):
    """A configuration to try."""

    object: Literal["suggestion"] = "suggestion"
    id: str
    experiment: str
    assignments: dict[str, int | float | str]
    """What to train with: a value for each parameter and each conditional that is switched on."""
    state: Literal["open", "closed"]
    """`closed` once an observation named it."""
    created: int
    deleted: bool
    metadata: dict[str, str | int | float] | None
    source: str
    """How it was made: `model`, `space_filling`, `random`, `grid`, `queued` or `user`."""
    observations_seen: int
    """How many observations were known to whoever made it."""
    model_age_seconds: float | None
    """How long it had been ready when it was handed out; `null` when no model made it."""
    explanation: dict[str, Any] | None
    """Why this point: what the model expects there."""

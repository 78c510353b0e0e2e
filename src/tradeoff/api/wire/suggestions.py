"""Suggestions on the wire."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict

from tradeoff.api.wire.base import Answer, Create, Metadata, Request, hidden
from tradeoff.api.wire.observations import Task, TaskName, check_assignments
from tradeoff.api.wire.queries import ListingById, Query, QueryFlag, check_ids
from tradeoff.spec.values import Number, check_text, shown

#: What a header can carry as well; no blank at either end, which a header would lose.
WORKER_ID = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,98}[\x21-\x7e])?")
MIN_LEASE_SECONDS, MAX_LEASE_SECONDS = 1, 604_800
State = Literal["open", "lapsed", "closed"]


def check_worker_id(value: Any) -> str:
    """The name of a worker.

    Raises:
        ValueError: unless it has 1 to 100 printable ASCII characters.
    """
    if not WORKER_ID.fullmatch(check_text(value)):
        raise ValueError(f"must have 1 to 100 printable ASCII characters, not {shown(value)}")
    return str(value)


def _check_lease(value: float) -> float:
    if not MIN_LEASE_SECONDS <= value <= MAX_LEASE_SECONDS:
        raise ValueError(
            f"must be between {MIN_LEASE_SECONDS} and {MAX_LEASE_SECONDS} seconds, not {value:g}"
        )
    return value


WorkerId = Annotated[str, BeforeValidator(check_worker_id)]
LeaseSeconds = Annotated[Number, AfterValidator(_check_lease)]


class SuggestionCreate(Create):
    """Ask for the next configuration to try, or state one of your own."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}]})
    not_null = frozenset({"assignments"})

    assignments: Annotated[dict[str, Any] | None, BeforeValidator(check_assignments)] = None
    """Your own configuration; absent to be given the next best one. It may lie outside the
    bounds."""
    metadata: Metadata | None = None
    """Your own notes: up to 100 keys, each with a number or a string of up to 500 characters."""
    worker_id: WorkerId | None = None
    """Who asks, by a name that outlives the process, such as the host's. As long as this worker
    has not reported, asking gives it the same suggestion again."""
    lease_seconds: LeaseSeconds | None = None
    """After so long without a word from its worker the suggestion is no longer waited for, and
    its configuration may be suggested anew. Absent: it is waited for until the experiment's
    `suggestion_ttl_seconds`."""
    task: TaskName | None = None
    """The task to run with your own `assignments`, by its name or as an object with it; required
    in a multitask experiment, and refused in others."""


class SuggestionUpdate(Request):
    """What to change; other keys are ignored."""

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"examples": [{"metadata": {"node": "gpu-3"}}]}
    )

    metadata: Metadata | None = None
    """Your own notes, replaced as a whole; `null` clears them."""
    lease_seconds: LeaseSeconds | None = None
    """Renew the lease, from now on of this length; `null` gives it up, and it never lapses."""


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

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "object": "suggestion",
                    "id": "421",
                    "experiment": "7",
                    "assignments": {"alloy": "Ti", "module_mm": 2.25, "teeth": 31},
                    "state": "open",
                    "created": 1790000000,
                    "deleted": False,
                    "metadata": None,
                    "source": "model",
                    "observations_seen": 12,
                    "model_age_seconds": 0.8,
                    "explanation": None,
                    "worker_id": None,
                    "lease_seconds": None,
                    "lease_expires": None,
                    "attempt": 0,
                }
            ]
        }
    )

    object: Literal["suggestion"] = "suggestion"
    id: str
    experiment: str
    assignments: dict[str, int | float | str]
    """What to train with: a value for each parameter and each conditional that is switched on."""
    state: State
    """`closed` once an observation named it; `lapsed` when its lease ran out before that."""
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
    worker_id: str | None
    """Who holds it, when whoever asked said so."""
    lease_seconds: float | None
    """How long its worker may be silent; `null` without a lease."""
    lease_expires: float | None
    """When it lapses unless its worker makes a call before, in Unix seconds."""
    attempt: int
    """How often its configuration was handed out before and met a transient failure."""
    task: Task | None = hidden()
    """The task to run; only in multitask experiments."""

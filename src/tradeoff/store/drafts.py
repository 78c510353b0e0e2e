"""What is to be suggested, before anybody was given it, and the columns it is kept in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tradeoff.spec import tasks
from tradeoff.spec.values import Value


@dataclass(frozen=True, slots=True)
class Draft:
    """A suggestion to be kept: what `buffer.put_ready` and `opening.insert_open` write.

    Its assignments are a point of the engine: in a multitask experiment with the cost of the task,
    see `spec.tasks`.
    """

    assignments: Mapping[str, Value]
    source: str
    explanation: Mapping[str, Any] = field(default_factory=dict)


def tried_columns(draft: Draft) -> dict[str, Any]:
    """The columns of what is to be tried."""
    assignments, cost = tasks.split(draft.assignments)
    digest = hash_assignments(draft.assignments)
    return {"assignments": assignments, "task_cost": cost, "assignments_hash": digest}


def hash_assignments(assignments: Mapping[str, Value]) -> bytes:
    """The same 16 bytes for the same configuration, however its numbers were written."""
    canonical = {
        # A zero has no sign here.
        name: value if isinstance(value, str) else float(value) + 0.0
        for name, value in assignments.items()
    }
    text_form = json.dumps(canonical, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text_form.encode()).digest()[:16]

"""Best practices on the wire."""

from __future__ import annotations

from typing import Literal

from tradeoff.api.wire.base import Answer


class BestPractices(Answer):
    """What about an experiment makes good answers unlikely."""

    object: Literal["best_practices"] = "best_practices"
    violations: list[str]
    """What could be better, and how, in plain words; empty when nothing is noticed."""

"""Stopping criteria on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from tradeoff.api.wire.base import Answer


class StoppingCriteria(Answer):
    """Whether it is time to end an experiment."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "object": "stopping_criteria",
                    "should_stop": True,
                    "reasons": ["possible_stagnation"],
                }
            ]
        }
    )

    object: Literal["stopping_criteria"] = "stopping_criteria"
    should_stop: bool
    """Whether there is any reason."""
    reasons: list[Literal["possible_stagnation", "observation_budget_reached"]]
    """`observation_budget_reached`: more was observed than planned; `possible_stagnation`: the
    last observations, five for each parameter, brought nothing new."""

"""Checkpoints on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from tradeoff.api.wire.base import Answer, Create, check_metadata
from tradeoff.api.wire.observations import Evaluation
from tradeoff.api.wire.queries import Listing
from tradeoff.spec.experiment import MAX_METRICS
from tradeoff.spec.metrics import MetricEvaluation
from tradeoff.spec.values import Integer

MAX_METADATA_KEYS = 5


def _check_metadata(value: Any) -> dict[str, str | int | float]:
    metadata = check_metadata(value)
    if len(metadata) > MAX_METADATA_KEYS:
        raise ValueError(f"must have at most {MAX_METADATA_KEYS} keys, not {len(metadata)}")
    return metadata


def _refuse_stddev(evaluation: MetricEvaluation) -> MetricEvaluation:
    if evaluation.value_stddev is not None:
        raise ValueError("value_stddev: a checkpoint has none; leave it out")
    return evaluation


class CheckpointCreate(Create):
    """What a training has measured so far."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"step": 5, "values": [{"name": "efficiency", "value": 0.71}]}]
        }
    )

    step: Annotated[Integer, Field(ge=0)] | None = None
    """How far the training is, in a unit of your own, such as epochs; absent for one more than
    the last. The same unit in all trainings of an experiment, since they are compared by it."""
    values: Annotated[
        list[Annotated[MetricEvaluation, AfterValidator(_refuse_stddev)]],
        Field(min_length=1, max_length=MAX_METRICS),
    ]
    """One evaluation for each metric that was measured; at least one."""
    metadata: Annotated[dict[str, str | int | float], BeforeValidator(_check_metadata)] | None = (
        None
    )
    """Your own notes: up to 5 keys, each with a number or a string of up to 500 characters."""


class CheckpointList(Listing):
    """Which checkpoints are listed."""

    sort: Literal["id", "step"] = "id"
    """`step` orders by how far the training was."""


class Checkpoint(Answer):
    """What a training had measured at one moment, and whether it was told to stop."""

    object: Literal["checkpoint"] = "checkpoint"
    id: str
    experiment: str
    suggestion: str
    """Number of the suggestion that is tried."""
    step: int
    """How far the training was."""
    values: list[Evaluation]
    """Of the metrics that were measured, ordered by name."""
    metadata: dict[str, str | int | float] | None
    created: int
    should_stop: bool
    """The training is not expected to become one of the best any more. Stop it, and report what
    it has reached as its observation. Always false unless the experiment has `early_stopping`."""
    stopping_reasons: list[str]
    """Why it should stop, in words; empty when it should go on."""

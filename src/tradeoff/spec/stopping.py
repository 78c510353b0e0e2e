"""When a training may be told to stop before its end."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tradeoff.spec.values import Frozen, Integer, Number

#: Of the finished trainings that a running one is compared with, the newest so many.
MAX_TRAININGS = 1_000


class EarlyStopping(Frozen):
    """How sure it must be that a training stays dominated before it is told to stop."""

    object: Literal["early_stopping"] = Field(default="early_stopping", exclude=True, repr=False)
    min_step: Annotated[Integer, Field(ge=0)] = 1
    """Nothing is stopped before this step."""
    min_trainings: Annotated[Integer, Field(ge=2, le=MAX_TRAININGS)] = 5
    """Nothing is stopped before so many finished trainings have shown how values go on."""
    confidence: Annotated[Number, Field(ge=0.5, lt=1)] = 0.9
    """A running training is credited with what this share of its like could still
    gain at most: at 0.9, all but one in ten. Higher stops later and errs less."""

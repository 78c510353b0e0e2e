"""Which observations somebody has brushed: ranges on axes, all of which must hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeoff.errors import BadInput
from tradeoff.service import parallel
from tradeoff.service.points import Points
from tradeoff.spec.experiment import ExperimentSpec


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of one axis; choices of a category count from 0.

    Attributes:
        name: of a metric, a parameter or a conditional.
        low: the least value that is in it.
        high: the greatest.
    """

    name: str
    low: float
    high: float


def chosen(points: Points, spec: ExperimentSpec, ranges: Sequence[Range]) -> npt.NDArray[np.bool_]:
    """`n`: which of the points, that have assignments, lie in all ranges.

    Raises:
        BadInput: when there is no axis of such a name.
    """
    mask = np.ones(len(points.ids), dtype=bool)
    if not ranges:
        return mask
    axes = {axis.name: axis for axis in parallel.lines(points, spec, most=len(mask)).axes}
    for each in ranges:
        if each.name not in axes:
            raise BadInput(f"ranges: there is no metric or parameter {each.name[:100]!r}")
        values = axes[each.name].values
        mask &= (values >= each.low) & (values <= each.high)  # false where there is no value
    return mask

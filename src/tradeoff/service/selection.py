"""Which observations somebody has brushed: ranges on axes, all of which must hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeoff.errors import BadInput
from tradeoff.service import parallel
from tradeoff.service.parallel import Axis
from tradeoff.service.points import Points
from tradeoff.spec import filters
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


def as_filter(points: Points, spec: ExperimentSpec, ranges: Sequence[Range]) -> str | None:
    """The same in the words of `spec.filters`; `None` where there are none for it."""
    axes = {axis.name: axis for axis in parallel.lines(points, spec, most=1).axes}
    parts = [_condition(axes[each.name], each) for each in ranges]
    text = " and ".join(part for part in parts if part)
    if not parts or None in parts:
        return None
    try:
        filters.parse(text, spec)
    except BadInput:
        return None  # too long, or of a name with a backquote in it
    return text


def _condition(axis: Axis, within: Range) -> str | None:
    """What one range says."""
    kind = "metric" if axis.kind == "metric" else "parameter"
    name = f"{kind}.`{axis.name or 'value'}`"
    if not axis.levels:
        return f"{name} >= {within.low!r} and {name} <= {within.high!r}"
    levels = [level for k, level in enumerate(axis.levels) if within.low <= k <= within.high]
    quoted = [f"'{level}'" if "'" not in level else f'"{level}"' for level in levels]
    if not levels or any("'" in level and '"' in level for level in levels):
        return None
    return "(" + " or ".join(f"{name} = {each}" for each in quoted) + ")"


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

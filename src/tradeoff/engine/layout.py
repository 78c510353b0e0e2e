"""Which lengthscale each column of `X` has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeoff.engine.space import Space

#: Lengthscales of a category with more choices than this are tied.
MAX_FREE_CHOICES = 16


@dataclass(frozen=True, slots=True)
class Layout:
    """Which lengthscale each column of `X` has.

    Attributes:
        groups: `D`, index of the lengthscale of each column.
        dimensions: number of parameters, which scales the prior (columns of one category share).
    """

    groups: npt.NDArray[np.intp]
    dimensions: int

    @classmethod
    def of(cls, space: Space) -> Layout:
        """One lengthscale per column, and one for each category with very many choices."""
        groups: list[int] = []
        for dimension in space.dimensions:
            first = groups[-1] + 1 if groups else 0
            tied = dimension.kind == "choice" and dimension.size > MAX_FREE_CHOICES
            groups += [first if tied else first + k for k in range(dimension.width)]
        return cls(np.array(groups, dtype=np.intp), len(space.dimensions))

    @property
    def size(self) -> int:
        """Number of lengthscales."""
        return int(self.groups[-1]) + 1


def default_lengths(layout: Layout) -> npt.NDArray[np.float64]:
    """`size` lengthscales where nothing was fitted yet."""
    return np.full(layout.size, 0.5 * np.sqrt(layout.dimensions))

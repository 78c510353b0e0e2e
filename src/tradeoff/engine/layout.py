"""Which lengthscale each column of `X` has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeoff.engine.space import Space


@dataclass(frozen=True, slots=True)
class Layout:
    """Which lengthscale each column of `X` has.

    Attributes:
        groups: `D`, index of the lengthscale of each column.
        is_number: for each lengthscale whether it is a number's, not a category's.
    """

    groups: npt.NDArray[np.intp]
    is_number: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, space: Space) -> Layout:
        """One lengthscale for each number and for each category.

        A category's choices share theirs: with one each less was found (benchmarks/RESULTS.md).
        """
        widths = [dimension.width for dimension in space.dimensions]
        is_number = [dimension.kind != "choice" for dimension in space.dimensions]
        return cls(np.repeat(np.arange(len(widths)), widths), np.array(is_number))

    def with_numbers(self, count: int) -> Layout:
        """The same with so many more columns, each a number with a lengthscale of its own."""
        groups = np.append(self.groups, self.size + np.arange(count))
        return Layout(groups, np.append(self.is_number, np.ones(count, dtype=bool)))

    @property
    def size(self) -> int:
        """Number of lengthscales, which is the number of parameters and scales their prior."""
        return len(self.is_number)


def default_lengths(layout: Layout) -> npt.NDArray[np.float64]:
    """`size` lengthscales where nothing was fitted yet."""
    return np.full(layout.size, 0.5 * np.sqrt(layout.size))

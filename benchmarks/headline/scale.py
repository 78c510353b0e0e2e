"""How large a run is."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from examples.keras_diatoms.diatoms import Diatoms, Labels, Series
from examples.keras_diatoms.question import PARAMETERS


@dataclass(frozen=True)
class Scale:
    """The size of a run.

    Attributes:
        name: of its results.
        epochs: of each training.
        random: how many random configurations.
        suggestions: the budget of our search.
        parallel: so many suggestions are open, and trained, at once.
        together: so many random configurations are trained at once.
        filters_divided_by: of the bounds of the numbers of filters.
        timed_series: are read at once where the time is taken.
        resamples: of the random results, at the budget of our search.
        first: so many of our suggestions are looked at alone; a tenth by default.
        classes: of diatoms, the first so many; all by default.
        averaged: so many neighbouring points of a series become one.
    """

    name: str
    epochs: int
    random: int
    suggestions: int
    parallel: int
    together: int
    filters_divided_by: int = 1
    timed_series: int = 391
    resamples: int = 800
    first: int | None = None
    classes: int | None = None
    averaged: int = 1

    @property
    def looked_at(self) -> int:
        """How many of our first suggestions are looked at alone."""
        return self.first or max(1, self.suggestions // 10)

    def reduce(self, data: Diatoms) -> Diatoms:
        """The part of the data that a run of this scale trains and validates with."""
        return Diatoms(
            *self._reduce(data.train, data.train_labels),
            *self._reduce(data.validate, data.validate_labels),
        )

    def _reduce(self, series: Series, labels: Labels) -> tuple[Series, Labels]:
        if self.classes is not None:
            kept = labels < self.classes
            series, labels = series[kept], labels[kept]
        if self.averaged > 1:
            count = series.shape[1] // self.averaged
            parts = series[:, : count * self.averaged].reshape(-1, count, self.averaged, 1)
            series = parts.mean(axis=2)
        return series, labels

    def parameters(self) -> list[dict[str, Any]]:
        """The parameters of the example, with fewer filters if the scale says so."""
        parameters = copy.deepcopy(PARAMETERS)
        for parameter in parameters:
            if parameter["name"].endswith("num_filters"):
                for bound in ("min", "max"):
                    parameter["bounds"][bound] //= self.filters_divided_by
        return parameters


#: The seed's: 4,800 random trainings, 480 suggestions, 500 epochs. For a GPU.
FULL = Scale("full", epochs=500, random=4800, suggestions=480, parallel=16, together=48)
#: For two cores and an hour or two: a smaller question of the same kind, on the same data, large
#: enough to tell two searches apart. Of ours, a tenth as many as random ones are looked at as well.
REDUCED = Scale(
    "reduced",
    epochs=40,
    random=480,
    suggestions=96,
    parallel=2,
    together=8,
    filters_divided_by=8,
    timed_series=107,
    first=48,
    classes=10,
    averaged=8,
)
#: To see that all works on two cores: small networks, short trainings, a few minutes.
QUICK = Scale(
    "quick",
    epochs=5,
    random=60,
    suggestions=20,
    parallel=2,
    together=4,
    filters_divided_by=8,
    timed_series=64,
)
#: For a test of the whole in seconds; it proves nothing about the search.
TINY = Scale(
    "tiny",
    epochs=1,
    random=12,
    suggestions=10,
    parallel=2,
    together=6,
    filters_divided_by=16,
    timed_series=8,
    resamples=50,
)
BY_NAME = {scale.name: scale for scale in (FULL, REDUCED, QUICK, TINY)}

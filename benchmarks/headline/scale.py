"""How large a run is."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from examples.keras_diatoms.question import PARAMETERS


@dataclass(frozen=True)
class Scale:
    """The size of a run.

    Attributes:
        name: of its results.
        epochs: of each training.
        random: how many random configurations.
        suggestions: the budget of our search; its first tenth is looked at as well.
        parallel: so many suggestions are open, and trained, at once.
        together: so many random configurations are trained at once.
        filters_divided_by: of the bounds of the numbers of filters.
        timed_series: are read at once where the time is taken.
        resamples: of the random results, at the budget of our search.
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
#: For two cores: small networks, short trainings, a few minutes.
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
BY_NAME = {scale.name: scale for scale in (FULL, QUICK, TINY)}

"""A weak belief that good values lie inside the ranges; it fades as observations come in.

Whoever gives a range expects more of its inside than of its ends. A stationary model knows nothing
of that: its variance is largest in the corners of the cube, of which there are `2^d`, and with few
observations the improvement is mostly variance. A search without this belief spends its first
suggestions on corners, and learns little there.

The belief is a density in each number, which enters the utility with a power that falls with the
observations [Hvarfner2022]: as the square of how many there are for each number, so that it decides
while the model knows next to nothing, and is gone before the search is over.
Good values on a wall are found all the same (benchmarks/RESULTS.md).

References:
    [Hvarfner2022] C. Hvarfner, D. Stoll, A. Souza, M. Lindauer, F. Hutter, L. Nardi. PiBO:
        augmenting acquisition functions with user beliefs for Bayesian optimization. ICLR, 2022.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tradeoff.engine.space import Space

#: The power of the density until there are as many observations as numbers.
STRENGTH = 2.0
#: Of more numbers than this each one counts less, or their sum would be all that counts.
MANY = 6
#: What the density, 1 in the middle of a range, has at its ends.
FLOOR = 0.05


class Interior:
    """The logarithm of the belief, as a term of a log utility."""

    def __init__(self, space: Space, observations: int, device: torch.device):
        """Set up for a space.

        Args:
            space: the search space. A parameter with a prior has a belief of its own already.
            observations: how many with values were seen.
            device: to compute on.
        """
        columns = [
            dimension.start
            for dimension in space.dimensions
            if dimension.kind != "choice"
            and dimension.parameter is not None
            and dimension.parameter.prior is None
        ]
        self._columns = torch.as_tensor(np.array(columns, dtype=np.intp), device=device)
        self._power = _power(len(columns), observations)

    def log_density(self, Z: Tensor) -> Tensor:
        """`N` logarithms of the density at the rows of `Z`, times its power."""
        z = Z[..., self._columns].clamp(0.0, 1.0)
        density = FLOOR + (1 - FLOOR) * 4 * z * (1 - z)
        value: Tensor = self._power * density.log().sum(-1)
        return value


def _power(numbers: int, observations: int) -> float:
    share = min(1.0, numbers / max(observations, 1))
    return STRENGTH * share**2 * min(1.0, MANY / max(numbers, 1))

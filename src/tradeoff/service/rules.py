"""Where it fails, in plain words: the worst leaf of a shallow classification tree [Breiman1984].

References:
    [Breiman1984] L. Breiman, J. H. Friedman, R. A. Olshen, C. J. Stone. Classification and
        regression trees. Wadsworth, 1984.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradeoff.service.parallel import Axis

Mask = npt.NDArray[np.bool_]

#: How many conditions a rule may have.
DEPTH = 3
#: A rule must hold for so many failures, and for this share of them.
LEAST_FAILURES, LEAST_SHARE = 3, 0.2
#: It is worth telling when it fails so many times as often inside as outside.
WORTH_TELLING = 2.0
#: Cuts that are tried of one number.
CUTS = 32
#: A condition must remove this share of the impurity that is left, or it says nothing.
LEAST_GAIN = 0.02


@dataclass(frozen=True, slots=True)
class Condition:
    """One side of a split.

    Attributes:
        name: of the parameter.
        relation: `above`, `at most`, `is` or `is not`.
        value: the cut, or the choice.
    """

    name: str
    relation: str
    value: float | str


@dataclass(frozen=True, slots=True)
class Rule:
    """Where it fails.

    Attributes:
        conditions: all of which hold there.
        failed_inside: failures where they hold.
        inside: observations where they hold.
        failed_outside: failures elsewhere.
        outside: observations elsewhere.
    """

    conditions: tuple[Condition, ...]
    failed_inside: int
    inside: int
    failed_outside: int
    outside: int


def find(axes: Sequence[Axis], failed: Mask) -> Rule | None:
    """The rule that tells failures best, or `None` when no simple one does.

    Args:
        axes: the parameters, each with `n` values.
        failed: `n`.
    """
    if not failed.any() or failed.all():
        return None
    mask, conditions = np.ones(len(failed), dtype=bool), []
    for _ in range(DEPTH):
        best = _best_split(axes, failed, mask)
        if best is None:
            break
        conditions.append(best[0])
        mask = best[1]
    inside, bad = int(mask.sum()), int((failed & mask).sum())
    outside, bad_outside = len(failed) - inside, int(failed.sum()) - bad
    if not conditions or not outside:
        return None
    if bad / inside < WORTH_TELLING * max(bad_outside / outside, 0.5 / len(failed)):
        return None
    return Rule(_joined(conditions), bad, inside, bad_outside, outside)


def split_gain(axis: Axis, failed: Mask) -> float:
    """How much of the impurity the best single split by this axis removes, from 0 to 1."""
    everywhere = np.ones(len(failed), dtype=bool)
    splits = _splits(axis, everywhere)
    total = _impurity(failed, everywhere)
    if total <= 0 or not splits:
        return 0.0
    return max((total - _impurity(failed, m) - _impurity(failed, ~m)) / total for _, m in splits)


def _best_split(axes: Sequence[Axis], failed: Mask, mask: Mask) -> tuple[Condition, Mask] | None:
    """The side of a split of `mask` where failures gather most, and which rows it holds."""
    total = _impurity(failed, mask)
    if total <= 0:
        return None
    share = LEAST_SHARE * int(failed.sum())
    best, chosen = LEAST_GAIN * total, None
    rate = failed[mask].mean()
    for axis in axes:
        for condition, side in _splits(axis, mask):
            count, bad = int(side.sum()), int((failed & side).sum())
            if bad < max(LEAST_FAILURES, share) or bad / count <= rate:
                continue
            gain = total - _impurity(failed, side) - _impurity(failed, mask & ~side)
            if gain > best:
                best, chosen = gain, (condition, side)
    return chosen


def _impurity(failed: Mask, mask: Mask) -> float:
    """Gini impurity times the number of rows."""
    count = int(mask.sum())
    if not count:
        return 0.0
    bad = int((failed & mask).sum())
    return 2.0 * bad * (count - bad) / count


def _splits(axis: Axis, mask: Mask) -> list[tuple[Condition, Mask]]:
    """Both sides of every split of `mask` by an axis; where it is switched off is on neither."""
    known = mask & np.isfinite(axis.values)
    values = axis.values
    if axis.levels:
        sides = []
        present = np.unique(values[known])
        for index in present.astype(int).tolist() if len(present) > 1 else []:
            here, level = known & (values == index), axis.levels[index]
            sides.append((Condition(axis.name, "is", level), here))
            if len(present) > 2:
                sides.append((Condition(axis.name, "is not", level), known & ~here))
        return sides
    present = np.unique(values[known])
    if len(present) < 2:
        return []
    middles = np.sqrt(present[1:] * present[:-1]) if axis.log else (present[1:] + present[:-1]) / 2
    if len(middles) > CUTS:
        middles = middles[np.linspace(0, len(middles) - 1, CUTS).astype(int)]
    sides = []
    for cut in middles.tolist():
        sides += [
            (Condition(axis.name, "above", cut), known & (values > cut)),
            (Condition(axis.name, "at most", cut), known & (values <= cut)),
        ]
    return sides


def _joined(conditions: Sequence[Condition]) -> tuple[Condition, ...]:
    """The conditions with the last, tightest, cut of each parameter on each side."""
    last = {
        (
            condition.name,
            condition.relation,
            condition.value if condition.relation == "is not" else None,
        ): condition
        for condition in conditions
    }
    named = {c.name for c in conditions if c.relation == "is"}
    return tuple(c for c in last.values() if not (c.relation == "is not" and c.name in named))

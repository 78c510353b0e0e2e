"""Who beats whom, and how much: non-dominated rows and the hypervolume. All metrics are maximised.

References:
    [Fonseca2006] C. M. Fonseca, L. Paquete, M. López-Ibáñez. An improved dimension-sweep algorithm
        for the hypervolume indicator. IEEE CEC, 2006.
    [While2012] L. While, L. Bradstreet, L. Barone. A fast way of calculating exact hypervolumes.
        IEEE Transactions on Evolutionary Computation, 2012.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: The reference point lies this share of the front's range below its worst values.
REFERENCE_SLACK = 0.1


def non_dominated(Y: npt.ArrayLike) -> Mask:
    """Tell which outcomes no other outcome beats.

    Args:
        Y: `n x m` outcomes, all to be maximised. A row with NaN never counts as non-dominated.

    Returns:
        `n` booleans. Of equal rows only the first is kept.

    Raises:
        ValueError: if `Y` is not two-dimensional.
    """
    outcomes = np.asarray(Y, dtype=np.float64)
    if outcomes.ndim != 2:
        raise ValueError(f"Y must have two dimensions, not {outcomes.ndim}")
    mask = np.zeros(len(outcomes), dtype=bool)
    if outcomes.shape[1] == 0:
        return mask
    rows = np.flatnonzero(~np.isnan(outcomes).any(axis=1))
    # Best first, equal rows in their order: a row can then only be beaten by an earlier one.
    order = rows[np.lexsort((rows, *(-outcomes[rows].T[::-1])))]
    left = outcomes[order]
    while len(order):
        mask[order[0]] = True
        # Equal rows go as well: only the first is kept.
        stays = (left > left[0]).any(axis=1)
        order, left = order[stays], left[stays]
    return mask


def hypervolume(Y: npt.ArrayLike, ref_point: npt.ArrayLike) -> float:
    """The volume that the outcomes dominate above a reference point.

    Args:
        Y: `n x m` outcomes, all to be maximised; rows not above the reference count nothing.
        ref_point: `m` values.

    Returns:
        The volume, in the product of the metrics' units; 0 without outcomes.

    Raises:
        ValueError: if the shapes do not agree.
    """
    reference = np.asarray(ref_point, dtype=np.float64)
    outcomes = np.asarray(Y, dtype=np.float64).reshape(-1, len(reference))
    gains = outcomes - reference
    gains = gains[(gains > 0).all(axis=1)]
    return _volume(gains[non_dominated(gains)])


def reference_point(Y: npt.ArrayLike) -> Array:
    """A reference point for reporting the hypervolume when the user gave no thresholds.

    The worst value of each metric on the front, less a tenth of its range there. Where the front
    has no range, the range of all outcomes is taken, and without that a tenth of the value itself.

    Args:
        Y: `n x m` outcomes, all to be maximised; rows with NaN do not count.

    Returns:
        `m` values; zeros when there is no outcome.
    """
    outcomes = np.atleast_2d(np.asarray(Y, dtype=np.float64))
    outcomes = outcomes[np.isfinite(outcomes).all(axis=1)]
    if not len(outcomes):
        return np.zeros(outcomes.shape[1])
    front = outcomes[non_dominated(outcomes)]
    span = np.ptp(front, axis=0)
    span = np.where(span > 0, span, np.ptp(outcomes, axis=0))
    span = np.where(span > 0, span, np.abs(front[0]))
    span = np.where(span > 0, span, 1.0)
    worst: Array = front.min(axis=0)
    return worst - REFERENCE_SLACK * span


def _volume(front: Array) -> float:
    """Volume between the origin and mutually non-dominated positive rows."""
    if not len(front):
        return 0.0
    if front.shape[1] == 1:
        return float(front.max())
    if front.shape[1] == 2:
        return _area(front)
    if front.shape[1] == 3:
        return _sweep(front)
    return _exclusive_sum(front)


def _area(front: Array) -> float:
    """Sum of strips: with the first metric falling, the second rises."""
    ordered = front[np.argsort(-front[:, 0], kind="stable")]
    heights = np.maximum.accumulate(ordered[:, 1])
    return float((ordered[:, 0] * np.diff(heights, prepend=0.0)).sum())


def _sweep(front: Array) -> float:
    """Slices along the last metric, each with the area of the rows above it [Fonseca2006]."""
    ordered = front[np.argsort(-front[:, 2], kind="stable")]
    depths = ordered[:, 2] - np.append(ordered[1:, 2], 0.0)
    return float(sum(depth * _area(ordered[: k + 1, :2]) for k, depth in enumerate(depths)))


def _exclusive_sum(front: Array) -> float:
    """Each row's own box, less what the rows after it cover of that box [While2012]."""
    total = 0.0
    ordered = front[np.argsort(-front[:, -1], kind="stable")]
    for k, row in enumerate(ordered):
        limited = np.minimum(ordered[k + 1 :], row)
        total += float(np.prod(row)) - _volume(limited[non_dominated(limited)])
    return total

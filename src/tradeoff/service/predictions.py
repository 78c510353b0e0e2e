"""How good the models are: each value predicted from all others."""

from __future__ import annotations

import numpy as np

from tradeoff.engine import review
from tradeoff.engine.data import build_data
from tradeoff.engine.review import Prediction
from tradeoff.engine.space import Space
from tradeoff.engine.state import State
from tradeoff.service import failures
from tradeoff.service.points import Points
from tradeoff.store import tables


def left_out(
    experiment: tables.Experiment, points: Points
) -> dict[str, tuple[Prediction, tuple[int, ...]]]:
    """The predictions of each modelled metric, and which observations they are of.

    Args:
        experiment: whose.
        points: its observations, with assignments.

    Returns:
        By metric; empty while no model was fitted.
    """
    if experiment.engine_state is None:
        return {}
    state = State.from_json(experiment.engine_state)
    rows = np.flatnonzero(~points.transient)[-failures.NEWEST :]
    space = Space(experiment.spec)
    data = build_data(space, failures.history(points, rows))
    ids = points.ids[rows][~data.failed]
    found = {}
    for column, metric in enumerate(data.metrics):
        prediction = review.predict_left_out(space, data, state, column)
        if prediction is not None:
            found[metric.key] = (prediction, tuple(ids[prediction.rows].tolist()))
    return found

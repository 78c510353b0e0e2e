"""SigOpt's optimizer, as its authors published it: `sigoptlite` behind the official client."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from sigopt import Connection
from sigoptlite.driver import LocalDriver

#: It fills space until it has as many observations as this many times the parameters.
DESIGN_FACTOR = 2


class Search:
    """An experiment in memory."""

    def __init__(self, question: dict[str, Any]):
        random.seed(question["seed"])
        np.random.seed(question["seed"])  # noqa: NPY002 - the library draws from it
        self.objectives, self.constraints = question["objectives"], question["constraints"]
        self.connection = Connection(driver=LocalDriver)
        metrics = [{"name": name, "objective": "maximize"} for name in self.objectives]
        metrics += [
            {"name": name, "objective": "maximize", "strategy": "constraint", "threshold": 0.0}
            for name in self.constraints
        ]
        self.experiment = self.connection.experiments().create(
            name="benchmark",
            parameters=[_parameter(p) for p in question["parameters"]],
            metrics=metrics,
            observation_budget=200,
            parallel_bandwidth=1,
        )
        self.design = DESIGN_FACTOR * len(question["parameters"])
        self.finished = 0

    def ask(self, count: int) -> list[tuple[dict[str, Any], str, bool]]:
        asked = []
        for _ in range(count):
            suggestion = self._experiment().suggestions().create()
            point = dict(suggestion.assignments.to_json())
            asked.append((point, suggestion.id, self.finished >= self.design))
        return asked

    def tell(self, suggestion: str, values: dict[str, float] | None) -> None:
        report: dict[str, Any] = {"failed": True}
        if values is not None:
            names = [*self.objectives, *self.constraints]
            report = {"values": [{"name": name, "value": values[name]} for name in names]}
        self._experiment().observations().create(suggestion=suggestion, **report)
        self.finished += 1

    def _experiment(self) -> Any:
        return self.connection.experiments(self.experiment.id)


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    if parameter["type"] == "categorical":
        return {key: parameter[key] for key in ("name", "type", "categorical_values")}
    kept = {key: parameter[key] for key in ("name", "type", "bounds")}
    if parameter["transformation"] is not None:
        kept["transformation"] = parameter["transformation"]
    if parameter["type"] == "int":
        kept["bounds"] = {end: int(value) for end, value in kept["bounds"].items()}
    return kept

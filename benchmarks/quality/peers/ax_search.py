"""Ax: what its client suggests by default."""

from __future__ import annotations

import logging
from typing import Any

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig


class Search:
    """An Ax experiment in memory."""

    def __init__(self, question: dict[str, Any]):
        logging.disable(logging.CRITICAL)
        self.client = Client(random_seed=question["seed"])
        self.client.configure_experiment([_parameter(p) for p in question["parameters"]])
        self.client.configure_optimization(
            objective=", ".join(question["objectives"]),
            outcome_constraints=[f"{name} >= 0" for name in question["constraints"]],
        )

    def ask(self, count: int) -> list[tuple[dict[str, Any], int, bool]]:
        trials = self.client.get_next_trials(max_trials=count)
        while len(trials) < count:
            trials |= self.client.get_next_trials(max_trials=count - len(trials))
        return [(dict(point), index, self._is_modelled(index)) for index, point in trials.items()]

    def tell(self, index: int, values: dict[str, float] | None) -> None:
        if values is None:
            self.client.mark_trial_failed(index)
        else:
            self.client.complete_trial(index, raw_data=dict(values))

    def _is_modelled(self, index: int) -> bool:
        run = self.client._experiment.trials[index].generator_runs[0]
        return "BO" in str(run._generation_node_name) or "MBM" in str(run._generation_node_name)


def _parameter(parameter: dict[str, Any]) -> ChoiceParameterConfig | RangeParameterConfig:
    if parameter["type"] == "categorical":
        return ChoiceParameterConfig(
            name=parameter["name"],
            parameter_type="str",
            values=parameter["categorical_values"],
            is_ordered=False,
        )
    low, high = parameter["bounds"]["min"], parameter["bounds"]["max"]
    is_int = parameter["type"] == "int"
    return RangeParameterConfig(
        name=parameter["name"],
        parameter_type="int" if is_int else "float",
        bounds=(int(low), int(high)) if is_int else (low, high),
        scaling="log" if parameter["transformation"] == "log" else None,
    )

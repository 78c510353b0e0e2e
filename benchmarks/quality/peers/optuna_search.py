"""Optuna: its TPE sampler or its Gaussian process sampler, with their defaults."""

from __future__ import annotations

from typing import Any

import optuna

#: Both samplers draw at random before so many finished trials.
STARTUP = 10


class Search:
    """An Optuna study in memory."""

    def __init__(self, question: dict[str, Any]):
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.objectives, self.constraints = question["objectives"], question["constraints"]
        make = optuna.samplers.GPSampler if question["peer"] == "optuna-gp" else _tpe
        options = {"constraints_func": _violations} if self.constraints else {}
        self.study = optuna.create_study(
            sampler=make(seed=question["seed"], **options),
            directions=["maximize"] * len(self.objectives),
        )
        self.space = {p["name"]: _distribution(p) for p in question["parameters"]}
        self.finished = 0

    def ask(self, count: int) -> list[tuple[dict[str, Any], Any, bool]]:
        trials = [self.study.ask(self.space) for _ in range(count)]
        return [(trial.params, trial, self.finished >= STARTUP) for trial in trials]

    def tell(self, trial: Any, values: dict[str, float] | None) -> None:
        if values is None:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
            return
        # Optuna counts a constraint as met at 0 and below.
        trial.set_user_attr("violations", [-values[name] for name in self.constraints])
        self.study.tell(trial, [values[name] for name in self.objectives])
        self.finished += 1


def _tpe(**options: Any) -> optuna.samplers.BaseSampler:
    return optuna.samplers.TPESampler(**options)


def _violations(trial: optuna.trial.FrozenTrial) -> list[float]:
    violations: list[float] = trial.user_attrs["violations"]
    return violations


def _distribution(parameter: dict[str, Any]) -> optuna.distributions.BaseDistribution:
    if parameter["type"] == "categorical":
        return optuna.distributions.CategoricalDistribution(parameter["categorical_values"])
    low, high = parameter["bounds"]["min"], parameter["bounds"]["max"]
    if parameter["type"] == "int":
        return optuna.distributions.IntDistribution(int(low), int(high))
    return optuna.distributions.FloatDistribution(
        low, high, log=parameter["transformation"] == "log"
    )

"""A sampler for Optuna that asks a Tradeoff server: the study stays as it is.

    study = optuna.create_study(directions=["maximize", "minimize"], sampler=TradeoffSampler())
    study.optimize(objective, n_trials=60)

The first trial is drawn at random and shows which parameters there are; then an experiment is
made of them, and the trials that the study has by then are reported to it. A parameter that is not
in every trial is drawn at random, as it is by Optuna's own samplers of whole configurations.
Trials that raise are failures, which Optuna's samplers ignore and ours learns from. A pruned trial
counts with the last value that it reported.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import intersection_search_space
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tradeoff.client import Client
from tradeoff.client.resources import Experiment, ExperimentResource

#: Under these keys a study and its trials remember what they are on the server.
EXPERIMENT = "tradeoff:experiment"
SUGGESTION = "tradeoff:suggestion"
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
#: A float parameter with steps is a grid on the wire, which has so many points at most.
MOST_STEPS = 10_000

logger = logging.getLogger(__name__)


class TradeoffSampler(BaseSampler):
    """Takes the parameters of trials from a Tradeoff server, and reports what they came to.

    Any number of processes may share a study: the experiment's id is kept in its storage.

    Args:
        client: how to reach the server; by default as `Client()` does.
        search_space: the parameters, if they shall not be worked out from the first trial.
        budget: about how many trials there will be; more are suggested all the same.
        seed: of what is drawn at random.
    """

    def __init__(
        self,
        client: Client | None = None,
        *,
        search_space: Mapping[str, BaseDistribution] | None = None,
        budget: int = 100,
        seed: int | None = None,
    ) -> None:
        self._client = client or Client()
        self._search_space = search_space
        self._budget = budget
        self._random = RandomSampler(seed)
        self._lock = threading.Lock()

    def reseed_rng(self) -> None:
        """Give threads different random draws."""
        self._random.reseed_rng()

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters that are asked for: those of the experiment, in their order."""
        known = study._storage.get_study_system_attrs(study._study_id).get(EXPERIMENT)
        if known is not None:
            found = self._search_space or intersection_search_space(_finished(study))
            return {name: found[name] for name in known["parameters"] if name in found}
        if self._search_space is not None:
            return dict(self._search_space)
        found = intersection_search_space(_finished(study))
        return {name: each for name, each in found.items() if not each.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Ask for a suggestion."""
        if not search_space:
            return {}
        with self._lock:
            experiment = self._experiment_of(study) or self._create(study, search_space)
        suggestion = experiment.suggestions().create()
        study._storage.set_trial_system_attr(trial._trial_id, SUGGESTION, suggestion.id)
        return {
            name: _decode(suggestion.assignments[name], each) for name, each in search_space.items()
        }

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw at random what the experiment does not have."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Report what a trial came to."""
        suggestion = trial.system_attrs.get(SUGGESTION)
        experiment = self._experiment_of(study)
        if suggestion is None or experiment is None or state not in FINISHED:
            return
        outcome = _outcome(state, values, trial.intermediate_values)
        noted = {"optuna_trial": trial.number}
        experiment.observations().create(suggestion=suggestion, metadata=noted, **outcome)

    def _experiment_of(self, study: Study) -> ExperimentResource | None:
        known = study._storage.get_study_system_attrs(study._study_id).get(EXPERIMENT)
        return None if known is None else self._client.experiments(known["id"])

    def _create(
        self, study: Study, search_space: Mapping[str, BaseDistribution]
    ) -> ExperimentResource:
        """Make the experiment, and report what the study knows already."""
        body = {
            "name": study.study_name,
            "parameters": [_define(name, each) for name, each in search_space.items()],
            "metrics": [
                {"name": f"value_{index}", "objective": _objective(direction)}
                for index, direction in enumerate(study.directions)
            ],
            "observation_budget": self._budget,
        }
        # Processes that come here at the same moment are given the same experiment.
        trials = study.get_trials(deepcopy=False)
        began = trials[0].datetime_start if trials else None
        key = f"optuna-{study._study_id}-{began and began.timestamp()}"
        made = self._client.request("POST", "/experiments", body=body, key=key)
        self._report_finished(study, Experiment(self._client, made), search_space)
        known = {"id": made["id"], "parameters": list(search_space)}
        study._storage.set_study_system_attr(study._study_id, EXPERIMENT, known)
        return self._client.experiments(made["id"])

    def _report_finished(
        self, study: Study, experiment: Experiment, search_space: Mapping[str, BaseDistribution]
    ) -> None:
        bodies = [
            {
                "assignments": {
                    name: _encode(trial.params[name], each) for name, each in search_space.items()
                },
                "metadata": {"optuna_trial": trial.number},
                **_outcome(trial.state, trial.values, trial.intermediate_values),
            }
            for trial in _finished(study)
            if set(search_space) <= set(trial.params)
        ]
        for start in range(0, len(bodies), 2500):
            path = f"/experiments/{experiment.id}/observations/batch"
            part = {"observations": bodies[start : start + 2500]}
            self._client.request("POST", path, body=part, key=f"optuna-{experiment.id}-{start}")


def _finished(study: Study) -> list[FrozenTrial]:
    trials: list[FrozenTrial] = study.get_trials(deepcopy=False, states=FINISHED)
    return trials


def _objective(direction: StudyDirection) -> str:
    return "maximize" if direction == StudyDirection.MAXIMIZE else "minimize"


def _outcome(
    state: TrialState, values: Sequence[float] | None, on_the_way: Mapping[int, float]
) -> dict[str, Any]:
    """What a trial came to, as an observation has it."""
    if state == TrialState.PRUNED and on_the_way:
        values = [on_the_way[max(on_the_way)]]
    if state == TrialState.FAIL or not values or not all(map(math.isfinite, values)):
        return {"failed": True}
    return {
        "values": [{"name": f"value_{index}", "value": value} for index, value in enumerate(values)]
    }


def _define(name: str, distribution: BaseDistribution) -> dict[str, Any]:
    """A parameter as the wire has it.

    Raises:
        ValueError: when it has more steps than a grid may have.
    """
    if isinstance(distribution, CategoricalDistribution):
        texts = [str(each) for each in distribution.choices]
        return {"name": name, "type": "categorical", "categorical_values": texts}
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high, step = distribution.low, distribution.high, distribution.step
    if isinstance(distribution, IntDistribution):
        if step == 1:
            return {"name": name, "type": "int", "bounds": {"min": low, "max": high}}
        return {"name": name, "type": "int", "grid": list(range(low, high + 1, int(step or 1)))}
    if step is not None:
        count = round((high - low) / step) + 1
        if count > MOST_STEPS:
            raise ValueError(f"{name}: has {count} steps; at most {MOST_STEPS} can be suggested")
        return {"name": name, "type": "double", "grid": [low + i * step for i in range(count)]}
    defined = {"name": name, "type": "double", "bounds": {"min": low, "max": high}}
    return defined | {"transformation": "log"} if distribution.log else defined


def _decode(value: Any, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return next(each for each in distribution.choices if str(each) == value)
    return value


def _encode(value: Any, distribution: BaseDistribution) -> Any:
    return str(value) if isinstance(distribution, CategoricalDistribution) else value

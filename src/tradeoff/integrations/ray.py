"""A searcher for Ray Tune that asks a Tradeoff server, with any number of metrics.

    searcher = TradeoffSearcher(metric=["accuracy", "inference_ms"], mode=["max", "min"])
    tuner = tune.Tuner(
        train, param_space={"lr": tune.loguniform(1e-4, 1e-1), "layers": tune.randint(1, 9)},
        tune_config=tune.TuneConfig(search_alg=searcher, num_samples=60),
    )
    tuner.fit()

A trial that ends with an error is a failure, and so is one whose metrics are no numbers. A trial
that a scheduler stops counts with its last result.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher
from ray.tune.search.sample import Categorical, Domain, Float, Integer, LogUniform, Uniform

from tradeoff.client import Client
from tradeoff.client.resources import ExperimentResource
from tradeoff.integrations.space import Range, Space

#: Between the names of a nested configuration.
SEPARATOR = "/"
OBJECTIVES = {"max": "maximize", "min": "minimize"}


class TradeoffSearcher(Searcher):
    """Takes the configurations of trials from a Tradeoff server, and reports what they came to.

    After the first suggestion `experiment_id` is that of its experiment.

    Args:
        metric: names in the trials' results; by default the one of `TuneConfig`.
        mode: `max` or `min` for each of them.
        client: how to reach the server; by default as `Client()` does, and so it is again in a
            searcher that was restored.
        budget: about how many trials there will be; more are suggested all the same.
        name: of the experiment.
        experiment_id: of one to go on with, of the same space and metrics; by default one is made.
    """

    def __init__(
        self,
        metric: str | list[str] | None = None,
        mode: str | list[str] | None = None,
        *,
        client: Client | None = None,
        budget: int = 100,
        name: str = "Ray Tune",
        experiment_id: str | None = None,
    ) -> None:
        super().__init__(metric=metric, mode=mode)
        self._metric: Any = metric
        self._mode: Any = mode
        self._client = client
        self._budget = budget
        self._name = name
        self._space: Space | None = None
        self._suggestions: dict[str, str] = {}
        self.experiment_id = experiment_id

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Take over the search space and the metric of a `Tuner`.

        Raises:
            ValueError: when a part of the space cannot be suggested; the message names it.
        """
        if self._space is not None:
            return False
        self._metric = self._metric or metric
        self._mode = self._mode or mode or "max"
        self._space = Space(dict(_ranges(config)))
        return True

    def suggest(self, trial_id: str) -> dict[str, Any]:
        """Ask for a configuration.

        Raises:
            ValueError: when there is no search space or no metric yet.
        """
        if self._space is None or not self._metric:
            raise ValueError("the searcher needs a param_space with ranges, and a metric")
        suggestion = self._experiment(self._space).suggestions().create()
        self._suggestions[trial_id] = suggestion.id
        nested: dict[str, Any] = {}
        for name, value in self._space.decode(suggestion.assignments).items():
            *path, last = name.split(SEPARATOR)
            inner = nested
            for part in path:
                inner = inner.setdefault(part, {})
            inner[last] = value
        return nested

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Report what a trial came to; one that ends without a word is given back."""
        suggestion = self._suggestions.pop(trial_id, None)
        if suggestion is None or self._space is None:
            return
        experiment = self._experiment(self._space)
        if not error and result is None:
            experiment.suggestions(suggestion).delete()
            return
        values = {name: (result or {}).get(name) for name in self._metrics}
        failed = error or not all(_is_number(value) for value in values.values())
        outcome: dict[str, Any] = {"failed": True}
        if not failed:
            outcome = {"values": [{"name": k, "value": v} for k, v in values.items()]}
        metadata = {"ray_trial": trial_id}
        experiment.observations().create(suggestion=suggestion, metadata=metadata, **outcome)

    def save(self, checkpoint_path: str) -> None:
        """Keep what tells trials and suggestions together."""
        Path(checkpoint_path).write_bytes(pickle.dumps(self.__getstate__()))

    def restore(self, checkpoint_path: str) -> None:
        """Go on with what `save` kept."""
        client = self._client
        self.__dict__.update(pickle.loads(Path(checkpoint_path).read_bytes()))
        self._client = client

    def __getstate__(self) -> dict[str, Any]:
        """All but the connection."""
        return self.__dict__ | {"_client": None}

    @property
    def _metrics(self) -> dict[str, str]:
        """The objective of each metric."""
        several = not isinstance(self._metric, str)
        names = self._metric if several else [self._metric]
        modes = self._mode if several else [self._mode]
        return {name: OBJECTIVES[mode] for name, mode in zip(names, modes, strict=True)}

    def _experiment(self, space: Space) -> ExperimentResource:
        self._client = self._client or Client()
        if self.experiment_id is None:
            made = self._client.experiments.create(
                name=self._name,
                parameters=space.parameters,
                metrics=[{"name": k, "objective": v} for k, v in self._metrics.items()],
                observation_budget=self._budget,
            )
            self.experiment_id = made.id
        return self._client.experiments(self.experiment_id)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _ranges(config: Mapping[str, Any], before: str = "") -> list[tuple[str, Range]]:
    """The ranges and choices of a nested configuration; constants are none."""
    found: list[tuple[str, Range]] = []
    for key, value in config.items():
        name = f"{before}{key}"
        if isinstance(value, Domain):
            found.append((name, _range(name, value)))
        elif isinstance(value, dict) and "grid_search" in value:
            raise ValueError(f"{name}: use tune.choice; a grid leaves nothing to suggest")
        elif isinstance(value, dict):
            found += _ranges(value, f"{name}{SEPARATOR}")
    return found


def _range(name: str, domain: Domain) -> Range:
    sampler = domain.get_sampler()
    if isinstance(domain, Categorical):
        return list(domain.categories)
    if isinstance(domain, Float | Integer) and isinstance(sampler, Uniform | LogUniform):
        if isinstance(domain, Integer):
            # Ray draws below the upper bound.
            return (int(domain.lower), int(domain.upper) - 1)
        bounds = (float(domain.lower), float(domain.upper))
        return (*bounds, "log") if isinstance(sampler, LogUniform) else bounds
    raise ValueError(f"{name}: only uniform, loguniform, randint, lograndint and choice are known")

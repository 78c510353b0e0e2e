"""A sweeper for Hydra that asks a Tradeoff server, with any number of metrics.

    defaults:
      - override hydra/sweeper: tradeoff
    hydra:
      sweeper:
        metrics: {accuracy: maximize, inference_ms: minimize}
        budget: 40
        params: {lr: "tag(log, interval(1e-4, 1e-1))", layers: "range(1, 9)"}

The application returns a dictionary with a value for each metric. One that raises is a failure.
Hydra looks for plugins in this package alone, which is why it is no part of `tradeoff`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from tradeoff.client import Client
from tradeoff.client.suggestions import Suggestion
from tradeoff.integrations.space import Range, Space


class TradeoffSweeper(Sweeper):
    """Takes configurations from a server, launches them, and reports what they came to.

    Args:
        metrics: `maximize` or `minimize` for each.
        budget: so many jobs are run, whatever the experiment has already.
        at_once: so many are launched at once; Hydra's launcher says whether side by side.
        params: what to search, as on the command line, which wins.
        name: of the experiment.
        experiment: id of one to go on with; by default one is made.
    """

    def __init__(
        self,
        metrics: Mapping[str, str],
        budget: int,
        at_once: int,
        params: Mapping[str, str],
        name: str,
        experiment: str | None,
    ) -> None:
        super().__init__()
        self._metrics, self._budget, self._at_once = dict(metrics), budget, at_once
        self._params, self._name, self._experiment = dict(params), name, experiment

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take over what Hydra has read."""
        self.hydra_context, self.config = hydra_context, config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Search; the frontier comes into `frontier.yaml` beside the jobs.

        Raises:
            ValueError: when nothing is searched, or there is no metric.
        """
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        given = [f"{name}={value}" for name, value in self._params.items()]
        ranges, fixed = _split(parser.parse_overrides([*given, *arguments]))
        if not ranges or not self._metrics:
            raise ValueError("the sweeper needs hydra.sweeper.metrics, and parameters with ranges")
        space = Space(ranges)
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        with Client() as client:
            if self._experiment is None:
                made = client.experiments.create(
                    name=self._name,
                    parameters=space.parameters,
                    metrics=[{"name": k, "objective": v} for k, v in self._metrics.items()],
                    observation_budget=self._budget,
                    parallel_bandwidth=self._at_once,
                )
                self._experiment = made.id
            experiment = client.experiments(self._experiment).fetch()
            for first in range(0, self._budget, self._at_once):
                count = min(self._at_once, self._budget - first)
                suggestions = [experiment.suggest() for _ in range(count)]
                jobs = [
                    [*fixed, *(f"{k}={v}" for k, v in space.decode(each.assignments).items())]
                    for each in suggestions
                ]
                self.validate_batch_is_legal(jobs)
                done = self._launcher.launch(jobs, initial_job_idx=first)
                for suggestion, job in zip(suggestions, done, strict=True):
                    self._report(suggestion, job)
            frontier = [
                {"values": dict(best.value_by_metric), "params": dict(best.assignments)}
                for best in experiment.frontier()
            ]
        told = {"experiment": self._experiment, "frontier": frontier}
        OmegaConf.save(OmegaConf.create(told), folder / "frontier.yaml")

    def _report(self, suggestion: Suggestion, job: JobReturn) -> None:
        if job.status != JobStatus.COMPLETED:
            suggestion.fail()
            return
        values = job.return_value
        if not isinstance(values, Mapping) or not set(self._metrics) <= set(values):
            suggestion.fail()
            raise ValueError(f"the job must return a value for each of {', '.join(self._metrics)}")
        suggestion.observe({name: float(values[name]) for name in self._metrics})


def _split(overrides: Sequence[Any]) -> tuple[dict[str, Range], list[str]]:
    """What is searched, and what is given; of the same name the last one counts."""
    ranges: dict[str, Range] = {}
    fixed: dict[str, str] = {}
    for each in overrides:
        name = each.get_key_element()
        ranges.pop(name, None)
        fixed.pop(name, None)
        if each.is_sweep_override():
            ranges[name] = _range(each)
        else:
            fixed[name] = f"{name}={each.get_value_element_as_str()}"
    return ranges, list(fixed.values())


def _range(override: Any) -> Range:
    """The range of a sweep in Hydra's words."""
    swept = override.value()
    if override.is_interval_sweep():
        bounds = (swept.start, swept.end)
        return (*bounds, "log") if "log" in swept.tags else bounds
    if override.is_range_sweep() and swept.step == 1 and isinstance(swept.start, int):
        return (swept.start, int(swept.stop) - 1)
    return list(override.sweep_string_iterator())


#: What `hydra.sweeper` may say, and its defaults. Hydra runs this module without registering it, so
#: that a dataclass could not find its own names.
DEFAULTS: dict[str, Any] = {
    "_target_": "hydra_plugins.tradeoff_sweeper.TradeoffSweeper",
    "metrics": {},
    "budget": 40,
    "at_once": 1,
    "params": {},
    "name": "Hydra",
    "experiment": None,
}

ConfigStore.instance().store(
    group="hydra/sweeper", name="tradeoff", node=DEFAULTS, provider="tradeoff"
)

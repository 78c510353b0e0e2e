"""The two searches: random draws, many at once, and suggestions of a server of our own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress

from benchmarks.headline import timing, training
from benchmarks.headline.scale import Scale
from benchmarks.headline.table import Row, Table, multiplications
from examples.keras_diatoms.diatoms import Diatoms
from examples.keras_diatoms.question import METRICS
from tradeoff import Client, config, stack, supervisor
from tradeoff.client.resources import Experiment
from tradeoff.engine import design
from tradeoff.spec.experiment import ExperimentSpec

RANDOM_SEED = 2018
#: Asking waits for the model rather than train a less informed network.
WAIT_SECONDS = 60.0
#: So many lots of random configurations are sorted by their cost at once.
BLOCK = 10
#: The API takes so many observations at once.
BATCH = 2500


class Trainer:
    """Trains and times configurations on one device."""

    def __init__(self, scale: Scale, data: Diatoms, device: torch.device, bars: Progress) -> None:
        self._scale = scale
        self._data = data
        self._device = device
        self._bars = bars

    def measure(
        self, configurations: Sequence[Mapping[str, Any]], seeds: Sequence[int]
    ) -> list[Row]:
        """Train together, then take the time of each alone; gives a row for each."""
        bar = self._bars.add_task(f"  training {len(configurations)}", total=None)
        accuracies = training.train(
            configurations,
            self._data,
            epochs=self._scale.epochs,
            seeds=seeds,
            device=self._device,
            after_step=lambda step, steps: self._bars.update(bar, completed=step, total=steps),
        )
        self._bars.remove_task(bar)
        return [
            {**configuration, "seed": seed, "accuracy": accuracy, "inference_ms": self._time(each)}
            for configuration, seed, accuracy, each in zip(
                configurations, seeds, accuracies, configurations, strict=True
            )
        ]

    def _time(self, configuration: Mapping[str, Any]) -> float:
        series = self._scale.timed_series
        return timing.inference_ms(configuration, self._data, series=series, device=self._device)


def draw_at_random(scale: Scale, trainer: Trainer, table: Table, bars: Progress) -> None:
    """Train random configurations until the table has them all.

    Which there are is settled by the seed, and which of a block are trained together by their cost.
    An interrupted run goes on with the same, and what it has is a fair sample but for the last
    block.
    """
    spec = ExperimentSpec.model_validate(
        {
            "parameters": scale.parameters(),
            "metrics": METRICS,
            "observation_budget": scale.random,
        }
    )
    drawn = design.random_points(spec, seed=RANDOM_SEED, start=0, count=scale.random)
    done = {row["seed"] for row in table.rows}
    left = [(seed, point) for seed, point in enumerate(drawn) if seed not in done]
    block = BLOCK * scale.together
    left.sort(
        key=lambda pair: (pair[0] // block, pair[1]["batch_size"], multiplications(pair[1])),
    )
    bar = bars.add_task("random", total=scale.random, completed=len(done))
    for start in range(0, len(left), scale.together):
        some = left[start : start + scale.together]
        table.add(trainer.measure([point for _, point in some], [seed for seed, _ in some]))
        bars.update(bar, completed=len(table.rows))


def ask_the_server(
    scale: Scale, trainer: Trainer, table: Table, bars: Progress, folder: Path
) -> None:
    """Train what a server suggests until the budget is spent; what is known is told to it first."""
    bar = bars.add_task("suggestions", total=scale.suggestions, completed=len(table.rows))
    if len(table.rows) >= scale.suggestions:
        return
    with (
        serving(folder) as running,
        Client(running.token, api_url=running.url, timeout_seconds=300) as client,
    ):
        experiment = client.experiments.create(
            name=f"Headline, {scale.name}",
            parameters=scale.parameters(),
            metrics=METRICS,
            observation_budget=scale.suggestions,
            parallel_bandwidth=scale.parallel,
        )
        _tell(experiment, scale, table.rows)
        while len(table.rows) < scale.suggestions:
            count = min(scale.parallel, scale.suggestions - len(table.rows))
            suggestions = [experiment.suggest() for _ in range(count)]
            # The seeds go on where those of the random configurations end.
            first = scale.random + len(table.rows)
            rows = trainer.measure(
                [each.assignments for each in suggestions], list(range(first, first + count))
            )
            for suggestion, row in zip(suggestions, rows, strict=True):
                if row["accuracy"] is None:
                    suggestion.fail()
                else:
                    suggestion.observe(accuracy=row["accuracy"], inference_ms=row["inference_ms"])
                row["source"] = suggestion.source
            table.add(rows)
            bars.update(bar, completed=len(table.rows))


@contextmanager
def serving(folder: Path) -> Iterator[stack.Stack]:
    """A server on this machine, with its database in a folder, for as long as the block."""
    settings = config.Settings(
        data_dir=folder, database_url=None, suggestion_wait_seconds=WAIT_SECONDS
    )
    end = supervisor.Flag()
    with stack.running(settings, port=0) as running:
        watching = threading.Thread(target=running.watch, args=(end,), daemon=True)
        watching.start()
        try:
            yield running
        finally:
            end.set()
            watching.join()


def _tell(experiment: Experiment, scale: Scale, rows: Sequence[Row]) -> None:
    names = [parameter["name"] for parameter in scale.parameters()]
    reports = []
    for row in rows:
        values = [{"name": m["name"], "value": row[m["name"]]} for m in METRICS]
        outcome = {"failed": True} if row["accuracy"] is None else {"values": values}
        reports.append({"assignments": {name: row[name] for name in names}, **outcome})
    for start in range(0, len(reports), BATCH):
        experiment.observations().create_batch(reports[start : start + BATCH])

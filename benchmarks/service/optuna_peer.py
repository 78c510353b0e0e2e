"""The same work with Optuna: `ask` and `tell` on its RDBStorage, on the same Postgres.

    PYTHON_OF_OPTUNA -m benchmarks.service.optuna_peer     the plan as JSON on standard input

It runs in an environment of its own (`scripts/optuna-venv.sh`), as one of as many processes as the
plan of `benchmarks.service.peer` says, each with some threads that share a study. The sampler is
Optuna's default for two objectives, or its random one, where what remains is the storage. The
result is JSON on standard output: seconds of each ask and each tell, when they ended, and the
version.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import optuna

from benchmarks.service.question import DOUBLES, INTS, LARGEST_INT, measure

SPACE: dict[str, optuna.distributions.BaseDistribution] = {
    **{name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in DOUBLES},
    **{name: optuna.distributions.IntDistribution(0, LARGEST_INT) for name in INTS},
}


def open_study(plan: dict[str, Any]) -> optuna.Study:
    """The study, made if need be."""
    storage = optuna.storages.RDBStorage(
        plan["database_url"],
        # Each thread has a connection; the default pool would make the fifteenth one wait.
        engine_kwargs={"pool_size": plan["threads"] + 2},
    )
    sampler = optuna.samplers.RandomSampler() if plan["sampler"] == "random" else None
    return optuna.create_study(
        storage=storage,
        sampler=sampler,
        study_name=plan["study"],
        directions=["maximize", "minimize"],
        load_if_exists=True,
    )


def load(study: optuna.Study, count: int) -> None:
    """Fill a study with finished trials."""
    random = optuna.samplers.RandomSampler(seed=0)
    source = optuna.create_study(sampler=random, directions=["maximize", "minimize"])
    for _ in range(count):
        trial = source.ask(SPACE)
        source.tell(trial, measure(trial.params))
    study.add_trials(source.trials)


class Loop(threading.Thread):
    """Asks and tells until the time is up or it did so often enough."""

    def __init__(self, study: optuna.Study, *, until: float, rounds: int) -> None:
        super().__init__()
        self.asks: list[float] = []
        self.tells: list[float] = []
        self.error: Exception | None = None
        self._study, self._until, self._rounds = study, until, rounds

    def run(self) -> None:
        try:
            while time.monotonic() < self._until and len(self.tells) < self._rounds:
                began = time.monotonic()
                trial = self._study.ask(SPACE)
                asked = time.monotonic()
                values = measure(trial.params)
                told = time.monotonic()
                self._study.tell(trial, values)
                self.asks.append(asked - began)
                self.tells.append(time.monotonic() - told)
        except Exception as error:
            self.error = error


def main() -> None:
    """Carry out one plan."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    plan = json.loads(sys.stdin.readline())
    study = open_study(plan)
    if plan["task"] == "load":
        load(study, plan["count"])
        return
    # What the sampler does at its first call only is no part of the figure.
    study.tell(study.ask(SPACE), (0.0, 0.0))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    began = time.monotonic()
    loops = [
        Loop(study, until=began + plan["seconds"], rounds=plan["rounds"])
        for _ in range(plan["threads"])
    ]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
    result = {
        "seconds": time.monotonic() - began,
        "asks": [took for loop in loops for took in loop.asks],
        "tells": [took for loop in loops for took in loop.tells],
        "errors": [repr(loop.error) for loop in loops if loop.error is not None],
        "sampler": type(study.sampler).__name__,
        "version": optuna.__version__,
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()

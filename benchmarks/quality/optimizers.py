"""The optimizers that are compared, each with its defaults, behind one interface.

Ours, BoTorch's stock loop (`tradeoff.engine.reference`), random search and the Sobol sequence run
in this process; the peers are asked over pipes (`benchmarks.quality.peers`).
"""

from __future__ import annotations

import functools
import json
import os
import resource
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from benchmarks.problems import Point, Problem
from tradeoff.engine import design
from tradeoff.engine.state import State
from tradeoff.engine.suggest import suggest
from tradeoff.spec.history import History, Observation

# BoTorch's kernel goes to a folder of this process: who is ended while it compiles leaves a lock
# in a shared one, on which all others wait for ever.
os.environ.setdefault("TORCH_EXTENSIONS_DIR", tempfile.mkdtemp(prefix="tradeoff-benchmark-"))

SCRIPT = Path("scripts/peers-venv.sh")
#: The environment of each peer.
ENVIRONMENTS = {"optuna-tpe": "optuna", "optuna-gp": "optuna", "ax": "ax", "sigopt": "sigoptlite"}


class Unavailable(Exception):
    """A peer whose environment could not be made."""


class Optimizer(Protocol):
    """A search in progress."""

    def ask(self, count: int) -> Sequence[tuple[Point, bool]]:
        """So many points, and of each whether it is more than a point of an initial design."""

    def tell(self, point: Point, values: Mapping[str, float] | None) -> None:
        """The values by metric that one of the points had; `None` when it failed."""

    def close(self) -> float:
        """End the search, and say how many CPU seconds it took elsewhere than in this process."""


def start(name: str, problem: Problem, seed: int) -> Optimizer:
    """A fresh optimizer.

    Raises:
        KeyError: when there is none of that name.
        Unavailable: when its environment cannot be made.
    """
    if name in ENVIRONMENTS:
        return Peer(name, problem, seed)
    return _LOCAL[name](problem, seed)


class Ours:
    """The product's engine, asked as its worker asks."""

    def __init__(self, problem: Problem, seed: int, *, engine: str = "default"):
        self.spec = problem.spec.model_copy(update={"engine": engine})
        self.state = State.initial(seed)
        self.observations: list[Observation] = []
        self.pending: list[Point] = []

    def ask(self, count: int) -> Sequence[tuple[Point, bool]]:
        suggested = suggest(self.spec, self.history(), count, self.state)
        self.state = suggested.state
        asked = [(c.assignments, c.source == "model") for c in suggested.candidates]
        self.pending += [point for point, _ in asked]
        return asked

    def tell(self, point: Point, values: Mapping[str, float] | None) -> None:
        self.pending.remove(point)
        self.observations.append(Observation(point, values or {}, {}, failed=values is None))

    def history(self) -> History:
        """What the engine is shown."""
        return History(tuple(self.observations), tuple(self.pending))

    def close(self) -> float:
        return 0.0


class WithoutClassifier(Ours):
    """Ours, but nothing is learned from a failure except not to try that very point again."""

    def history(self) -> History:
        """After the initial design failures are shown as trainings that never end."""
        known = tuple(seen for seen in self.observations if not seen.failed)
        failures = len(self.observations) - len(known)
        if design.is_initial(self.spec, succeeded=len(known), failed=failures):
            return super().history()
        failed = [seen.assignments for seen in self.observations if seen.failed]
        return History(known, (*failed, *self.pending))


class Imputing(Ours):
    """Ours, but a failure has the worst values seen, as SigOpt's optimizer took it."""

    def history(self) -> History:
        """Failures have values as soon as anything has."""
        known = [seen.values for seen in self.observations if not seen.failed]
        if not known:
            return super().history()
        worst = {key: min(values[key] for values in known) for key in known[0]}
        return History(
            tuple(
                Observation(seen.assignments, worst if seen.failed else seen.values, {}, False)
                for seen in self.observations
            ),
            tuple(self.pending),
        )


class Drawn:
    """Points of a sequence, whatever comes of them."""

    def __init__(self, draw: Callable[..., list[dict[str, Any]]], problem: Problem, seed: int):
        self.draw = functools.partial(draw, problem.spec, seed=seed)
        self.asked = 0

    def ask(self, count: int) -> Sequence[tuple[Point, bool]]:
        points = self.draw(start=self.asked, count=count)
        self.asked += count
        return [(point, True) for point in points]

    def tell(self, point: Point, values: Mapping[str, float] | None) -> None:
        pass

    def close(self) -> float:
        return 0.0


class Peer:
    """A process of `benchmarks.quality.peers`; JSON lines to and fro."""

    def __init__(self, name: str, problem: Problem, seed: int):
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `close`
        self._before = _seconds_of_children()
        environment = {
            **os.environ,
            "PYTHONPATH": os.getcwd(),
        }
        self._process = subprocess.Popen(
            [find_python(ENVIRONMENTS[name]), "-m", "benchmarks.quality.peers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )
        self._say(
            peer=name,
            seed=seed,
            parameters=[
                {
                    **each.model_dump(mode="json"),
                    "categorical_values": [value.name for value in each.categorical_values or ()],
                }
                for each in problem.spec.parameters
            ],
            objectives=[metric.key for metric in problem.spec.optimized_metrics],
            constraints=[metric.key for metric in problem.spec.constraint_metrics],
        )

    def ask(self, count: int) -> Sequence[tuple[Point, bool]]:
        self._say(ask=count)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise RuntimeError(f"the peer ended: {self._errors.read()[-2000:]}")
        return [(point, by_model) for point, by_model in json.loads(line)]

    def tell(self, point: Point, values: Mapping[str, float] | None) -> None:
        self._say(tell=point, values=values)

    def close(self) -> float:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()
        return _seconds_of_children() - self._before

    def _say(self, **message: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()


@functools.cache
def find_python(environment: str) -> str:
    """The interpreter of a peer's environment, made if need be.

    Raises:
        Unavailable: when that fails.
    """
    done = subprocess.run(
        [str(SCRIPT), environment], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise Unavailable(f"{SCRIPT} {environment} did not succeed; see above")
    return done.stdout.splitlines()[-1]


def _seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


_LOCAL: dict[str, Callable[[Problem, int], Optimizer]] = {
    "tradeoff": Ours,
    "random": functools.partial(Drawn, design.random_points),
    "sobol": functools.partial(Drawn, design.space_filling),
    "botorch": functools.partial(Ours, engine="reference"),
    "without-classifier": WithoutClassifier,
    "imputing": Imputing,
}
#: What takes part in the comparison, ours first.
QUALITY = ("tradeoff", "random", "sobol", "botorch", *ENVIRONMENTS)
NAMES = (*_LOCAL, *ENVIRONMENTS)

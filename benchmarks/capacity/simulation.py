"""Trainings that ask, train and report; an API, a Postgres and workers that answer: event by event.

The rules are the service's own: a report makes a refresh necessary, of which one waits and one
runs per experiment; a refresh publishes its best suggestion first and goes on while the rest could
still serve anybody; asking takes what has seen all but `max(parallel, open) - 1` of the
observations, else waits for two seconds and takes anything.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.capacity.costs import Costs

MOST_READY, LEAST_READY = 64, 4


@dataclass(frozen=True)
class Load:
    """What is asked of an installation, and what it is made of.

    Attributes:
        trainings: at once.
        parallel: of them, in each experiment.
        seconds: of one training, the mean of an exponential distribution.
        observations: that each experiment has already.
        api: processes, each with a core.
        database: cores of Postgres.
        workers: each with a core.
        wait: how long asking waits for the model.
    """

    trainings: int
    parallel: int
    seconds: float
    observations: int = 100
    api: int = 1
    database: int = 1
    workers: int = 1
    wait: float = 2.0


class Station:
    """So many servers and one line before them; tells how busy they were."""

    def __init__(self, clock: Clock, servers: int) -> None:
        self._clock, self._free, self._servers = clock, servers, servers
        self._line: deque[tuple[float, float, Callable[[], None]]] = deque()
        self.busy = 0.0
        self.waits: list[float] = []

    def serve(self, seconds: float, then: Callable[[], None]) -> None:
        """Serve somebody for so long when it is their turn, and go on with `then`."""
        self._line.append((self._clock.now, seconds, then))
        self._next()

    def _next(self) -> None:
        if not self._free or not self._line:
            return
        came, seconds, then = self._line.popleft()
        self._free -= 1
        self.busy += seconds
        self.waits.append(self._clock.now - came)

        def done() -> None:
            self._free += 1
            then()
            self._next()

        self._clock.after(seconds, done)

    def utilization(self, seconds: float) -> float:
        """The share of the time that a server was busy."""
        return self.busy / (self._servers * seconds)


class Clock:
    """What happens next, and when."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), act))

    def run(self, until: float) -> None:
        """Let everything happen in its order."""
        while self._events and self._events[0][0] <= until:
            self.now, _, act = heapq.heappop(self._events)
            act()


@dataclass
class Experiment:
    """What the service knows of one."""

    observations: int
    revision: int = 0
    open: int = 0
    handed_out: int = 0
    #: Revision that each ready suggestion has seen.
    ready: list[int] = field(default_factory=list)
    waits: bool = False
    runs: bool = False
    asking: list[Callable[[], bool]] = field(default_factory=list)


@dataclass
class Result:
    """What came of it, after the first quarter of the time."""

    requests_per_second: float
    by_model: float
    ask_p50: float
    ask_p95: float
    behind: float
    refreshes_per_observation: float
    api: float
    database: float
    workers: float
    jobs_waiting: float


class Simulation:
    """One load, for so many seconds."""

    def __init__(self, load: Load, costs: Costs, *, seed: int = 0) -> None:
        self.load, self.costs = load, costs
        self.clock = Clock()
        self.api = Station(self.clock, load.api)
        self.database = Station(self.clock, load.database)
        self.jobs: deque[Experiment] = deque()
        self.idle = load.workers
        self.worked = 0.0
        self.refreshes = self.reports = 0
        self.asked: list[tuple[float, bool, int]] = []
        self.waiting: list[int] = []
        self._random = random.Random(seed)
        count = max(1, load.trainings // load.parallel)
        self.experiments = [Experiment(load.observations) for _ in range(count)]
        for number in range(load.trainings):
            experiment = self.experiments[number % count]
            # They did not all begin at one moment.
            experiment.open += 1
            self.clock.after(self._training() * self._random.random(), self._reporter(experiment))

    def run(self, seconds: float) -> Result:
        """Let it run, and tell how it went once it had settled."""
        self.clock.run(seconds / 4)
        begun = (self.api.busy, self.database.busy, self.worked, self.refreshes, self.reports)
        self.asked.clear()
        self.waiting.clear()
        self.clock.run(seconds)
        length = 0.75 * seconds
        waits = sorted(wait for wait, _, _ in self.asked) or [0.0]
        reports = self.reports - begun[4]
        behind = [missed for _, by_model, missed in self.asked if by_model]
        load = self.load
        return Result(
            requests_per_second=(reports + len(self.asked)) / length,
            by_model=sum(by_model for _, by_model, _ in self.asked) / max(1, len(self.asked)),
            ask_p50=waits[len(waits) // 2],
            ask_p95=waits[int(0.95 * (len(waits) - 1))],
            behind=sum(behind) / max(1, len(behind)),
            refreshes_per_observation=(self.refreshes - begun[3]) / max(1, reports),
            api=(self.api.busy - begun[0]) / (load.api * length),
            database=(self.database.busy - begun[1]) / (load.database * length),
            workers=(self.worked - begun[2]) / (load.workers * length),
            jobs_waiting=sum(self.waiting) / max(1, len(self.waiting)),
        )

    # What a training does

    def _training(self) -> float:
        return self._random.expovariate(1 / self.load.seconds)

    def _reporter(self, experiment: Experiment) -> Callable[[], None]:
        return lambda: self._request(
            self.costs.api_report, self.costs.database_report, lambda: self._report(experiment)
        )

    def _request(self, api: float, database: float, then: Callable[[], None]) -> None:
        slow = self.costs.slow
        self.api.serve(slow * api, lambda: self.database.serve(slow * database, then))

    def _report(self, experiment: Experiment) -> None:
        self.reports += 1
        experiment.open -= 1
        experiment.revision += 1
        experiment.observations += 1
        self._enqueue(experiment)
        came = self.clock.now
        self._request(
            self.costs.api_ask, self.costs.database_ask, lambda: self._ask(experiment, came)
        )

    def _ask(self, experiment: Experiment, came: float) -> None:
        served = False

        def take(*, stale: bool = False) -> bool:
            nonlocal served
            if served:
                return True
            missed = self._take(experiment, stale=stale)
            if missed is None and not stale:
                return False
            served = True
            by_model = missed is not None
            self.asked.append((self.clock.now - came, by_model, missed or 0))
            experiment.open += 1
            experiment.handed_out += 1
            self.clock.after(self._training(), self._reporter(experiment))
            return True

        if not take():
            self._enqueue(experiment)
            experiment.asking.append(take)

            def give_up() -> None:
                take(stale=True)

            self.clock.after(self.load.wait, give_up)

    def _take(self, experiment: Experiment, *, stale: bool) -> int | None:
        """How many observations the best ready one has missed; `None` without one."""
        if not experiment.ready:
            return None
        missed = experiment.revision - max(experiment.ready)
        if not stale and not self._serves(experiment, max(experiment.ready)):
            return None
        experiment.ready.remove(max(experiment.ready))
        return missed

    def _serves(self, experiment: Experiment, revision: int) -> bool:
        most = max(self.load.parallel, experiment.open) - 1
        return experiment.revision - revision <= most

    # What workers do

    def _enqueue(self, experiment: Experiment) -> None:
        if not experiment.waits:
            experiment.waits = True
            self.jobs.append(experiment)
        self._work()

    def _work(self) -> None:
        self.waiting.append(len(self.jobs))
        for _ in range(len(self.jobs)):
            if not self.idle:
                return
            experiment = self.jobs.popleft()
            if experiment.runs:
                self.jobs.append(experiment)
                continue
            self.idle -= 1
            experiment.waits, experiment.runs = False, True
            self.refreshes += 1
            size = max(LEAST_READY, 2 * self.load.parallel, 2 * experiment.handed_out)
            experiment.handed_out = 0
            self._compute(experiment, experiment.revision, 0, min(MOST_READY, size))

    def _compute(self, experiment: Experiment, revision: int, done: int, size: int) -> None:
        """Compute the best alone, then ever more at once."""
        count = min(max(1, done), size - done)
        costs = self.costs
        seconds = costs.first_at(experiment.observations) + costs.further * (count - 1)
        seconds *= costs.slow
        self.worked += seconds

        def published() -> None:
            if done == 0:
                experiment.ready.clear()
            experiment.ready.extend([revision] * count)
            asking, experiment.asking = experiment.asking, []
            experiment.asking = [take for take in asking if not take()]
            if done + count < size and self._serves(experiment, revision):
                self._compute(experiment, revision, done + count, size)
                return
            self.idle += 1
            experiment.runs = False
            self._work()

        self.clock.after(seconds, published)


def erlang_c(load: float, servers: int) -> float:
    """The probability that somebody has to wait at `servers` servers, `load` of which are busy."""
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked / (1 - load / servers * (1 - blocked))

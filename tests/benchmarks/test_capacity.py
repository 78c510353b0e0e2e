"""The simulation gives what theory says, and what was measured on small installations."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from benchmarks.capacity.__main__ import BUSY, plan
from benchmarks.capacity.costs import Costs
from benchmarks.capacity.simulation import Clock, Load, Result, Simulation, Station, erlang_c

#: Measured with the worker ("Service under load" in benchmarks/RESULTS.md): one sequential loop,
#: and 32 clients on 4 experiments with trainings of a second, which shared the cores with the load.
LOOP_SECONDS = 0.407
FLEET_SECONDS, FLEET_BY_MODEL = 2.2, 15 / 70


def run(load: Load, *, slow: float = 1.0, seconds: float = 200.0) -> Result:
    return Simulation(load, Costs(slow=slow)).run(seconds)


@pytest.mark.parametrize(("arrivals", "servers"), [(0.7, 1), (3.2, 4), (14.0, 16)])
def test_a_station_makes_wait_as_long_as_erlang_says(arrivals: float, servers: int) -> None:
    clock, drawn = Clock(), random.Random(1)
    station = Station(clock, servers)

    def arrive() -> None:
        station.serve(drawn.expovariate(1.0), lambda: None)
        clock.after(drawn.expovariate(arrivals), arrive)

    arrive()
    clock.run(40_000 / arrivals)

    expected = erlang_c(arrivals, servers) / (servers - arrivals)
    assert sum(station.waits) / len(station.waits) == pytest.approx(expected, rel=0.15)
    assert station.utilization(40_000 / arrivals) == pytest.approx(arrivals / servers, rel=0.03)


def test_a_sequential_loop_waits_about_as_long_as_was_measured() -> None:
    result = run(Load(trainings=1, parallel=1, seconds=0.001, observations=20))

    assert result.by_model == 1
    # The costs that it is fed with varied by a factor of two themselves.
    assert LOOP_SECONDS / 2 < result.ask_p50 < 2 * LOOP_SECONDS


def test_a_fleet_that_one_worker_cannot_follow_gets_what_was_measured() -> None:
    result = run(Load(trainings=32, parallel=8, seconds=1.0, observations=20), slow=2.0)

    assert result.ask_p50 == pytest.approx(FLEET_SECONDS, rel=0.15)
    assert result.by_model == pytest.approx(FLEET_BY_MODEL, abs=0.12)
    assert result.workers > 0.95


def test_what_is_planned_is_busy_as_planned_and_suggests_by_the_model() -> None:
    load = plan(Load(trainings=1_000, parallel=8, seconds=60.0), Costs())

    result = run(load, seconds=120)

    assert result.by_model > 0.95
    assert result.api < 2 * BUSY
    assert result.ask_p95 < 0.1
    assert result.requests_per_second == pytest.approx(2 * 1_000 / 60, rel=0.1)


def test_with_too_few_workers_suggestions_lag_and_nobody_waits_longer_than_promised() -> None:
    enough = plan(Load(trainings=400, parallel=8, seconds=10.0), Costs())

    result = run(replace(enough, workers=2), seconds=60)

    assert result.workers > 0.95
    assert result.by_model < 0.5
    assert result.ask_p95 < 2.1

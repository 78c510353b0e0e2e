"""What so many trainings need, and what gives way first.

python -m benchmarks.capacity             the table of docs/capacity.md; about a minute
python -m benchmarks.capacity --sizes     bytes of a suggestion and its observation, measured
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace

from benchmarks.capacity.costs import Costs
from benchmarks.capacity.simulation import Load, Result, Simulation

#: How busy a server may be in the long run; beyond it waiting grows fast.
BUSY = 0.6
#: At most, with a pool of 10 in the API and of 2 in workers, and 5 besides; docs/operating.md.
API_CONNECTIONS, WORKER_CONNECTIONS = 15, 7
COLUMNS = (
    "trainings",
    "of",
    "requests/s",
    "API",
    "Postgres",
    "workers",
    "connections",
    "ask p95",
    "by the model",
    "behind",
)
SCALES = [
    Load(trainings, 8, seconds)
    for trainings in (100, 1_000, 10_000)
    for seconds in (10.0, 60.0, 600.0, 3_600.0)
]


def plan(load: Load, costs: Costs) -> Load:
    """The smallest installation that keeps each part less busy than `BUSY`."""
    rate = load.trainings / load.seconds
    api = rate * (costs.api_ask + costs.api_report)
    database = rate * (costs.database_ask + costs.database_report)
    experiments = load.trainings / load.parallel
    first = costs.first_at(load.observations)
    rest = costs.further * (max(4, 2 * load.parallel) - 1)
    # One refresh runs per experiment: a busy one is always at work, and never more.
    workers = min(rate * (first + rest), experiments)
    return replace(
        load,
        api=max(1, math.ceil(api / BUSY)),
        database=max(1, math.ceil(database / BUSY)),
        workers=max(1, math.ceil(workers / BUSY)),
    )


def show(load: Load, result: Result) -> str:
    """One line of the table."""
    connections = load.api * API_CONNECTIONS + load.workers * WORKER_CONNECTIONS
    return (
        f"| {load.trainings:,} | {load.seconds:g} s | {result.requests_per_second:.0f} "
        f"| {load.api} ({result.api:.0%}) | {load.database} ({result.database:.0%}) "
        f"| {load.workers} ({result.workers:.0%}) | {connections:,} "
        f"| {result.ask_p95 * 1000:.0f} ms | {result.by_model:.0%} | {result.behind:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", action="store_true", help="measure bytes, and nothing else")
    parser.add_argument("--pairs", type=int, default=2_000)
    options = parser.parse_args()
    if options.sizes:
        from benchmarks.capacity import sizes

        found = sizes.measure(options.pairs)
        for name, size in found.items():
            print(f"{name:24} {size:7.0f} bytes")
        print(f"{'in all':24} {sum(found.values()):7.0f} bytes")
        return
    costs = Costs()
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" * len(COLUMNS) + "|")
    for scale in SCALES:
        load = plan(scale, costs)
        pairs = 20_000 / (load.trainings / load.seconds)
        seconds = max(60.0, min(pairs, 4 * load.seconds))
        print(show(load, Simulation(load, costs).run(seconds)), flush=True)


if __name__ == "__main__":
    main()

"""Several processes of one machine on one experiment; fleet.py is for processes of many machines.

Start a server with `tradeoff up`, then in another terminal: python parallel.py
"""

from concurrent.futures import ProcessPoolExecutor

from tradeoff import Client

PROCESSES = 3


def train(depth: int, rate: float) -> dict[str, float]:
    """A stand-in: deeper is better, and slower."""
    return {"error": 0.3 / depth + (rate - 0.01) ** 2, "seconds": 0.5 + 0.2 * depth}


def work(experiment_id: str, number: int) -> int:
    """Loop until the budget of all is spent; gives how many this process has trained."""
    # Each has its own connection, and a name by which it gets its suggestion back after a restart.
    client = Client(worker_id=f"process-{number}")
    trained = 0
    for suggestion in client.experiments(experiment_id).fetch().loop(lease_seconds=120):
        with suggestion:
            suggestion.observe(**train(**suggestion.assignments))
            trained += 1
    return trained


if __name__ == "__main__":
    experiment = Client().experiments.create(
        name="Parallel",
        parameters=[
            {"name": "depth", "type": "int", "bounds": {"min": 1, "max": 30}},
            {"name": "rate", "type": "double", "bounds": {"min": 1e-4, "max": 1}},
        ],
        metrics=[
            {"name": "error", "objective": "minimize"},
            {"name": "seconds", "objective": "minimize"},
        ],
        observation_budget=24,
        parallel_bandwidth=PROCESSES,  # so many suggestions are kept ready at least
    )
    with ProcessPoolExecutor(PROCESSES) as pool:
        counts = list(pool.map(work, [experiment.id] * PROCESSES, range(PROCESSES)))
    print(f"{sum(counts)} trainings, by process: {counts}")
    for best in experiment.frontier():
        print(best.value_by_metric, best.assignments)

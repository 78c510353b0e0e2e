"""What many workers cost: hypervolume at equal observations with 1, 4, 16 and 32 of them.

    python -m benchmarks.parallel [--quick] [--seeds N] [--work FOLDER] [--report] [--publish]

Trainings take log-normal times, and who is done asks at once, so that a suggestion is made while
all the others are at work. Resumable as `benchmarks.quality` is.
"""

from __future__ import annotations

import sys

from benchmarks.quality import options, report
from benchmarks.quality.campaign import Ledger, Task, carry_out

PROBLEMS = ("branin_currin", "dtlz2", "network", "sentiment")
WORKERS = (1, 4, 16, 32)
#: Of the logarithm of a training's duration: two in three take between 0.6 and 1.6 of the median.
SPREAD = 0.5


def main() -> int:
    """Run what is missing, and print the table."""
    arguments = options.parser(
        "benchmarks.parallel", __doc__, quick="3 seeds and two problems"
    ).parse_args()
    budget = arguments.budget or 100
    tasks = [
        # One worker waits for each result, so durations make no difference.
        Task(problem, "tradeoff", seed, budget, workers, SPREAD if workers > 1 else 0.0)
        for seed in range(arguments.seeds or (3 if arguments.quick else 20))
        for problem in (PROBLEMS[:2] if arguments.quick else PROBLEMS)
        for workers in WORKERS
    ]
    ledger = Ledger(arguments.work)
    troubles = [] if arguments.report else carry_out(tasks, ledger)
    keys = {task.key for task in tasks}
    fields = ("problem", "optimizer", "seed", "budget", "workers", "spread")
    lines = [line for line in ledger.lines() if Task(*(line[name] for name in fields)).key in keys]
    counts = [count for count in (25, 50, 75) if count < budget]
    text = report.compared(lines, [*counts, budget], "workers")
    print(text)
    if arguments.publish:
        report.publish("parallel", text)
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())

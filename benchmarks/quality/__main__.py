"""How well the engine searches, beside other optimizers with equal seeds and budgets.

    python -m benchmarks.quality [--quick] [--problems ...] [--optimizers ...] [--seeds N] ...

Each finished search is one line of WORK/runs.jsonl; a rerun does only what is missing there, and
several processes may be started on the same folder. The tables come at the end, of all that the
folder has; --report makes them without running anything, --publish puts them into RESULTS.md.

A score is the hypervolume of all that was tried, by its true values and beyond a reference point
that nobody was told, as a share of the ideal one; configurations that failed or break a constraint
count nothing. Everything is deterministic by its seed but for some peers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks import problems
from benchmarks.quality import optimizers, options, report
from benchmarks.quality.campaign import Ledger, Task, carry_out

COUNTS = (25, 50, 100, 200)
#: These need seconds for a suggestion, so they get fewer seeds.
SLOW, SLOW_SEEDS = ("botorch", "ax", "optuna-gp", "sigopt"), 10
#: Random search is cheap, and we promise to be as good after 48 as it is after 480.
RANDOM_BUDGET = 480
QUICK_PROBLEMS = ("branin_currin", "constrained_branin_currin", "dtlz2", "vehicle", "sentiment")
QUICK_OPTIMIZERS = ("tradeoff", "random", "sobol", "optuna-tpe")
EPILOG = """examples:
  python -m benchmarks.quality --quick
      five problems, four optimizers, 3 seeds, 50 observations: minutes
  python -m benchmarks.quality --problems dtlz2 zdt3 --optimizers tradeoff ax --budget 100
      a part of the whole; what is done already is not done again
  python -m benchmarks.quality & python -m benchmarks.quality & wait
      the whole on two cores; every process can be ended and started again at any time
  python -m benchmarks.quality --report --publish
      the tables of what is finished, into benchmarks/RESULTS.md

The optimizers that need an environment of their own get it in .venv-peers at first use
(scripts/peers-venv.sh); one that cannot be installed is left out, and is said to be."""


def main() -> int:
    """Run what is missing, and print the tables."""
    arguments = _parser().parse_args()
    quick = arguments.quick
    chosen = arguments.problems or (QUICK_PROBLEMS if quick else problems.QUALITY)
    running = arguments.optimizers or (QUICK_OPTIMIZERS if quick else optimizers.QUALITY)
    budget = arguments.budget or (50 if quick else 200)
    tasks = plan(chosen, running, arguments.seeds or (3 if quick else 20), budget, whole=not quick)
    ledger = Ledger(arguments.work)
    troubles = [] if arguments.report else carry_out(tasks, ledger)
    lines = [
        line
        for line in ledger.lines()
        if line["problem"] in chosen and line["optimizer"] in running and line["workers"] == 1
    ]
    if not lines:
        print(f"nothing is finished in {arguments.work}", file=sys.stderr)
        return 1
    counts = [count for count in COUNTS if count <= budget] or [budget]
    text = report.quality(lines, counts, running)
    print(text)
    if arguments.publish:
        report.publish("quality", text)
    for trouble in troubles:
        print(f"left out: {trouble}", file=sys.stderr)
    return 1 if troubles else 0


def plan(
    chosen: Sequence[str], running: Sequence[str], seeds: int, budget: int, *, whole: bool = False
) -> list[Task]:
    """The searches, seed by seed, so that a part of them is a fair picture.

    Args:
        chosen: problems.
        running: optimizers.
        seeds: how many; slow optimizers of a whole comparison get fewer.
        budget: number of observations.
        whole: the comparison as it is promised.
    """
    return [
        Task(
            problem,
            optimizer,
            seed,
            max(budget, RANDOM_BUDGET) if whole and optimizer == "random" else budget,
        )
        for seed in range(seeds)
        for problem in chosen
        for optimizer in running
        if not (whole and optimizer in SLOW and seed >= SLOW_SEEDS)
    ]


def _parser() -> argparse.ArgumentParser:
    parser = options.parser(
        "benchmarks.quality",
        __doc__,
        quick="a part of it that takes minutes",
        seeds="how many (20; 10 for slow optimizers)",
        budget="observations of each search (200)",
        epilog=EPILOG,
    )
    parser.add_argument(
        "--problems",
        nargs="+",
        choices=problems.NAMES,
        metavar="PROBLEM",
        help=f"of {', '.join(problems.NAMES)}; by default the first ten",
    )
    parser.add_argument(
        "--optimizers",
        nargs="+",
        choices=optimizers.NAMES,
        metavar="OPTIMIZER",
        help=f"of {', '.join(optimizers.NAMES)}; without-classifier and imputing are ours made "
        "worse, and take part when they are named",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""How well the engine searches, against random search with the same budget.

    python -m benchmarks.closed_loop [PROBLEM ...] [--budget 60] [--seeds 3]

One JSON line a run: normalised hypervolume by number of evaluations, the share of failures after
the design, CPU seconds of the whole run.
"""

from __future__ import annotations

import argparse
import json
import time

import torch

from benchmarks import problems


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problems", nargs="*", default=list(problems.NAMES), metavar="PROBLEM")
    parser.add_argument("--budget", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.problems:
        problem = problems.get(name)
        for seed in range(arguments.seeds):
            for method in ("model", "random"):
                start = time.process_time()
                run = problems.run(problem, arguments.budget, seed, at_random=method == "random")
                line = {
                    "problem": name,
                    "method": method,
                    "seed": seed,
                    "scores": {n: round(score, 4) for n, score in run.scores.items()},
                    "failures": round(run.failures, 3),
                    "cpu_seconds": round(time.process_time() - start, 1),
                }
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

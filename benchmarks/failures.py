"""What learning from failures brings: the share of failed trainings, and what is found in spite.

    python -m benchmarks.failures [--quick] [--seeds N] [--work FOLDER] [--report] [--publish]

`sentiment`: three in four random configurations fail, with fair warning in the values; in
`sentiment_flaky` a tenth of the others fail whatever they are, and are reported as failures like
any other; `crash`: two in five fail, beyond a cliff right next to the best ones; `islands`: all but
one in twenty-seven fail, and what succeeds lies in six boxes. Beside ours: `without-classifier`
learns nothing of a failure but not to try the same again, `imputing` gives it the worst values
seen, as SigOpt's optimizer did. Resumable as `benchmarks.quality` is.
"""

from __future__ import annotations

import sys

from benchmarks.quality import options, report
from benchmarks.quality.__main__ import plan
from benchmarks.quality.campaign import Ledger, carry_out

PROBLEMS = ("sentiment", "sentiment_flaky", "crash", "islands")
OPTIMIZERS = ("tradeoff", "without-classifier", "imputing", "random")


def main() -> int:
    """Run what is missing, and print the table."""
    arguments = options.parser(
        "benchmarks.failures", __doc__, quick="3 seeds and 50 observations"
    ).parse_args()
    budget = arguments.budget or (50 if arguments.quick else 100)
    seeds = arguments.seeds or (3 if arguments.quick else 20)
    ledger = Ledger(arguments.work)
    tasks = plan(PROBLEMS, OPTIMIZERS, seeds, budget)
    troubles = [] if arguments.report else carry_out(tasks, ledger)
    lines = [
        line
        for line in ledger.lines()
        if line["problem"] in PROBLEMS and line["optimizer"] in OPTIMIZERS and line["workers"] == 1
    ]
    counts = [count for count in (25, 50, 100) if count <= budget] or [budget]
    text = report.compared(lines, counts, "optimizer")
    print(text)
    if arguments.publish:
        report.publish("failures", text)
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())

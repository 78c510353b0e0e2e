"""Measure the service: `python -m benchmarks.service --help`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.service import phases, report, site
from benchmarks.service.phases import QUICK, Bench, Scale

ALL = ("cost", "warm", "growth", "reads", "waiting", "herd", "live", "memory", "optuna")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and give the exit status."""
    options = _parse(arguments)
    # As an exception, so that what was started is ended with it.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:5.0f} s] {text}", file=sys.stderr, flush=True)

    with site.running(api_processes=options.api_processes) as running:
        bench = Bench(running, QUICK if options.quick else Scale(), say)
        results: dict[str, Any] = {}
        measure(bench, options.only, results)
        say("comparing the ledgers with the database")
        audit = bench.audit()
    clean = not audit.faults() and not bench.errors
    if options.json:
        told = {
            **results,
            "ledger": asdict(audit),
            "errors": bench.errors,
            "retried": bench.retried,
        }
        options.json.write_text(json.dumps(told, indent=1) + "\n")
    print(report.write_all(results), end="\n\n")
    print(report.write_targets(results), end="\n\n")
    print(report.write_ledger(audit, bench.errors, bench.retried))
    say("done")
    print(report.summarize(results, clean=clean))
    return 0 if clean else 1


def measure(bench: Bench, only: Sequence[str], results: dict[str, Any]) -> None:
    """Put the chosen figures into `results`, by name; one that fails leaves the others alone."""

    def do(name: str, act: Callable[[], dict[str, Any]]) -> None:
        if name in only:
            try:
                if name != "optuna":
                    bench.site.check()
                results[name] = act()
            except Exception as error:
                bench.say(traceback.format_exc())
                bench.errors.setdefault(name, []).append(f"not measured: {error!r}")

    do("cost", lambda: phases.measure_cost(bench))
    do("warm", lambda: phases.measure_warm(bench))
    do("growth", lambda: phases.measure_growth(bench))
    do("reads", lambda: phases.measure_reads(bench, results["growth"]["experiments"]))
    do("waiting", lambda: phases.measure_waiting(bench))
    do("herd", lambda: phases.measure_herd(bench))
    do("live", lambda: phases.measure_live(bench))
    do("memory", bench.site.memory_mib)
    if "worker" in bench.site.parts:
        bench.site.end("worker")
    do("optuna", lambda: phases.measure_optuna(bench, results.get("growth", {}).get("rows", [])))
    phases.forget_raw(results)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.service",
        description="Measure the service beside what the machine can do, and Optuna.",
        epilog="Exit status 1 when something was lost, doubled, refused or not measured.",
    )
    parser.add_argument("--quick", action="store_true", help="two minutes instead of fifteen")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument(
        "--api-processes", type=int, default=1, metavar="N", help="on one port; the ceiling has one"
    )
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        default=list(ALL),
        metavar="NAMES",
        help=f"some of {','.join(ALL)} (reads need growth)",
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.only) - set(ALL):
        parser.error(f"--only: {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    return options


if __name__ == "__main__":
    sys.exit(main())

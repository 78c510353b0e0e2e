"""Measure the service: `python -m benchmarks.service --help`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.service import phases, report, site
from benchmarks.service.phases import QUICK, Bench, Scale

ALL = ("warm", "growth", "reads", "waiting", "herd", "live", "optuna")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and give the exit status."""
    options = _parse(arguments)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:5.0f} s] {text}", file=sys.stderr, flush=True)

    with site.running() as running:
        bench = Bench(running, QUICK if options.quick else Scale(), say)
        results = measure(bench, options.only)
        say("comparing the ledgers with the database")
        audit = bench.audit()
    clean = not audit.faults() and not bench.errors
    print(report.write_all(results), end="\n\n")
    if text := report.write_targets(results):
        print(text, end="\n\n")
    print(report.write_ledger(audit, bench.errors))
    if options.json:
        told = {**results, "ledger": asdict(audit), "errors": bench.errors}
        options.json.write_text(json.dumps(told, indent=1) + "\n")
    say("done")
    print(report.summarize(results, clean=clean))
    return 0 if clean else 1


def measure(bench: Bench, only: Sequence[str]) -> dict[str, Any]:
    """The chosen figures, by name."""
    results: dict[str, Any] = {}
    if "warm" in only:
        results["warm"] = phases.measure_warm(bench)
    if "growth" in only:
        results["growth"] = phases.measure_growth(bench)
        if "reads" in only:
            results["reads"] = phases.measure_reads(bench, results["growth"]["experiments"])
    if "waiting" in only:
        results["waiting"] = phases.measure_waiting(bench)
    if "herd" in only:
        results["herd"] = phases.measure_herd(bench)
    if "live" in only:
        results["live"] = phases.measure_live(bench)
    results["memory"] = bench.site.memory_mib()
    if "live" in only:
        bench.site.end("worker")
    if "optuna" in only:
        ours = results.get("growth", {}).get("rows", [])
        results["optuna"] = phases.measure_optuna(bench, ours)
    phases.forget_raw(results)
    return results


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.service",
        description="Measure the service beside what the machine can do, and Optuna.",
        epilog="Exit status 1 when something was lost, doubled or refused; times never matter.",
    )
    parser.add_argument("--quick", action="store_true", help="two minutes instead of fifteen")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
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

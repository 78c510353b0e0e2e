"""The command line that the benchmarks of whole searches share."""

from __future__ import annotations

import argparse
from pathlib import Path


def parser(
    module: str,
    description: str | None,
    *,
    quick: str,
    seeds: str = "how many (20)",
    budget: str = "observations of each search (100)",
    epilog: str | None = None,
) -> argparse.ArgumentParser:
    """What all of them understand; a benchmark adds its own.

    Args:
        module: that is run.
        description: its docstring.
        quick: what is done with `--quick`.
        seeds: help on `--seeds`.
        budget: help on `--budget`.
        epilog: examples.
    """
    made = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--quick", action="store_true", help=quick)
    made.add_argument("--seeds", type=int, help=seeds)
    made.add_argument("--budget", type=int, help=budget)
    made.add_argument(
        "--work",
        type=Path,
        default=Path("build/quality"),
        help="folder of the finished searches (%(default)s); use another one for another engine",
    )
    made.add_argument("--report", action="store_true", help="run nothing, make the tables")
    made.add_argument("--publish", action="store_true", help="also put them into RESULTS.md")
    return made

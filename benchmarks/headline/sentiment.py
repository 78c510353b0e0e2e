"""The second story: how much of a search is spent where trainings fail?

    python -m benchmarks.headline.sentiment --data DIR

Runs `examples/mxnet_sentiment` as its users do, in its own environment and against a server of our
own, once by suggestions and once at random, without and with the architecture. Interrupted, the
same command goes on. Training time is measured, so nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.headline import compare, searches

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "mxnet_sentiment"
MOST_SECONDS = 250.0
#: What differs between the searches, by the folder of their results.
SEARCHES = {
    "sgd": [],
    "sgd-random": ["--random"],
    "architecture": ["--architecture"],
    "architecture-random": ["--architecture", "--random"],
}


@dataclass(frozen=True)
class Story:
    """A search and its rival at random.

    Attributes:
        feasible: share of our configurations that were good and fast enough.
        feasible_random: of the random ones.
        share: of the combined frontier that is ours; `None` when neither found anything.
    """

    feasible: float
    feasible_random: float
    share: float | None


def main() -> None:
    """Run what the command line asks for; what it does not know goes to the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with rt-polarity")
    parser.add_argument("--observations", type=int, default=480, help="of each search")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "sentiment")
    options, more = parser.parse_known_args()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        [str(ROOT / "scripts" / "mxnet-venv.sh")], check=True, stdout=-1, text=True
    )
    python = str(ROOT / made.stdout.strip().splitlines()[-1])
    asked = ["--data", str(options.data.resolve()), "--observations", str(options.observations)]
    # The experiments stay in the folder, so that an interrupted search goes on.
    with searches.serving(out / "server") as running:
        assert running.token is not None
        found = {"TRADEOFF_API_URL": running.url, "TRADEOFF_API_TOKEN": running.token}
        for name, how in SEARCHES.items():
            # It ends with 1 when nothing was feasible, which is a result.
            subprocess.run(
                [python, "tune.py", *asked, *how, "--out", str(out / name), *more],
                cwd=EXAMPLE,
                env={**os.environ, **found},
                check=False,
            )
    Console(markup=False, highlight=False).print(report(out))


def report(folder: Path) -> str:
    """The report on the results in a folder, beside what the seed reached."""
    lines = [
        "| search | feasible (seed: 48 %) | at random (seed: 26 %) | of the combined frontier "
        f"under {MOST_SECONDS:g} s (seed: 100 %) |",
        "| --- | --- | --- | --- |",
    ]
    for name in ("sgd", "architecture"):
        ours, rival = (read(folder / part) for part in (name, f"{name}-random"))
        story = judge(ours, rival)
        share = "nothing was feasible" if story.share is None else f"{story.share:.0%}"
        feasible = f"{story.feasible:.0%} of {len(ours)}"
        lines.append(
            f"| {name} | {feasible} | {story.feasible_random:.0%} of {len(rival)} | {share} |"
        )
    text = "\n".join(lines) + "\n"
    (folder / "report.md").write_text(text)
    return text


def judge(ours: Sequence[Outcome], rival: Sequence[Outcome]) -> Story:
    """Compare two searches, each a list of outcomes."""
    good = [[each for each in some if each is not None] for some in (ours, rival)]
    within = [[each for each in some if each[1] <= MOST_SECONDS] for some in good]
    share = compare.share_of_frontier(*within) if any(within) else None
    return Story(len(good[0]) / max(1, len(ours)), len(good[1]) / max(1, len(rival)), share)


#: Accuracy and seconds of a training; `None` if it has failed.
Outcome = tuple[float, float] | None


def read(folder: Path) -> list[Outcome]:
    """The outcomes of a search, in their order."""
    with (folder / "observations.csv").open() as file:
        return [
            (float(row["accuracy"]), float(row["train_seconds"])) if row["accuracy"] else None
            for row in csv.DictReader(file)
        ]


if __name__ == "__main__":
    main()

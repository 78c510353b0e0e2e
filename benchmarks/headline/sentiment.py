"""The second story: how much of a search is spent where trainings fail?

    python -m benchmarks.headline.sentiment --data DIR                     in full: days of a CPU
    python -m benchmarks.headline.sentiment --data DIR --scale reduced     an hour of one core

Runs `examples/mxnet_sentiment` as its users do, in its own environment and against a server of our
own, once by suggestions and once at random, without and with the architecture. Interrupted, the
same command goes on; with all the tables there it reports on them. Training time is measured, so
nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.headline import searches, sentiment_report, table
from tradeoff.store import embedded

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "mxnet_sentiment"
RESULTS = Path(__file__).parent / "results"
#: What differs between the searches, by the folder of their results. Random ones come first, so
#: that one sees early whether the limits are of use.
SEARCHES = {
    "sgd-random": ["--random"],
    "sgd": [],
    "architecture-random": ["--architecture", "--random"],
    "architecture": ["--architecture"],
}


@dataclass(frozen=True)
class Scale:
    """How large the question is.

    Attributes:
        name: of its results.
        suggestions: the budget of each of our searches.
        random: how many random configurations beside each.
        least_accuracy: what is below has failed.
        most_seconds: what trains longer is given up and has failed.
        most_epochs: the upper bound of that parameter.
        least_log_rate: the lower bound of `log_learning_rate`.
        divided_by: so many times fewer filters, shorter vectors and smaller batches.
        most_words: of a sentence; all by default.
    """

    name: str
    suggestions: int
    random: int
    least_accuracy: float
    most_seconds: float
    most_epochs: int
    least_log_rate: float = -10.0
    divided_by: int = 1
    most_words: int | None = None

    def asked(self, *, at_random: bool) -> list[str]:
        """The options of the example."""
        asked = {
            "--observations": self.random if at_random else self.suggestions,
            "--least-accuracy": self.least_accuracy,
            "--most-seconds": self.most_seconds,
            "--most-epochs": self.most_epochs,
            "--least-log-rate": self.least_log_rate,
            "--divided-by": self.divided_by,
            **({"--most-words": self.most_words} if self.most_words else {}),
        }
        return [str(each) for pair in asked.items() for each in pair]


#: The seed's: days of a CPU.
FULL = Scale("full", 480, 480, least_accuracy=0.75, most_seconds=250.0, most_epochs=50)
#: For one core and less than an hour: small networks, briefly trained, on all the sentences.
REDUCED = Scale(
    "reduced",
    suggestions=40,
    random=80,
    least_accuracy=0.57,
    most_seconds=15.0,
    most_epochs=8,
    least_log_rate=-4.0,
    divided_by=8,
    most_words=24,
)
BY_NAME = {scale.name: scale for scale in (FULL, REDUCED)}


def main() -> None:
    """Run what the command line asks for; what it does not know goes to the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with rt-polarity")
    parser.add_argument("--scale", choices=list(BY_NAME), default="full")
    parser.add_argument("--out", type=Path, help="of the tables; else results/sentiment-SCALE here")
    parser.add_argument("--figures", type=Path, help="folder for the figures; else that of --out")
    options, more = parser.parse_known_args()
    scale = BY_NAME[options.scale]
    out = (options.out or RESULTS / f"sentiment-{scale.name}").resolve()
    out.mkdir(parents=True, exist_ok=True)
    data = options.data.resolve()
    table.write_provenance(
        out, scale, data.glob("rt-polarity.*"), "CPU, one thread", {"mxnet": _mxnet()}
    )
    missing = [name for name in SEARCHES if not (out / f"{name}.csv.gz").exists()]
    if missing:
        search(scale, missing, ["--data", str(data), *more], out)
    limits = f"{scale.least_accuracy:g} within {scale.most_seconds:g} s"
    text = sentiment_report.write(out, scale.most_seconds, limits, options.figures or out)
    Console(soft_wrap=True, highlight=False, markup=False).print(text)


def search(scale: Scale, names: Sequence[str], more: Sequence[str], out: Path) -> None:
    """Make the tables of some searches, and leave nothing of the server behind."""
    made = subprocess.run(
        [str(ROOT / "scripts" / "mxnet-venv.sh")], check=True, stdout=-1, text=True
    )
    python = str(ROOT / made.stdout.strip().splitlines()[-1])
    # The experiments stay in the folder, so that an interrupted search goes on.
    with searches.serving(out / "server") as running:
        assert running.token is not None
        found = {"TRADEOFF_API_URL": running.url, "TRADEOFF_API_TOKEN": running.token}
        for name in names:
            how = SEARCHES[name]
            asked = scale.asked(at_random="--random" in how)
            # It ends with 1 when nothing was feasible, which is a result.
            subprocess.run(
                [python, "tune.py", *asked, *how, "--out", str(out / name), *more],
                cwd=EXAMPLE,
                env={**os.environ, **found},
                check=False,
            )
            keep(out / name, out / f"{name}.csv.gz")
    embedded.remove(out / "server")
    shutil.rmtree(out / "server", ignore_errors=True)
    for name in names:
        shutil.rmtree(out / name)


def keep(folder: Path, path: Path) -> None:
    """Make the table of a search from what the example has written."""
    with (folder / "observations.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        kind = row.pop("error").partition(":")[0]
        row["failed"] = {"TooWeak": "weak", "TooLong": "slow"}.get(kind, kind)
    table.Table(path).add([{name: table.value(text) for name, text in r.items()} for r in rows])


def _mxnet() -> str:
    """The version that the example asks for."""
    lines = (EXAMPLE / "requirements.txt").read_text().splitlines()
    return next(line.partition("==")[2] for line in lines if line.startswith("mxnet"))


if __name__ == "__main__":
    main()

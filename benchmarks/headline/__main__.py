"""Measure the headline: our search beside random search, on real trainings.

    python -m benchmarks.headline --data DIR            in full: 4,800 and 480 trainings, for a GPU
    python -m benchmarks.headline --scale reduced       a smaller question, for two cores

Each training is kept as it ends, so that the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.headline import compare, figures, report, searches, table
from benchmarks.headline.scale import BY_NAME, Scale
from examples.keras_diatoms import diatoms
from tradeoff.store import embedded

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", choices=list(BY_NAME), default="full")
    parser.add_argument("--data", type=Path, help="folder with Adiac; else it is downloaded")
    parser.add_argument("--out", type=Path, help="of the tables; else results/SCALE here")
    parser.add_argument("--figures", type=Path, help="folder for the figures; else that of --out")
    parser.add_argument(
        "--only",
        choices=["random", "suggestions", "report"],
        help="one search, so that two go side by side; or the report on what there is so far",
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    scale = BY_NAME[options.scale]
    device = torch.device(options.device)
    out = options.out or RESULTS / scale.name
    out.mkdir(parents=True, exist_ok=True)
    if options.data is None:
        options.data = out / "data"
        diatoms.download(options.data)
    data = scale.reduce(diatoms.load(options.data))
    # The time of a network is that of one thread.
    torch.set_num_threads(1)
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    files = options.data.glob("Adiac_*")
    versions = {"torch": torch.__version__}
    table.write_provenance(out, scale, files, gpu or "CPU, one thread", versions)
    at_random = table.Table(out / "random.csv.gz")
    ours = table.Table(out / "suggestions.csv.gz")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn()) as bars:
        trainer = searches.Trainer(scale, data, device, bars)
        if options.only in {None, "random"}:
            searches.draw_at_random(scale, trainer, at_random, bars)
        if options.only in {None, "suggestions"}:
            ask_the_server(scale, trainer, ours, bars, (out / "server").resolve())
    if options.only not in {None, "report"}:
        return
    if not (ours.rows and at_random.rows):
        raise SystemExit(f"there is nothing to compare in {out} yet")
    a, b = table.outcomes(ours.rows), table.outcomes(at_random.rows)
    asked = {"first": scale.looked_at, "resamples": scale.resamples}
    verdict = compare.judge(a, b, **asked)
    counted = compare.judge(table.counted(ours.rows), table.counted(at_random.rows), **asked)
    within = compare.region(b, budget=len(a), resamples=scale.resamples)
    note = f"Diatoms, run '{scale.name}': {scale.epochs} epochs"
    figures.draw(a, b, within, verdict, options.figures or out, note)
    text = report.write(verdict, counted, scale, out)
    Console(soft_wrap=True, highlight=False, markup=False).print(text)


def ask_the_server(
    scale: Scale, trainer: searches.Trainer, ours: table.Table, bars: Progress, server: Path
) -> None:
    """Search by suggestions, and leave nothing of the server behind."""
    searches.ask_the_server(scale, trainer, ours, bars, server)
    if server.exists():
        embedded.remove(server)
        shutil.rmtree(server, ignore_errors=True)


if __name__ == "__main__":
    main()
